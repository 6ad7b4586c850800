"""kubectl of the user's own, tied to one context, so that a switch meanwhile leads nowhere else."""

import json
import shutil
from pathlib import Path
from typing import Any

from kubestore.clusters.command import Command
from kubestore.errors import KubestoreError
from kubestore.kubectl import Kubectl
from kubestore.run import CommandFailed, run, tail

PROGRAM = "kubectl"
UNKNOWN_KIND = "the server doesn't have a resource type"


class Context(Kubectl):
    """The cluster that a context of the user's kubeconfig names."""

    def __init__(self, name: str) -> None:
        super().__init__(Path())
        self.name = name

    def words(self, *args: str | Path) -> tuple[str, ...]:
        """The whole command line."""
        return (PROGRAM, "--context", self.name, *map(str, args))

    def command(self, *args: str | Path, stdin: str = "", says: str = "", timeout: float = 120) -> Command:
        """A command to run later."""
        return Command(self.words(*args), stdin, says, timeout)

    def run(self, *args: str | Path, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl and return what it printed. Raises `CommandFailed`."""
        return run(self.words(*args), input=input, timeout=timeout).stdout

    def says(self, *args: str | Path, timeout: float = 30) -> str:
        """What kubectl prints; nothing when it fails, as for a kind that the cluster does not know."""
        return run(self.words(*args), timeout=timeout, check=False).stdout.strip()

    def get(self, *args: str | Path) -> dict[str, Any]:
        """`kubectl get`, parsed; empty when there is no such object or kind. Raises `KubestoreError`."""
        try:
            text = self.run("get", *args, "--ignore-not-found", "-o", "json").strip()
        except CommandFailed as error:
            if UNKNOWN_KIND in error.output:
                return {}
            raise KubestoreError(
                f"context {self.name} does not answer: {tail(error.output, 1)}", "kubectl cluster-info"
            ) from error
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def items(self, *args: str | Path) -> list[dict[str, Any]]:
        """`kubectl get` of many objects; none when there is no such kind."""
        found: list[dict[str, Any]] = self.get(*args).get("items", [])
        return found


def current() -> Context:
    """What the kubeconfig's current context names. Raises `KubestoreError` when there is none."""
    if not shutil.which(PROGRAM):
        raise KubestoreError("kubectl is not installed", "install it: https://kubernetes.io/docs/tasks/tools")
    try:
        name = run([PROGRAM, "config", "current-context"], timeout=20).stdout.strip()
    except CommandFailed as error:
        raise KubestoreError(
            "kubectl has no current context",
            "kubectl config get-contexts, then kubectl config use-context NAME",
        ) from error
    return Context(name)
