"""Commands of the user's own tools: run one after another, or only shown."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubestore import ui, wait
from kubestore.run import CommandFailed, run


@dataclass(frozen=True)
class Command:
    """One command line. `stdin` is a secret and never shown; `says` is told in its place.

    A failure whose output has `forgive` in it is none; any other is tried again for `patience` seconds.
    """

    words: tuple[str, ...]
    stdin: str = ""
    says: str = ""
    timeout: float = 120
    forgive: str = ""
    patience: float = 0

    def __str__(self) -> str:
        return shlex.join(self.words) + (f"  # standard input: {self.says}" if self.says else "")

    def run(self) -> str:
        """Run it and return what it printed. Raises `KubestoreError`."""
        if self.patience:
            return wait.until(lambda: self._once() or "done", shlex.join(self.words[:6]), self.patience)
        return self._once()

    def _once(self) -> str:
        try:
            return run(self.words, input=self.stdin or None, timeout=self.timeout).stdout
        except CommandFailed as error:
            if self.forgive and self.forgive in error.output:
                return error.output
            raise


@dataclass(frozen=True)
class Stage:
    """Commands under one title."""

    title: str
    commands: Sequence[Command]


def perform(stages: Iterable[Stage]) -> None:
    """Run the commands of each stage. Raises `KubestoreError` at the first that fails."""
    for stage in stages:
        with ui.step(stage.title) as step:
            for command in stage.commands:
                step.note(" ".join(command.words[:6]))
                command.run()
            step.note("")


def shown(stages: Iterable[Stage]) -> str:
    """The commands as a shell would take them, each stage under its title."""
    return "\n".join(
        line
        for stage in stages
        for line in (f"# {stage.title}", *(str(command) for command in stage.commands))
    )
