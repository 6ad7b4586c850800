"""A forge on loopback, with real git, nginx, fcgiwrap and act where they are installed."""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.lab.forge import daemons
from kubestore.lab.forge.repository import Repository
from kubestore.lab.forge.settings import Settings

REPO = Path(__file__).parents[3]
WORKFLOW = """\
name: {name}
on:
  push:
    branches: [main]
    paths: [{paths}]
permissions: {{}}
jobs:
  job:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
      - run: {command}
"""

# The hooks' Python, but a validation that fails on a file named `broken`.
PYTHON = """\
#!/bin/sh
if [ "$2" = kubestore ]; then test ! -e broken || {{ echo "broken:1 is broken"; exit 1; }}; exit 0; fi
exec {real} "$@"
"""


def git(at: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=t", "-c", "user.email=t@kubestore.test", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=at, check=check, capture_output=True, text=True)


def absent(what: str) -> NoReturn:
    """A laptop may lack a program that `make up` brings; CI brings all of them, so there nothing is skipped."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def program(name: str) -> str:
    try:
        return str(programs.path(name))
    except KubestoreError:
        found = shutil.which(name)
        if not found:
            absent(f"{name} is not built")
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    import sys

    python = tmp_path / "python"
    python.write_text(PYTHON.format(real=sys.executable))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return Settings(
        root=str(tmp_path / "forge"), address="127.0.0.1", git_port=free_port(), registry_port=free_port(),
        instance="test", code=str(REPO), python=str(python), act=program("act"),
        registry_program=program("registry"), registry_data=str(tmp_path / "registry"),
        secrets=str(tmp_path / "secrets"), gitconfig=str(tmp_path / "gitconfig"),
        cache=str(tmp_path / "cache"), state=str(tmp_path / "state"), webhook_url="https://127.0.0.1:1/api/webhook",
    )  # fmt: skip


@pytest.fixture
def served(settings: Settings) -> Iterator[Settings]:
    for name in ("nginx", "fcgiwrap"):
        if not shutil.which(name, path=daemons.PATH):
            absent(f"{name} is not installed")
    settings.save()
    Repository(settings).create()
    try:
        daemons.start(settings)
        yield settings
    finally:
        daemons.stop(settings)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a release that runs for `app/**` and a check that runs always."""
    at = tmp_path / "checkout"
    folder = at / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "release.yaml").write_text(
        WORKFLOW.format(name="release", paths="'app/**'", command="cat app/message; test ! -e app/fail")
    )
    (folder / "check.yaml").write_text(WORKFLOW.format(name="check", paths="'**'", command="sleep 300"))
    (at / "requirements").mkdir()
    (at / "requirements" / "dev.txt").write_text("\n")
    git(at, "init", "--quiet", "--initial-branch=main")
    git(at, "add", ".")
    git(at, "commit", "--quiet", "-m", "start")
    return at


def change(at: Path, file: str, text: str) -> str:
    """Commit one file and return the commit."""
    (at / file).parent.mkdir(parents=True, exist_ok=True)
    (at / file).write_text(text)
    git(at, "add", ".")
    git(at, "commit", "--quiet", "-m", f"change {file}")
    return git(at, "rev-parse", "HEAD").stdout.strip()
