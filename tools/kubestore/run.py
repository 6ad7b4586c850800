"""The one place that starts other programs: quiet when they succeed, telling when they fail."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kubestore import files
from kubestore.errors import KubestoreError

TAIL_LINES = 15


class CommandFailed(KubestoreError):
    """A program ended with a code other than 0, or not within its time."""

    def __init__(self, what: str, hint: str, returncode: int, output: str) -> None:
        super().__init__(what, hint)
        self.returncode = returncode
        self.output = output


def merged(env: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of this process with `env` laid over it."""
    return {**os.environ, **(env or {})}


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last `lines` lines of `text`."""
    return "\n".join(text.strip().splitlines()[-lines:])


def run(
    cmd: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
    log: Path | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output as text.

    With `log`, both output streams are appended to that file instead of being kept. Raises
    `CommandFailed` with the last lines of output when the exit code is not 0 (and `check`), when the
    program is missing, or when `timeout` seconds pass.
    """
    words = [str(word) for word in cmd]
    name = Path(words[0]).name
    shown = " ".join([name, *words[1:4], "…"] if len(words) > 4 else [name, *words[1:]])
    hint = f"the full log is {log}" if log else ""
    try:
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as sink:
                done = subprocess.run(
                    words, cwd=cwd, env=merged(env), input=input, timeout=timeout, text=True,
                    stdout=sink, stderr=subprocess.STDOUT, check=False,
                )  # fmt: skip
        else:
            done = subprocess.run(
                words, cwd=cwd, env=merged(env), input=input, timeout=timeout, text=True,
                capture_output=True, check=False,
            )  # fmt: skip
    except FileNotFoundError as error:
        missing = error.filename if error.filename != words[0] else name
        raise CommandFailed(f"{missing}: no such program or folder", hint, 127, "") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{shown}: not done after {timeout:.0f} s", hint, 124, "") from error
    if check and done.returncode != 0:
        output = log.read_text(errors="replace") if log else (done.stdout or "") + (done.stderr or "")
        raise CommandFailed(
            f"{shown}: exit code {done.returncode}\n{tail(output)}", hint, done.returncode, output
        )
    return done


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


@dataclass(frozen=True)
class Process:
    """A daemon that we started, known by its id and start time, so that a reused id is never ours."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send a signal to the process's group, if it is still ours."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):  # it may end between the question and the signal
                os.killpg(self.pid, number)

    def stop(self, timeout: float = 10) -> None:
        """Ask it to end, and end it after `timeout` seconds."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.signal(signal.SIGKILL)
        while self.alive() and time.monotonic() < deadline + 5:
            time.sleep(0.05)

    def save(self, path: Path) -> None:
        """Remember the process in a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, json.dumps(asdict(self)))

    @staticmethod
    def load(path: Path) -> "Process | None":
        """The process that `save` remembered; None when there is no (readable) file."""
        try:
            return Process(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @staticmethod
    def running(path: Path) -> "Process | None":
        """The process that `save` remembered, if it still runs."""
        process = Process.load(path)
        return process if process and process.alive() else None


def spawn(
    cmd: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Process:
    """Start a daemon in a session of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as sink:
        try:
            child = subprocess.Popen(
                [str(word) for word in cmd], cwd=cwd, env=merged(env), stdin=subprocess.DEVNULL,
                stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise CommandFailed(f"{cmd[0]}: no such program", "", 127, "") from error
    return Process(child.pid, start_time(child.pid) or 0)
