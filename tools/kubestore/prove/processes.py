"""Processes of a container, seen from this machine: every node's process tree lies inside ours."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubestore.errors import KubestoreError
from kubestore.run import start_time

PROC = Path("/proc")


@dataclass(frozen=True)
class Found:
    """One process: its id on this machine, its parent's, when it started (ticks), its command line."""

    pid: int
    parent: int
    started: int
    command: str

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the id has come to mean another process."""
        if start_time(self.pid) != self.started:
            raise KubestoreError(f"process {self.pid} ({self.command[:60]}) is gone")
        os.kill(self.pid, number)


class Stoppable(Protocol):
    """A process that takes signals."""

    def signal(self, number: signal.Signals, /) -> object:
        """Send one."""


@contextlib.contextmanager
def stopped(*found: Stoppable) -> Iterator[None]:
    """SIGSTOP them, and let them go on at the end: connections are taken and nothing is answered in between."""
    try:
        for process in found:
            process.signal(signal.SIGSTOP)
        yield
    finally:
        for process in found:
            with contextlib.suppress(KubestoreError, ProcessLookupError):  # a probe may have ended it
                process.signal(signal.SIGCONT)


def of_container(container: str) -> list[Found]:
    """The processes of a container (its 64-hex id), eldest first. Raises `KubestoreError` for none."""
    if len(container) < 32:
        raise KubestoreError(f"{container!r} is not a container's id")
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and container in _text(entry / "cgroup"):
            process = look(int(entry.name))
            if process:
                found.append(process)
    if not found:
        raise KubestoreError(f"container {container[:12]}: no process on this machine")
    return sorted(found, key=lambda process: (process.started, process.pid))


def look(pid: int) -> Found | None:
    """A process by its id; None when it is gone."""
    started = start_time(pid)
    stat = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
    if started is None or len(stat) < 2:
        return None
    command = _text(PROC / str(pid) / "cmdline").replace("\0", " ").strip()
    return Found(pid, int(stat[1]), started, command)


def youngest(processes: list[Found]) -> Found:
    """The process that has no child among the others and started last: a server's worker."""
    parents = {process.parent for process in processes}
    return [process for process in processes if process.pid not in parents][-1]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
