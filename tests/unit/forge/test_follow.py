"""Following a run: every line once, an end that is told, and no waiting for a runner that is dead."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubestore import cli, paths
from kubestore.errors import KubestoreError
from kubestore.lab.forge import follow, verbs
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.run import Process, start_time

TEXTS = ("address", "code", "python", "act", "registry_program", "registry_data", "secrets", "gitconfig", "cache",
         "state", "webhook_url")  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A forge's folders, with this very process as its runner."""
    monkeypatch.setattr(paths, "STATE", tmp_path)
    monkeypatch.setenv("KUBESTORE_INSTANCE", "test")
    monkeypatch.setattr(follow, "GRACE", 0.2)
    monkeypatch.setattr(follow, "EVERY", 0.02)
    root = tmp_path / "test" / "forge"
    made = Settings(
        root=str(root), git_port=1, registry_port=2, instance="test", **dict.fromkeys(TEXTS, "")
    )  # fmt: skip
    made.save()
    Process(os.getpid(), start_time(os.getpid()) or 0).save(root / "run" / "runner.json")
    return made


def shown_by(texts: list[str], act: Callable[[int], None]) -> Callable[[Run, str], None]:
    """A `show` that keeps the texts and does something after each look."""

    def show(_: Run, text: str) -> None:
        texts.append(text)
        act(len(texts))

    return show


def test_watching_ends_at_once_when_the_runner_is_dead(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Runs(settings.runs).queue("check", "a" * 40, "x")
    Process(os.getpid(), 1).save(settings.folder / "run" / "runner.json")  # that id, but another process
    monkeypatch.setattr("sys.argv", ["kubestore", "ci", "watch"])
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert time.monotonic() - began < 2
    assert ended.value.code == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: run 1 (check) is queued, but the pipeline's runner does not run"
    assert hint.startswith("hint:  kubestore up starts it")


def test_a_live_runner_is_waited_for_until_the_limit(settings: Settings) -> None:
    run = Runs(settings.runs).queue("check", "a" * 40, "x")
    began = time.monotonic()
    with pytest.raises(KubestoreError, match=r"run 1 .check. is queued after 1 s"):
        follow.follow(settings, run, 0.6, lambda *_: None)
    assert time.monotonic() - began > follow.GRACE


def test_a_runner_that_is_started_anew_is_forgiven(settings: Settings) -> None:
    runs, file = Runs(settings.runs), settings.folder / "run" / "runner.json"
    run, kept = runs.queue("check", "a" * 40, "x"), file.read_text()

    def act(looks: int) -> None:
        if looks == 2:
            file.unlink()
        elif looks == 4:
            file.write_text(kept)
        elif looks == 30:
            runs.finish(runs.get(1), "passed")

    assert follow.follow(settings, run, 5, shown_by([], act)).state == "passed"


def test_each_line_is_shown_once_also_when_the_log_begins_anew(settings: Settings) -> None:
    runs = Runs(settings.runs)
    run = runs.queue("check", "a" * 40, "x")
    log, texts = runs.log(run), list[str]()
    log.write_bytes("one ü".encode()[:-1])

    def act(looks: int) -> None:
        if looks == 1:
            log.write_bytes("one ü two\n".encode())
        elif looks == 2:
            log.write_text("anew\n")
        elif looks == 3:
            log.write_text("anew\nthe last line\n")
            runs.finish(runs.get(1), "passed")

    follow.follow(settings, run, 5, shown_by(texts, act))
    assert texts == ["one ", "ü two\n", "anew\n", "the last line\n"]


def test_a_run_that_failed_says_why_and_where_its_log_is(settings: Settings) -> None:
    runs = Runs(settings.runs)
    runs.finish(runs.queue("release", "a" * 40, "x"), "failed", "a test failed")
    done = CliRunner().invoke(verbs.ci, ["watch"])
    assert isinstance(done.exception, KubestoreError)
    assert done.exception.what == "run 1 (release) failed: a test failed"
    assert "kubestore ci log 1" in done.exception.hint
