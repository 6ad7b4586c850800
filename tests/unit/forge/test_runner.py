"""The runner lives on when a disk is full, and says what became of the run."""

import errno
import threading
from pathlib import Path

import pytest

from kubestore.lab.forge import runner
from kubestore.lab.forge.pause import measuring
from kubestore.lab.forge.runs import Run
from kubestore.lab.forge.settings import Settings

from .test_forge import wait_for


def test_a_disk_that_is_full_fails_the_run_and_not_the_runner(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = runner.Runner(settings)

    def act(run: Run, clone: Path) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(clone))

    monkeypatch.setattr(runner, "git", lambda *_, **__: "")
    monkeypatch.setattr(worker, "_act", act)
    run = worker.runs.queue("check", "a" * 40, "x")
    worker.execute(run)
    told = worker.runs.get(run.number)
    assert told.state == "failed"
    assert told.reason.endswith("/clone: No space left on device")


def test_the_runner_goes_on_after_a_disk_was_full(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "AFTER_TROUBLE", 0.05)
    worker = runner.Runner(settings)
    run = worker.runs.queue("check", "a" * 40, "x")
    tries: list[int] = []

    def execute(run: Run) -> None:
        tries.append(run.number)
        if len(tries) == 1:
            worker.runs.change(run, state="running", attempts=1)
            raise OSError(errno.ENOSPC, "No space left on device")
        worker.runs.finish(run, "passed")

    monkeypatch.setattr(worker, "execute", execute)
    thread = threading.Thread(target=worker.forever)
    thread.start()
    try:
        assert wait_for(worker.runs, run.number, "passed").attempts == 1
    finally:
        worker.stop()
        thread.join(5)
    assert tries == [run.number] * 2


def test_checks_wait_while_figures_are_taken_and_releases_do_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = runner.Runner(settings)
    check = worker.runs.queue("check", "a" * 40, "x")
    done: list[str] = []

    def execute(run: Run) -> None:
        done.append(run.workflow)
        worker.runs.finish(run, "passed")

    monkeypatch.setattr(worker, "execute", execute)
    with measuring(settings.folder):
        worker._turn()
        assert done == []
        assert worker._must_give_way(check)
        worker.runs.queue("release", "a" * 40, "x")
        worker._turn()
        worker._turn()
        assert done == ["release"]
    worker._turn()
    assert done == ["release", "check"]
