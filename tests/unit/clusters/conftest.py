"""A person's machine: stand-ins for docker, kind, minikube and kubectl that note what they are told, and a fork."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kubestore import cli, paths
from kubestore.errors import KubestoreError
from kubestore.lab import verbs  # noqa: F401 - reads the checkout when imported, so before it is another one
from kubestore.prove import verbs as _  # noqa: F401
from kubestore.release.bump import overlay

STAND_IN = Path(__file__).parent / "stand_in.py"
DIGEST = "sha256:" + "a" * 64
# What each program looks at; all other commands would change something.
READS = ("docker info", "docker inspect", "docker --version", "kind get", "kind version", "minikube version",
         "minikube profile list", "kubectl config current-context", "kubectl version", "get ", "auth can-i",
         "version ")  # fmt: skip


def git(at: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@kubestore.test", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=at, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Machine:
    """The stand-ins' world (`facts`, written before each call) and what they were told (`calls`)."""

    folder: Path
    checkout: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def without(self, program: str) -> None:
        """Uninstall a program."""
        (self.folder / "bin" / program).unlink()

    def kubestore(self, *words: str, stdin: str = "") -> Result:
        """Run a verb as a person would, with nothing but the stand-ins on PATH."""
        (self.folder / "facts.json").write_text(json.dumps(self.facts))
        (self.folder / "calls").write_text("")
        return CliRunner().invoke(cli.root, list(words), input=stdin)

    def refuses(self, *words: str, stdin: str = "") -> KubestoreError:
        """The error of a verb that must fail and change nothing."""
        done = self.kubestore(*words, stdin=stdin)
        assert isinstance(done.exception, KubestoreError), (done.exception, done.output)
        assert self.changes == []
        assert done.exception.hint
        return done.exception

    @property
    def calls(self) -> list[str]:
        """Every command, in order."""
        return (self.folder / "calls").read_text().splitlines()

    @property
    def changes(self) -> list[str]:
        """The commands that are no mere questions."""
        return [
            call
            for call in self.calls
            if not call.startswith(READS)
            and not call.partition(" --context ")[2].partition(" ")[2].startswith(READS)
        ]

    def push(self, message: str = "change") -> None:
        """Commit the checkout and push it to the fork's host."""
        git(self.checkout, "add", ".")
        git(self.checkout, "commit", "--quiet", "-m", message)
        git(self.checkout, "push", "--quiet", "origin", "HEAD:main")

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        """Change a file of the checkout."""
        file = self.checkout / name
        text = change(file.read_text())
        file.unlink()  # it is the template's too
        file.write_text(text)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has released, and its host: `checkout` and `fork.git`, copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    made = Machine(folder, folder / "checkout")
    for name in ("apps", "clusters"):
        shutil.copytree(paths.REPO / name, made.checkout / name)
    git(folder, "init", "--quiet", "--template=", "--bare", "--initial-branch=main", "fork.git")
    git(made.checkout, "init", "--quiet", "--template=", "--initial-branch=main")
    git(made.checkout, "config", "core.logAllRefUpdates", "false")
    git(made.checkout, "remote", "add", "origin", "../fork.git")
    made.edit(str(overlay("minikube")), lambda text: text.replace("unreleased", f"{'1' * 12}@{DIGEST}"))
    made.push("start")
    return folder


@pytest.fixture
def machine(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Docker runs, kind and minikube have no cluster yet, the current context is a cluster with nothing of ours."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in ("docker", "kind", "minikube", "kubectl"):
        script = bin / name
        script.write_text(f"#!{sys.executable} -IS\n{STAND_IN.read_text()}")
        script.chmod(0o755)
    for name in ("git", "sh", "env", "cat"):
        (bin / name).symlink_to(str(shutil.which(name)))
    for name in ("checkout", "fork.git"):
        shutil.copytree(template / name, tmp_path / name, copy_function=os.link)
    checkout = tmp_path / "checkout"
    found = Machine(tmp_path, checkout, {"context": "elsewhere", "server": "v1.37.0", "classes": True})
    url = f"file://{tmp_path}/fork.git"
    found.edit("apps/repository/configmap.yaml", lambda text: _line(text, "url", url))
    monkeypatch.setattr(paths, "REPO", checkout)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}")
    for name in ("KUBESTORE_CLUSTER", "KUBESTORE_GIT_TOKEN", "KUBESTORE_GIT_USERNAME", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        "kubestore.clusters.preflight._taken", lambda port: port in found.facts.get("taken", [])
    )
    return found


def _line(text: str, key: str, value: str) -> str:
    return "".join(
        f"  {key}: {value}\n" if line.startswith(f"  {key}: ") else line
        for line in text.splitlines(keepends=True)
    )
