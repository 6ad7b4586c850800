"""Runs of the pipeline: one folder each, with `run.json` and `log`.

A run is `queued`, then `running`, then `passed`, `failed` or `superseded` (a check of a commit that is no
longer the newest). The hook makes runs, the runner alone changes them.
"""

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from kubestore import files
from kubestore.errors import KubestoreError

State = Literal["queued", "running", "passed", "failed", "superseded"]
KEPT = 100


@dataclass(frozen=True)
class Run:
    """One run. Times are seconds since the epoch; 0 is "not yet"."""

    number: int
    workflow: str
    commit: str
    subject: str
    state: State
    queued: float
    started: float = 0.0
    ended: float = 0.0
    attempts: int = 0
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state not in ("queued", "running")

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran."""
        return (self.ended or time.time()) - self.started if self.started else 0.0


class Runs:
    """All runs below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log(self, run: Run) -> Path:
        """The run's log."""
        return self._place(run.number) / "log"

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:05d}"

    def all(self) -> list[Run]:
        """Every run, oldest first."""
        found = [self._read(place) for place in sorted(self.folder.glob("[0-9]*"))]
        return [run for run in found if run]

    def get(self, number: int) -> Run:
        """One run. Raises `KubestoreError` when there is none with that number."""
        run = self._read(self._place(number))
        if not run:
            raise KubestoreError(f"there is no run {number}", "`kubestore ci list` shows the runs there are")
        return run

    def _read(self, place: Path) -> Run | None:
        try:
            return Run(**json.loads((place / "run.json").read_text()))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    def queue(self, workflow: str, commit: str, subject: str) -> Run:
        """Add a run at the end of the queue; it appears whole, under a number of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="new-", dir=self.folder))
        try:
            while True:
                taken = [int(place.name) for place in self.folder.glob("[0-9]*")]
                run = Run(max(taken, default=0) + 1, workflow, commit, subject, "queued", time.time())
                (scratch / "log").touch()
                _write(scratch / "run.json", run)
                try:
                    scratch.rename(self._place(run.number))
                    return run
                except OSError:
                    if not self._place(run.number).exists():
                        raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def change(self, run: Run, **fields: object) -> Run:
        """Write a run's new state and return it."""
        changed = replace(run, **fields)  # type: ignore[arg-type]
        _write(self._place(run.number) / "run.json", changed)
        return changed

    def finish(self, run: Run, state: State, reason: str = "") -> Run:
        """End a run."""
        return self.change(run, state=state, ended=time.time(), reason=reason)

    def next(self) -> Run | None:
        """The run to start now: releases in their order, then the newest check."""
        queued = [run for run in self.all() if run.state == "queued"]
        releases = [run for run in queued if run.workflow == "release"]
        return releases[0] if releases else (queued[-1] if queued else None)

    def prune(self) -> None:
        """Forget the oldest runs beyond the `KEPT` newest."""
        for run in self.all()[:-KEPT]:
            if run.over:
                shutil.rmtree(self._place(run.number), ignore_errors=True)


def _write(file: Path, run: Run) -> None:
    files.write(file, json.dumps(asdict(run)) + "\n")
