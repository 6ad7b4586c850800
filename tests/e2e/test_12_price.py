"""A price is changed by a push alone: the hook applies it before the pods, and neither hangs nor flaps."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kubestore import wait
from kubestore.prove import ledger, processes, target
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.faults import REDIS
from kubestore.prove.rollout import synced
from kubestore.prove.traffic import Traffic
from tests.e2e.steps import Loop, figure, nobody_saw_an_error, then, when

pytestmark = pytest.mark.e2e

CATALOG = "apps/store/base/catalog.json"
SKU = "KIT-MUG-ENAMEL"
HOOK = f"/api/v1/namespaces/{STORE}/pods/store-catalog"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{STORE}/deployments/{STORE}"
APPLICATION = f"/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{STORE}"
CALM = 15.0


def product(cluster: Cluster) -> dict[str, Any]:
    """The product as a customer sees it."""
    address = f"{target.here(cluster.instance.store_url).url}/api/v1/products/{SKU}"
    with urllib.request.urlopen(address, timeout=5) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def repriced(text: str) -> str:
    """The catalog with one other price."""
    catalog = json.loads(text)
    entry = next(item for item in catalog["products"] if item["sku"] == SKU)
    old, new = f'"price_cents": {entry["price_cents"]}', f'"price_cents": {entry["price_cents"] + 7}'
    head, mark, tail = text.partition(f'"sku": "{SKU}"')
    return head + mark + tail.replace(old, new, 1)


def wanted(loop: Loop) -> int:
    """The price that the clone's file has."""
    products = json.loads(loop.copy.read(CATALOG))["products"]
    return int(next(item["price_cents"] for item in products if item["sku"] == SKU))


def live(cluster: Cluster, price: int, timeout: float) -> float:
    """Wait until customers see `price`; when that was."""
    seen: list[Any] = []

    def check() -> bool:
        with contextlib.suppress(OSError):
            seen[:] = [product(cluster)["price_cents"]]
        return seen == [price]

    wait.until(check, f"{SKU} at {price} cents", timeout, every=0.1, last=lambda: f"{seen}")
    return time.time()


def syncs(cluster: Cluster) -> tuple[str, int]:
    """When the last operation ended, and how many syncs Argo CD remembers."""
    status = cluster.api.get(APPLICATION)["status"]
    history = status.get("history") or [{}]
    return status.get("operationState", {}).get("finishedAt", ""), history[-1].get("id", 0)


def calm(cluster: Cluster) -> None:
    """A hook that succeeded goes, and Argo CD misses nothing: nothing is synced, nothing is out of sync."""
    cluster.settled(60)
    before = syncs(cluster)
    end = time.monotonic() + CALM
    while time.monotonic() < end:
        app = cluster.application(STORE)  # its health is left out: the autoscaler may be at work
        assert (app.sync, app.phase) == ("Synced", "Succeeded"), str(app)
        time.sleep(0.5)
    assert syncs(cluster) == before
    assert not cluster.exists(HOOK), "the hook's pod is still there"


def restarts(cluster: Cluster) -> int:
    """Of all the store's pods."""
    return sum(pod.restarts for pod in cluster.pods())


def test_a_pushed_price_is_live_and_taken_back_and_nobody_sees_an_error(cluster: Cluster, loop: Loop) -> None:
    before, restarted = product(cluster), restarts(cluster)
    with Traffic.start(cluster.instance.store_url, rate=100, seconds=240, requests=50_000) as traffic:
        time.sleep(5)
        loop.copy.edit(CATALOG, repriced)
        price = wanted(loop)
        with when("a commit changes one price and nothing else", 30):
            pushed = loop.push("test(apps): another price")
        with then("customers see it", 60):
            seconds = live(cluster, price, 60) - pushed.ended
        with then("Argo CD is Synced and Healthy at the commit, and the old pods are gone", 100):
            synced(cluster, pushed, 90)
        verdict = traffic.stop().verdict()
    after = product(cluster)
    figure("price: push -> live", f"{seconds:.1f} s", 1)
    figure("price: failed requests", f"{verdict.failures} (p < {verdict.bound:.1e})", verdict.requests, "0")
    ledger.record(
        "price", verdict.ok, verdict.requests, {"live_s": round(seconds, 2), "failed": verdict.failures}
    )
    with then("only the price is another, and no pod crashed", 1):
        assert after == {**before, "price_cents": price}
        assert restarts(cluster) <= restarted
    nobody_saw_an_error(verdict, 2_000)
    with then("Argo CD stays calm without the hook", 90):
        calm(cluster)
    taken_back_while_redis_hangs(cluster, loop, before["price_cents"])


@contextlib.contextmanager
def redis_hangs(cluster: Cluster) -> Iterator[None]:
    """Redis takes connections and answers nothing."""
    pod = next(pod for pod in cluster.pods(REDIS, REDIS) if not pod.deleting)
    found = processes.of_container(pod.containers[0])
    server = next(process for process in found if "redis-server" in process.command)
    with processes.stopped(server):
        yield


def hook_failed(cluster: Cluster) -> bool:
    """Whether the hook was tried and will be tried again."""
    if not cluster.exists(HOOK):
        return False
    return any(one["restartCount"] for one in cluster.api.get(HOOK)["status"].get("containerStatuses", []))


def taken_back_while_redis_hangs(cluster: Cluster, loop: Loop, price: int) -> None:
    """The old price comes with a revert, whose hook fails at first: Redis takes connections and answers nothing."""
    with when("the push is reverted", 30):
        generation = cluster.api.get(DEPLOYMENT)["metadata"]["generation"]
        back = loop.revert()
    # From here on: stopped for longer, its own liveness probe would restart Redis.
    with redis_hangs(cluster), then("the hook tries and fails, and the pods are left alone", 60):
        wait.until(lambda: hook_failed(cluster), "a failed try of the hook", 60)
        assert cluster.api.get(DEPLOYMENT)["metadata"]["generation"] == generation
    answers = time.time()
    with then("the old price is live once Redis answers", 90):
        seconds = live(cluster, price, 90) - answers
        synced(cluster, back, 90)
    figure("price pushed without Redis: Redis back -> live", f"{seconds:.1f} s", 1)
    ledger.record("price-without-redis", True, 1, {"live_s": round(seconds, 2)})
