"""checkov's verdicts are read; one that is none never counts as "0 failed"."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kubestore.errors import KubestoreError
from kubestore.manifests import outside, verbs
from kubestore.manifests.outside import CONFIG
from tests.manifests.fixtures import VALID

NOTHING = {"passed": 0, "failed": 0, "skipped": 0, "parsing_errors": 0}


def stand_in(folder: Path, answer: object, code: int = 0) -> Path:
    """A program that answers as checkov does; an answer of text is given as it is."""
    said = folder / "said.json"
    said.write_text(answer if isinstance(answer, str) else json.dumps(answer))
    program = folder / "checkov"
    program.write_text(f"#!/bin/sh\ncat {said}\nexit {code}\n")
    program.chmod(0o755)
    return program


def ask(program: Path) -> tuple[int, str]:
    done = CliRunner().invoke(verbs.checkov, ["--root", str(VALID), "--program", str(program)])
    if isinstance(done.exception, KubestoreError):
        raise done.exception
    return done.exit_code, done.stdout


def answer(failed: int, errors: int = 0) -> dict[str, object]:
    checks = [{"check_id": f"CKV_K8S_{number}"} for number in range(failed)]
    summary = {"passed": 5, "failed": failed, "skipped": 0, "parsing_errors": errors}
    return {"check_type": "kubernetes", "results": {"failed_checks": checks}, "summary": summary}


@pytest.mark.parametrize("nothing", [NOTHING, [answer(0)]], ids=["no check applies", "a list"])
def test_nothing_failed_is_told_as_that(nothing: object, tmp_path: Path) -> None:
    code, text = ask(stand_in(tmp_path, nothing))
    assert code == 0
    assert "apps/web/overlays/one" in text


def test_a_check_that_ours_fails_fails_the_verb_and_is_named(tmp_path: Path) -> None:
    code, text = ask(stand_in(tmp_path, answer(2), 1))
    assert code == 1
    assert "CKV_K8S_0 CKV_K8S_1" in text


@pytest.mark.parametrize(
    ("said", "code"),
    [("", 0), ("", 2), ("Traceback", 1), ("[]", 0), (answer(0), 2), (answer(0, errors=1), 0)],
    ids=["silent", "silent and failed", "no JSON", "an empty list", "an odd exit code", "not read"],
)
def test_what_is_no_verdict_is_an_error(said: object, code: int, tmp_path: Path) -> None:
    with pytest.raises(KubestoreError, match="checkov") as told:
        ask(stand_in(tmp_path, said, code))
    assert told.value.hint


def test_without_checkov_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(KubestoreError, match="no such program"):
        ask(tmp_path / "checkov")


def test_at_most_three_checks_are_excepted_each_with_its_reason() -> None:
    text = CONFIG.read_text()
    excepted = yaml.safe_load(text)
    assert list(excepted) == ["skip-check"]
    assert 0 < len(excepted["skip-check"]) <= 3
    lines = [line.strip() for line in text.splitlines()]
    for check in excepted["skip-check"]:
        assert lines[lines.index(f"- {check}") - 1].startswith("#")


def test_ours_are_asked_with_our_exceptions_and_upstreams_without(tmp_path: Path) -> None:
    program = stand_in(tmp_path, NOTHING)
    words = tmp_path / "words"
    program.write_text(program.read_text().replace("cat", f'echo "$@" >> {words}\ncat', 1))
    verdicts = []
    for ours in (True, False):
        verdicts.append(outside._verdict("a", ours, [], program))
    assert [one.ours for one in verdicts] == [True, False]
    assert [str(CONFIG) in line for line in words.read_text().splitlines()] == [True, False]
