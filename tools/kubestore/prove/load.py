"""Locust, run as a process: the shape of a Black Friday in, its figures and report out."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubestore import paths, run, wait
from kubestore.errors import KubestoreError
from kubestore.prove import ledger, target

LOCUSTFILE = paths.REPO / "tests" / "load" / "locustfile.py"
PEAK = 150


@dataclass(frozen=True)
class Shape:
    """Stages in seconds, customers in each, and requests a second of one customer: in a calm, in a spike."""

    quiet_s: float = 15.0
    plateau_s: float = 60.0
    calm_s: float = 30.0
    few: int = 1
    peak: int = PEAK
    rate_calm: float = 1.0
    rate_each: float = 5.0

    @property
    def total_s(self) -> float:
        """How long it takes."""
        return self.quiet_s + self.plateau_s + self.calm_s


@dataclass(frozen=True)
class Outcome:
    """What locust saw. `spike_at` is in epoch seconds; `bins` has one entry a second."""

    requests: int
    failures: int
    p95_ms: float
    rate: float
    spike_at: float
    errors: list[str]
    bins: list[dict[str, Any]] = field(repr=False)
    report: Path

    @property
    def ok(self) -> bool:
        """Nobody saw an error."""
        return self.requests > 0 and self.failures == 0

    @property
    def peak_rate(self) -> float:
        """The median of requests a second over the busiest 20 seconds."""
        busiest = sorted((entry["requests"] for entry in self.bins), reverse=True)[:20]
        return float(busiest[len(busiest) // 2]) if busiest else 0.0

    def line(self) -> str:
        """One line for a person."""
        text = f"{self.failures} failed of {self.requests}, p95 {self.p95_ms:.0f} ms"
        text += f", peak {self.peak_rate:.0f}/s"
        return text + (f": {'; '.join(self.errors[:3])}" if self.errors else "")


class Load:
    """A running locust."""

    def __init__(self, url: str, shape: Shape, folder: Path | None = None) -> None:
        target.here(url)
        folder = folder or ledger.FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self.report = folder / f"load-{stamp}.html"
        self.timeline = folder / f"load-{stamp}.json"
        self.log = folder / f"load-{stamp}.log"
        self.shape = shape
        self._enough = folder / f"load-{stamp}.enough"
        settings = json.dumps(
            {"shape": asdict(shape), "timeline": str(self.timeline), "enough": str(self._enough)}
        )
        tools = f"{paths.REPO / 'tools'}:{paths.REPO}"
        self._process = run.spawn(
            [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", "--host", url,
             "--html", self.report, "--only-summary"],
            log=self.log, env={"KUBESTORE_LOAD": settings, "PYTHONPATH": tools},
        )  # fmt: skip

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.alive()

    def enough(self) -> None:
        """Let it end before its shape does, with its figures."""
        self._enough.touch()

    def stop(self) -> None:
        """End it now."""
        self._process.stop(5)
        self._enough.unlink(missing_ok=True)

    def outcome(self) -> Outcome:
        """Wait for its end and read what it saw. Raises `KubestoreError` when it died."""
        wait.until(lambda: not self.alive(), "the load to end", self.shape.total_s + 60)
        try:
            facts = json.loads(self.timeline.read_text())
        except (OSError, ValueError) as error:
            last = run.tail(self.log.read_text(), 3)
            raise KubestoreError(f"the load died: {last}", f"see {self.log}") from error
        return Outcome(**facts, report=self.report)


def run_locust(url: str, shape: Shape) -> Outcome:
    """Run a whole Black Friday against `url`."""
    load = Load(url, shape)
    try:
        return load.outcome()
    finally:
        load.stop()
