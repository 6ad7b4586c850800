"""Following a run to its end, for `kubestore ci watch` and for the first release."""

import codecs
import time
from collections.abc import Callable
from pathlib import Path

from kubestore.errors import KubestoreError
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.run import Process

EVERY = 0.3
GRACE = 3.0  # `up` starts the runner anew where its settings changed


class Growth:
    """What a log has grown by; one that begins anew (its run was queued again) is read anew."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> str:
        """The text since the last call."""
        with self.log.open("rb") as file:
            if file.seek(0, 2) < self._offset:
                self._offset = 0
                self._decoder.reset()
            file.seek(self._offset)
            found = file.read()
        self._offset += len(found)
        return self._decoder.decode(found)


def runner_lives(settings: Settings) -> bool:
    """Whether there is a process that takes runs from the queue."""
    return Process.running(settings.pid_file("runner")) is not None


def follow(settings: Settings, run: Run, limit: float, show: Callable[[Run, str], None]) -> Run:
    """Wait until a run is over and return it; `show` gets its state and what its log has grown by.

    Raises `KubestoreError` when there is no runner that could end it, or after `limit` seconds.
    """
    runs, began = Runs(settings.runs), time.monotonic()
    growth, alive = Growth(runs.log(run)), began
    while True:
        run = runs.get(run.number)  # before the log, so that the last lines of a run that is over are shown
        show(run, growth.read())
        if run.over:
            return run
        now = time.monotonic()
        alive = now if runner_lives(settings) else alive
        if now - alive > GRACE:
            raise KubestoreError(
                f"run {run.number} ({run.workflow}) is {run.state}, but the pipeline's runner does not run",
                f"kubestore up starts it, and it goes on with its queue; its log is {settings.logs / 'runner.log'}",
            )
        if now - began > limit:
            raise KubestoreError(
                f"run {run.number} ({run.workflow}) is {run.state} after {limit:.0f} s",
                f"kubestore ci watch {run.number} looks on",
            )
        time.sleep(EVERY)
