"""The negative controls of a clean roll-out: take one protection away, and customers should notice.

Run on a copy of the store (`twin`). Without the drain requests must fail, or the proof of clean roll-outs
proves nothing; what the other protections carry is measured and reported.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from kubestore import ui
from kubestore.prove import ledger
from kubestore.prove.cluster import Cluster
from kubestore.prove.tally import Verdict
from kubestore.prove.traffic import Traffic
from kubestore.prove.twin import Object, Twin, container, set_env
from kubestore.prove.workcopy import Workcopy

NAMESPACE = "kubestore-e2e-controls"
RATE = 120.0
MOST_TRIES = 3


def nothing(_: Object) -> None:
    """Every protection in place."""


def without_prestop(deployment: Object) -> None:
    """SIGTERM at once, while kube-proxy may still send new connections."""
    container(deployment).pop("lifecycle", None)


def without_readiness(deployment: Object) -> None:
    """A pod counts as ready as soon as its process runs."""
    for probe in ("readinessProbe", "startupProbe"):
        container(deployment).pop(probe, None)


def without_drain(deployment: Object) -> None:
    """No `Connection: close` while stopping, and no time for requests that are under way."""
    set_env(deployment, "STORE_DRAIN_FILE", "/tmp/never")  # noqa: S108 (a file that is never made)
    set_env(deployment, "GUNICORN_CMD_ARGS", "--graceful-timeout=0")


@dataclass(frozen=True)
class Control:
    """One variant: what is taken away, how, and whether requests must fail, must not, or may."""

    name: str
    change: Callable[[Object], None]
    fails: bool | None


CONTROLS = (
    Control("nothing", nothing, False),
    Control("preStop", without_prestop, None),
    Control("readiness", without_readiness, None),
    Control("drain", without_drain, True),
)


@dataclass(frozen=True)
class Outcome:
    """What the clients saw in one control, over `rollouts` roll-outs."""

    control: Control
    verdict: Verdict
    rollouts: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it went as it must."""
        return self.control.fails is None or self.control.fails == (self.verdict.failures > 0)


def watch(twin: Twin, control: Control, rollouts: int) -> Outcome:
    """Roll out under the clients; a control that must fail is tried a few times until it does."""
    twin.become(control.change)
    twin.settle()
    began = time.monotonic()
    done = 0
    with Traffic.start(twin.url, rate=RATE, seconds=400, requests=200_000) as traffic:
        time.sleep(2)
        most = max(rollouts, MOST_TRIES) if control.fails else rollouts
        while done < most and not (done >= rollouts and traffic.look().failures):
            twin.restart()
            done += 1
        time.sleep(2)
        verdict = traffic.stop().verdict()
    return Outcome(control, verdict, done, time.monotonic() - began)


def row(outcome: Outcome) -> list[object]:
    """One line of the table."""
    verdict = outcome.verdict
    kinds = ", ".join(f"{name}: {count}" for name, count in sorted(verdict.failures_by.items())) or "-"
    must = {None: "may fail", True: "must fail", False: "must not fail"}[outcome.control.fails]
    counts = [outcome.rollouts, verdict.requests, verdict.failures]
    return [outcome.control.name, must, *counts, kinds, "ok" if outcome.ok else "NOT AS IT MUST"]


HEADERS = ("taken away", "requests", "roll-outs", "N", "failed", "which", "verdict")


def prove(cluster: Cluster, rollouts: int = 1, form: str = "quick") -> list[Outcome]:
    """Run every control on one copy of the store; record them. The caller judges `Outcome.ok`."""
    tree = Workcopy.clone(cluster.instance.forge_url).folder
    outcomes = []
    with Twin(cluster, tree, NAMESPACE) as twin:
        for control in CONTROLS:
            with ui.step(f"roll-out without {control.name}") as step:
                outcome = watch(twin, control, rollouts)
                step.note(outcome.verdict.line()[:100])
            outcomes.append(outcome)
    figures = {
        f"without {outcome.control.name}": f"{outcome.verdict.failures} failed of {outcome.verdict.requests}"
        for outcome in outcomes
    }
    total = sum(outcome.verdict.requests for outcome in outcomes)
    ledger.record("controls", all(outcome.ok for outcome in outcomes), total, figures, form)
    return outcomes
