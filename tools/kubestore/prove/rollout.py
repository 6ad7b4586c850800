"""G1: roll-outs of every kind under traffic that never retries; nobody may see an error.

A move is one roll-out: a new image, the rollback of it, a change of settings (all three by a push), a move
of the number of replicas, an eviction with two pods.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kubestore import ui, wait
from kubestore.prove import ledger
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.tally import Tally
from kubestore.prove.traffic import Traffic
from kubestore.prove.workcopy import Pushed, Workcopy

SETTINGS = "apps/store/base/settings.env"
PACKAGE = "app-src/store/__init__.py"
MOVE_LIMIT = 150.0
BEFORE = 12.0


@dataclass(frozen=True)
class Form:
    """How much is proved: roll-outs, requests, requests a second, and the longest it may take in seconds."""

    name: str
    rollouts: int
    requests: int
    rate: float
    limit: float


QUICK = Form("quick", 5, 50_000, 300, 480)
FULL = Form("full", 100, 1_000_000, 400, 3 * 3600)


@dataclass(frozen=True)
class Window:
    """One roll-out, from its cause to its last old pod gone (epoch seconds)."""

    kind: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


def harmless(text: str) -> str:
    """A module with one more comment: another image, the same behaviour."""
    return text.rstrip("\n") + f"\n\n\n# Proof of a push at {time.time_ns()}.\n"


def synced(cluster: Cluster, pushed: Pushed, timeout: float = MOVE_LIMIT) -> None:
    """Wait until Argo CD has rolled out a pushed commit of the store's manifests and old pods are gone."""
    seen = ["nothing"]

    def check() -> bool:
        app = cluster.application(STORE)
        seen[0] = f"{app} at {app.revision[:10]}"
        return app.revision == pushed.sha and app.settled

    what = f"store Synced and Healthy at {pushed.sha[:10]}"
    wait.until(check, what, timeout, every=0.3, last=lambda: seen[0])
    cluster.rolled_out(timeout)


@dataclass
class Moves:
    """What can roll the store out, one method a kind; each returns when the roll-out is over."""

    cluster: Cluster
    copy: Workcopy
    undo: list[str] = field(default_factory=list)

    def image(self) -> None:
        """Another image that main has named before: the line that the bump writes."""
        self.copy.reset()
        now = self.copy.tag()
        other = next(tag for tag in self.copy.tags() if tag != now)
        self.copy.set_tag(other)
        short = [tag.partition("@")[0] for tag in (now, other)]
        pushed = self.copy.push_change(f"deploy(embedded): store {short[0]} -> {short[1]}")
        self.undo.append(pushed.sha)
        synced(self.cluster, pushed)

    def rollback(self) -> None:
        """`git revert` of the last change that was pushed here."""
        if self.undo:
            self.copy.reset()
            synced(self.cluster, self.copy.revert(self.undo.pop()))

    def config(self) -> None:
        """A setting of the store: a ConfigMap with another name, so another template."""
        self.copy.reset()
        self.copy.edit(SETTINGS, lambda text: flipped(text))
        pushed = self.copy.push_change("test(apps): another log level")
        self.undo.append(pushed.sha)
        synced(self.cluster, pushed)

    def replicas(self) -> None:
        """More pods, then what the autoscaler makes of them."""
        want = self.cluster.rollout().desired
        want = want - 1 if want > 2 else want + 2
        self.cluster.kubectl.run("-n", STORE, "scale", f"deployment/{STORE}", f"--replicas={want}")
        self.cluster.rolled_out(MOVE_LIMIT)

    def eviction(self) -> None:
        """One of at least two pods is evicted, as a drain of its node does."""
        if self.cluster.rollout().desired < 2:
            self.cluster.kubectl.run("-n", STORE, "scale", f"deployment/{STORE}", "--replicas=2")
        self.cluster.rolled_out(MOVE_LIMIT)
        evict(self.cluster, next(pod.name for pod in self.cluster.pods() if pod.ready and not pod.deleting))
        self.cluster.rolled_out(MOVE_LIMIT)

    def restore(self) -> None:
        """Revert whatever is still pushed."""
        while self.undo:
            self.rollback()

    def __iter__(self) -> Iterator[tuple[str, Callable[[], None]]]:
        kinds = (self.image, self.rollback, self.config, self.replicas, self.eviction, self.rollback)
        return ((kind.__name__, kind) for kind in itertools.cycle(kinds))


