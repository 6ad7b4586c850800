"""Nodes under traffic, on a copy of the store: a drain that nobody notices, and a death that is noticed.

The copy has two pods, apart from each other, with a disruption budget; its Redis stays on the first node. The
death is the drain's control too: the same pods on the same node, gone without a word, must cost requests.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubestore import ui, wait
from kubestore.lab import nodes, workers
from kubestore.prove import ledger
from kubestore.prove.cluster import STORE, Cluster, pod
from kubestore.prove.tally import Verdict
from kubestore.prove.traffic import Traffic
from kubestore.prove.twin import Twin, two_pods
from kubestore.prove.workcopy import Workcopy

NAMESPACE = "kubestore-e2e-nodes"
RATE = 120.0
ELSEWHERE_S = 60.0
FIRST = "node-1"


@dataclass(frozen=True)
class Drained:
    """A drain under traffic: what clients saw, seconds until the node was empty, pods that moved."""

    verdict: Verdict
    seconds: float
    moved: int

    @property
    def ok(self) -> bool:
        """Whether pods moved and nobody saw an error."""
        return self.moved > 0 and self.verdict.ok


@dataclass(frozen=True)
class Died:
    """A death under traffic: seconds until every pod was ready elsewhere, and until the last failed request."""

    verdict: Verdict
    elsewhere_s: float
    last_failure_s: float

    @property
    def ok(self) -> bool:
        """Whether pods were elsewhere in time, and the control saw that requests came through the node."""
        return self.elsewhere_s <= ELSEWHERE_S and self.verdict.failures > 0


def free_worker(cluster: Cluster) -> str:
    """A running worker that holds no volume's data; empty when there is none."""
    for node in nodes.existing(cluster.instance):
        if node.number > 1 and node.alive() and not nodes.volumes(cluster.kubectl, node.name):
            return node.name
    return ""


@contextmanager
def worker(cluster: Cluster) -> Iterator[tuple[str, float]]:
    """A worker that may come to harm, and the seconds it took to add it (0: it was there already)."""
    if name := free_worker(cluster):
        yield name, 0.0
        return
    began = time.monotonic()
    name = workers.add(cluster.instance).name
    try:
        yield name, time.monotonic() - began
    finally:
        workers.remove(cluster.instance, name, force=True)


def pods_on(cluster: Cluster, namespace: str, name: str, *, others: bool = False) -> list[Any]:
    """The store's pods on a node (or on all `others`) that are ready and not leaving."""
    query = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/name%3D{STORE}"
    return [
        item
        for item in cluster.api.get(query)["items"]
        if (item["spec"].get("nodeName") != name if others else item["spec"].get("nodeName") == name)
        and pod(item).ready
        and not pod(item).deleting
    ]


@contextmanager
def copy(cluster: Cluster) -> Iterator[Twin]:
    """The copy of the store, with a budget, and Redis on the first node."""
    twin = Twin(cluster, Workcopy.clone(cluster.instance.forge_url).folder, NAMESPACE)
    for item in twin.objects:
        if item["kind"] == "StatefulSet":
            item["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": FIRST}
    twin.objects.append({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": STORE, "namespace": NAMESPACE},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": STORE}}},
    })  # fmt: skip
    with twin:
        twin.become(two_pods)
        yield twin


def spread(cluster: Cluster, twin: Twin, name: str) -> int:
    """Have a pod on the node (rolled out anew until there is one); how many there are."""

    def there() -> int:
        if not pods_on(cluster, NAMESPACE, name):
            twin.restart()
        return len(pods_on(cluster, NAMESPACE, name))

    return wait.until(there, f"a pod on {name}", 60)


@contextmanager
def traffic(twin: Twin) -> Iterator[Traffic]:
    """Clients at the copy, with a few seconds before."""
    twin.settle()
    with Traffic.start(twin.url, rate=RATE, seconds=240) as running:
        time.sleep(3)
        yield running


def drained(cluster: Cluster, twin: Twin, name: str) -> Drained:
    """Drain the node under traffic, then let pods come again."""
    moved = spread(cluster, twin, name)
    with traffic(twin) as running:
        began = time.monotonic()
        workers.drain(cluster.instance, name)
        cluster.rolled_out(90, STORE, NAMESPACE)
        seconds = time.monotonic() - began
        left = len(pods_on(cluster, NAMESPACE, name))
        time.sleep(3)
        verdict = running.stop().verdict()
    workers.start(cluster.instance, name)
    return Drained(verdict, seconds, moved - left)


def elsewhere(cluster: Cluster, namespace: str, name: str, wanted: int) -> float:
    """Wait until as many pods as wanted are ready on other nodes; seconds it took."""
    began = time.monotonic()
    wait.until(
        lambda: len(pods_on(cluster, namespace, name, others=True)) >= wanted,
        f"{namespace}: every pod elsewhere than on {name}", 120, every=0.5,
    )  # fmt: skip
    return time.monotonic() - began


def died(cluster: Cluster, twin: Twin, name: str) -> Died:
    """End the node's processes under traffic, wait for its pods elsewhere, and start it again."""
    spread(cluster, twin, name)
    with traffic(twin) as running:
        at = time.time()
        workers.stop(cluster.instance, name)
        seconds = elsewhere(cluster, NAMESPACE, name, 2)
        time.sleep(5)
        tally = running.stop()
    workers.start(cluster.instance, name)
    return Died(tally.verdict(), seconds, tally.outage(at))


def prove(cluster: Cluster) -> tuple[Drained, Died]:
    """Both on one copy; recorded, and judged by the caller."""
    with cluster.instance.lock("prove nodes"), worker(cluster) as (name, added), copy(cluster) as twin:
        with ui.step(f"drain {name} under traffic") as step:
            drain = drained(cluster, twin, name)
            step.note(drain.verdict.line()[:100])
        with ui.step(f"{name} dies under traffic") as step:
            death = died(cluster, twin, name)
            step.note(death.verdict.line()[:100])
    figures = {
        "node added_s": round(added, 1), "drain_s": round(drain.seconds, 1),
        "drain": f"{drain.verdict.failures} failed of {drain.verdict.requests}, {drain.moved} pods moved",
        "death: pods elsewhere_s": round(death.elsewhere_s, 1),
        "death: last failed request_s": round(death.last_failure_s, 1),
        "death": f"{death.verdict.failures} failed of {death.verdict.requests}",
    }  # fmt: skip
    n = drain.verdict.requests + death.verdict.requests
    ledger.record("nodes", drain.ok and death.ok, n, figures)
    return drain, death


def say(drain: Drained, death: Died) -> str:
    """Both as a person reads them."""
    return (
        f"drain: {drain.verdict.line()}, {drain.moved} pods moved in {drain.seconds:.1f} s\n"
        f"death: pods elsewhere after {death.elsewhere_s:.1f} s, last failed request after "
        f"{death.last_failure_s:.1f} s, {death.verdict.failures} failed of {death.verdict.requests}"
    )
