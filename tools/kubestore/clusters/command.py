"""Commands of the user's own tools: run one after another, or only shown."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubestore import ui
from kubestore.run import run


@dataclass(frozen=True)
class Command:
    """One command line. `stdin` is a secret and never shown; `says` is told in its place."""

    words: tuple[str, ...]
    stdin: str = ""
    says: str = ""
    timeout: float = 120

    def __str__(self) -> str:
        return shlex.join(self.words) + (f"  # standard input: {self.says}" if self.says else "")

    def run(self) -> str:
        """Run it and return what it printed. Raises `CommandFailed`."""
        return run(self.words, input=self.stdin or None, timeout=self.timeout).stdout


@dataclass(frozen=True)
class Stage:
    """Commands under one title."""

    title: str
    commands: Sequence[Command]


def perform(stages: Iterable[Stage]) -> None:
    """Run the commands of each stage. Raises `CommandFailed` at the first that fails."""
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
