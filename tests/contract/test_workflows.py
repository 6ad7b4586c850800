"""The workflows as actionlint and zizmor see them; both are shown to notice a mistake."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from kubestore.lab import programs
from kubestore.paths import REPO
from kubestore.run import run

WORKFLOWS = sorted((REPO / ".github/workflows").glob("*.yaml"))
PIN = re.compile(r"uses: (\S+)@(\S+) # (\S+)")


def actionlint(*files: Path) -> str:
    """What actionlint finds."""
    return run([programs.path("actionlint"), "-no-color", *files], check=False, timeout=60).stdout


def zizmor(folder: Path) -> int:
    """zizmor's exit code for a folder `.github`; it asks no network."""
    program = Path(sys.executable).with_name("zizmor")
    return run([program, "--offline", "--quiet", folder], check=False, timeout=60).returncode


@pytest.fixture
def github(tmp_path: Path) -> Path:
    """A copy of `.github`."""
    return Path(shutil.copytree(REPO / ".github", tmp_path / ".github"))


def test_actionlint_finds_nothing() -> None:
    assert actionlint(*WORKFLOWS) == ""


def test_actionlint_notices_an_output_that_no_step_has(github: Path) -> None:
    file = github / "workflows/release.yaml"
    file.write_text(file.read_text().replace("steps.bump.outputs", "steps.bumped.outputs"))
    assert "bumped" in actionlint(file)


def test_zizmor_finds_nothing() -> None:
    assert zizmor(REPO / ".github") == 0


def test_zizmor_notices_text_of_a_stranger_in_a_script(github: Path) -> None:
    file = github / "workflows/check.yaml"
    stranger = "echo ${{ github.event.pull_request.title }}"
    file.write_text(file.read_text().replace("run: make validate", f"run: {stranger}"))
    assert zizmor(github) != 0


def test_an_action_has_one_pin() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for file in WORKFLOWS:
        for action, commit, version in PIN.findall(file.read_text()):
            pins.setdefault(action, set()).add((commit, version))
    assert pins
    assert {action: len(found) for action, found in pins.items()} == dict.fromkeys(pins, 1)
