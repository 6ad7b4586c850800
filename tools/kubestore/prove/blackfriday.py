"""G3: a spike takes the store from 1 to 10 pods in one step and back, and nobody sees an error."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from kubestore import ui, wait
from kubestore.errors import KubestoreError
from kubestore.prove import chart, ledger, pace
from kubestore.prove.cluster import Cluster
from kubestore.prove.load import Load, Outcome, Shape

MOST = 10
LIMIT = 30.0
QUICK = Shape(quiet_s=10, plateau_s=40, calm_s=420)  # ends as soon as one pod is left


@dataclass(frozen=True)
class Sample:
    """One look at the cluster, `at` in epoch seconds."""

    at: float
    ready: int
    desired: int
    cpu_percent: int


def moments(samples: list[Sample], since: float) -> tuple[float, float]:
    """When all pods were ready after `since`, and when one was left after that; 0 for what was not seen."""
    full = next((s.at for s in samples if s.at > since and s.ready >= MOST), 0.0)
    return full, next((s.at for s in samples if full and s.at > full and s.ready == 1), 0.0)


class Sampler(threading.Thread):
    """Looks at replicas and the autoscaler twice a second, on a connection of its own."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self.missed = 0
        self._cluster = Cluster(cluster.instance)
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop_now.wait(0.5):
            try:
                rollout, hpa = self._cluster.rollout(), self._cluster.autoscaler()
            except KubestoreError:
                self.missed += 1
                continue
            self.samples.append(Sample(time.time(), rollout.ready, hpa.desired, hpa.cpu_percent or 0))

    def over(self, since: float) -> bool:
        """Whether all pods were there after `since` (epoch seconds), and one is left."""
        samples = list(self.samples)
        return moments(samples, since)[1] > 0 and samples[-1].ready == samples[-1].desired == 1

    def stop(self) -> list[Sample]:
        """End it and return what it saw."""
        self._stop_now.set()
        self.join(15)
        self._cluster.api.close()
        return self.samples


@dataclass(frozen=True)
class Spike:
    """One Black Friday. Seconds count from the start of the spike; -1 when it did not come to that."""

    outcome: Outcome
    samples: list[Sample]
    to_most_s: float
    down_s: float

    @property
    def in_time(self) -> bool:
        """Whether all pods were ready within `LIMIT`."""
        return 0 <= self.to_most_s <= LIMIT

    @property
    def ok(self) -> bool:
        """Up in time, down again, nobody saw an error."""
        return self.outcome.ok and self.in_time and self.down_s >= 0


def calm(cluster: Cluster, timeout: float = 240) -> None:
    """Wait until the store is at one ready pod and the autoscaler wants no more."""

    def check() -> bool:
        rollout, hpa = cluster.rollout(), cluster.autoscaler()
        return rollout.done and rollout.ready == 1 and hpa.desired == 1 and hpa.cpu_percent is not None

    last = lambda: f"{cluster.rollout()}; {cluster.autoscaler()}"  # noqa: E731
    wait.until(check, "one pod at rest", timeout, every=1, last=last)


def spike(cluster: Cluster, shape: Shape = QUICK) -> Spike:
    """Run one Black Friday and watch; its calm ends when one pod is left."""
    calm(cluster)
    sampler = Sampler(cluster)
    load = Load(cluster.instance.store_url, shape)
    began = time.time()
    sampler.start()
    try:
        while load.alive() and not sampler.over(began):
            time.sleep(1)
        load.enough()
        outcome = load.outcome()
    finally:
        load.stop()
        samples = sampler.stop()
    since = outcome.spike_at
    full, down = moments(samples, since)
    return Spike(outcome, samples, full - since if full else -1.0, down - since if down else -1.0)


def picture(found: Spike) -> str:
    """The time line: replicas, CPU, rate, p95."""
    samples, bins = found.samples, found.outcome.bins
    begin = min(samples[0].at, bins[0]["second"])
    end = max(samples[-1].at, bins[-1]["second"]) - begin
    panels = [
        chart.Panel("pods", [
            chart.Line("wanted", "#bf8700", [(s.at - begin, s.desired) for s in samples], steps=True),
            chart.Line("ready", "#0969da", [(s.at - begin, s.ready) for s in samples], steps=True),
        ]),
        chart.Panel("CPU, % of the request (target 50)", [
            chart.Line("CPU", "#8250df", [(s.at - begin, s.cpu_percent) for s in samples], steps=True),
        ]),
        chart.Panel("answers a second", [
            chart.Line("answers", "#1a7f37", [(b["second"] - begin, b["requests"]) for b in bins]),
            chart.Line("failed", "#cf222e", [(b["second"] - begin, b["failures"]) for b in bins]),
        ]),
        chart.Panel("p95, ms", [
            chart.Line("p95", "#bc4c00", [(b["second"] - begin, b["p95_ms"]) for b in bins]),
        ]),
    ]  # fmt: skip
    title = f"Black Friday: 1 -> {MOST} pods {found.to_most_s:.1f} s after the spike; {found.outcome.line()}"
    return chart.svg(title, panels, end, [(found.outcome.spike_at - begin, "spike")])


def figures(spikes: list[Spike]) -> dict[str, Any]:
    """What the ledger keeps."""
    return {
        "to_10_ready_s": ledger.spread([s.to_most_s for s in spikes if s.to_most_s >= 0]),
        "down_to_1_s": ledger.spread([s.down_s for s in spikes if s.down_s >= 0]),
        "failed": sum(s.outcome.failures for s in spikes),
        "p95_ms": ledger.spread([s.outcome.p95_ms for s in spikes]),
        "peak_per_second": ledger.spread([s.outcome.peak_rate for s in spikes], 0),
        "most_cpu_percent": max((sample.cpu_percent for s in spikes for sample in s.samples), default=0),
    }


def prove(cluster: Cluster, spikes: int = 1, at_stock_pace: int = 0) -> bool:
    """Run spikes one after the other, record them, and draw the last; then some with the controller's stock pace.

    Those are reported and decide nothing but that nobody sees an error.
    """
    found = _series(cluster, spikes, "spike")
    file = chart.write(ledger.FOLDER / "blackfriday.svg", picture(found[-1]))
    ui.say(f"picture: {file}")
    slow = []
    if at_stock_pace:
        with pace.stock(cluster):
            slow = _series(cluster, at_stock_pace, f"the controller looks every {pace.STOCK}: spike")
    ok = all(one.ok for one in found) and all(one.outcome.ok for one in slow)
    requests = sum(one.outcome.requests for one in found + slow)
    measured = figures(found) | {f"stock_{name}": value for name, value in figures(slow).items() if slow}
    ledger.record("blackfriday", ok, requests, measured, "quick" if spikes == 1 else "full")
    return ok


def _series(cluster: Cluster, spikes: int, what: str) -> list[Spike]:
    found = []
    for number in range(spikes):
        with ui.step(f"{what} {number + 1} of {spikes}") as step:
            found.append(spike(cluster))
            step.note(f"10 ready after {found[-1].to_most_s:.1f} s; {found[-1].outcome.line()}"[:110])
    return found