def flipped(settings: str) -> str:
    """Settings with the log level at `warning` instead of `info`, or back."""
    if "LOG_LEVEL=info" in settings:
        return settings.replace("LOG_LEVEL=info", "LOG_LEVEL=warning")
    return settings.replace("LOG_LEVEL=warning", "LOG_LEVEL=info")


def evict(cluster: Cluster, pod: str, namespace: str = STORE) -> None:
    """Ask for an eviction through the API, which a PodDisruptionBudget may refuse."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    meta = {"name": pod, "namespace": namespace}
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta})
    cluster.kubectl.run("create", "--raw", path, "-f", "-", input=body)


def second_image(cluster: Cluster, copy: Workcopy) -> list[str]:
    """Make sure that main's history names two images; returns the commits to revert afterwards."""
    copy.reset()
    if len(copy.tags()) >= 2:
        return []
    with ui.step("a second image, by a push of a comment"):
        copy.edit(PACKAGE, harmless)
        pushed = copy.push_change("test(app-src): another image")
        synced(cluster, copy.bump_after(pushed.sha, 180))
    return [pushed.sha]


def prove(cluster: Cluster, form: Form) -> bool:
    """Roll out under traffic until the form's roll-outs and requests are reached; record and judge."""
    copy = Workcopy.clone(cluster.instance.forge_url)
    second_image(cluster, copy)
    moves = Moves(cluster, copy)
    windows: list[Window] = []
    with Traffic.start(
        cluster.instance.store_url, rate=form.rate, seconds=form.limit, requests=2 * form.requests
    ) as traffic:
        began = time.time()
        time.sleep(BEFORE)
        kinds = iter(moves)
        while unfinished(form, windows, traffic.look()) and time.time() - began < form.limit - MOVE_LIMIT:
            kind, move = next(kinds)
            windows.append(timed(kind, move, traffic))
        moves.restore()
        tally = traffic.stop()
    return judged(form, windows, tally, began)


def timed(kind: str, move: Callable[[], None], traffic: Traffic) -> Window:
    """Make one move and tell how it went."""
    start = time.time()
    with ui.step(f"roll-out: {kind}") as step:
        move()
        tally = traffic.look()
        step.note(f"{len(tally.failures)} failed of {tally.requests}")
    return Window(kind, start, time.time())


def unfinished(form: Form, windows: list[Window], tally: Tally) -> bool:
    """Whether roll-outs or requests are still missing. A failure ends a run early: it is judged then."""
    return not tally.failures and (len(windows) < form.rollouts or tally.requests < form.requests)


def judged(form: Form, windows: list[Window], tally: Tally, began: float) -> bool:
    """Write the run to the ledger; True when nobody saw an error and the counts were reached."""
    verdict = tally.verdict()
    before = tally.latency(began, windows[0].began)
    during = tally.latency(windows[0].began, windows[-1].ended)
    figures: dict[str, Any] = {
        "failed": verdict.failures,
        "bound_95": f"{verdict.bound:.1e}",
        "roll-outs": len(windows),
        "posts": verdict.posts,
        "requests_per_second": verdict.rate,
        "p99_before_ms": before.p99 if before else None,
        "p99_during_ms": during.p99 if during else None,
    }
    for kind in dict.fromkeys(window.kind for window in windows):
        samples = [window.seconds for window in windows if window.kind == kind]
        figures[f"seconds_{kind}"] = ledger.spread(samples, 1)
    if verdict.failures:
        figures["failures"] = verdict.failures_by
        figures["first_failures"] = "; ".join(verdict.examples[:3])
    ok = verdict.ok and len(windows) >= form.rollouts and verdict.requests >= form.requests
    ledger.record("rollout", ok, verdict.requests, figures, form.name)
    ui.say(f"{len(windows)} roll-outs: {verdict.line()}")
    return ok
