"""The order proof (G4): shoppers buy while API pods and Redis are killed, and then the books are audited.

It runs in a copy of the store with two API pods and a Redis that keeps its data on the disk. What must be
nothing: pieces sold that were not there, acknowledged orders that are lost, orders that were placed twice.
"""

import asyncio
import base64
import hashlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubestore import ui, wait
from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.prove import buyers, ledger, processes, target
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.faults import REDIS
from kubestore.prove.twin import Object, Twin, container, two_pods
from kubestore.prove.wire import Answer, Connection, Dropped
from kubestore.prove.workcopy import Workcopy
from kubestore.run import run

NAMESPACE = "kubestore-e2e-g4"
SCRIPT = "/opt/store/app/store/lua/checkout.lua"
SCARCE = 20
TRIES = 20
OVERSOLD = frozenset(("oversold",))
LOST = frozenset(("acknowledged-lost", "order-lost"))
DUPLICATES = frozenset(("placed-twice", "acknowledged-twice", "one-order-a-key"))


@dataclass
class Outcome:
    """One run: what the shoppers met, and what the audit found, by kind."""

    sales: buyers.Sales
    report: dict[str, Any]
    kills: list[str] = field(default_factory=list)

    @property
    def found(self) -> Counter[str]:
        """The audit's findings by kind."""
        return Counter(finding["check"] for finding in self.report["findings"])

    def count(self, kinds: frozenset[str]) -> int:
        """How many findings are of these kinds."""
        return sum(count for kind, count in self.found.items() if kind in kinds)

    @property
    def figures(self) -> dict[str, Any]:
        """The three that matter, and what they are counted on."""
        return {
            "oversold": self.count(OVERSOLD),
            "acknowledged_lost": self.count(LOST),
            "duplicates": self.count(DUPLICATES),
            "findings": dict(self.found),
            "acknowledged": self.report["acks"],
            "repeats": self.sales.repeats,
            "sold_out": self.sales.sold_out,
            "sent_again": dict(self.sales.sent_again),
            "kills": self.kills,
            "seconds": round(self.sales.seconds, 1),
        }


def on_disk(twin: Twin) -> None:
    """Let the copy's Redis keep its data on the node's disk: the proof is about what was acknowledged."""
    for item in twin.objects:
        if item["kind"] == "StatefulSet":
            for volume in item["spec"]["template"]["spec"]["volumes"]:
                if volume["name"] == "data":
                    volume["emptyDir"] = {"sizeLimit": "2Gi"}


def mutated(twin: Twin, script: str) -> None:
    """Run both pods with `script` in place of their checkout script."""
    name = f"mutant-{hashlib.sha256(script.encode()).hexdigest()[:10]}"  # a node may know an older one by the same name
    twin.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": twin.namespace},
                "data": {"checkout.lua": script},
            }
        ]
    )

    def mount(deployment: Object) -> None:
        two_pods(deployment)
        deployment["spec"]["template"]["spec"]["volumes"].append({"name": name, "configMap": {"name": name}})
        container(deployment)["volumeMounts"].append(
            {"name": name, "mountPath": SCRIPT, "subPath": "checkout.lua", "readOnly": True}
        )

    twin.become(mount)


def emptied(twin: Twin) -> None:
    """Empty Redis, and wait until the pods have filled it with the catalog again."""
    twin.exec(f"{REDIS}-0", "redis-cli", "flushall")

    def revision() -> str:
        return twin.exec(f"{REDIS}-0", "redis-cli", "hget", "catalog:meta", "revision").strip()

    wait.until(revision, "a catalog", 30)


def stocked(twin: Twin, scarce: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Set the stock of `SCARCE` SKUs to `scarce` pieces and of all others to plenty; the SKUs of both."""
    secret = twin.cluster.api.get(f"/api/v1/namespaces/{twin.namespace}/secrets/store-secrets")
    token = base64.b64decode(secret["data"]["admin-token"]).decode()
    where = target.here(twin.url)

    async def ask(method: str, path: str, body: Any = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        answer = await _patiently(where, head.encode(), content)
        if answer.status != 200:
            raise KubestoreError(f"{method} {path}: status {answer.status}: {answer.body[:200]!r}")
        return json.loads(answer.body)

    async def everything() -> list[str]:
        skus = [item["sku"] for item in (await ask("GET", "/api/v1/products?limit=100"))["items"]]
        for number, sku in enumerate(skus):
            stock = scarce if number < SCARCE else 1_000_000
            await ask("PUT", f"/api/v1/admin/stock/{sku}", {"stock": stock, "reason": "the order proof"})
        return skus

    skus = asyncio.run(everything())
    return tuple(skus[:SCARCE]), tuple(skus[SCARCE:])


async def _patiently(where: target.Target, head: bytes, content: bytes) -> Answer:
    """The answer to a request that may be sent again; right after a roll-out a node's rules may be old yet."""
    for tries in range(TRIES):
        try:
            connection = await Connection.open(where, 10)
            answer = await connection.ask(head, content, 10)
            connection.close()
        except Dropped:
            if tries == TRIES - 1:
                raise
            await asyncio.sleep(0.3)
        else:
            return answer
    raise AssertionError


def kill(cluster: Cluster, namespace: str, name: str, number: int = 0) -> str:
    """SIGKILL every process of one pod of `name`; which it was."""
    pods = sorted(
        (pod for pod in cluster.pods(namespace, name) if not pod.deleting), key=lambda pod: pod.name
    )
    pod = pods[number % len(pods)]
    for process in processes.of_container(pod.containers[0]):
        try:
            process.signal(signal.SIGKILL)
        except (KubestoreError, ProcessLookupError):
            continue  # its parent's end was its own
    return pod.name


Blow = tuple[float, str, int]
BLOWS: tuple[Blow, ...] = ((0.15, STORE, 0), (0.35, REDIS, 0), (0.55, STORE, 1), (0.75, REDIS, 0))
"""At which share of the checkouts which pod dies."""


def trade(
    twin: Twin, checkouts: int, blows: tuple[Blow, ...] = (), seconds: float = 200, hunted: float = 0.3
) -> Outcome:
    """Let the shoppers buy, kill what `blows` say, and audit. Raises `KubestoreError` for a wrong answer."""
    scarce, plenty = stocked(twin, max(checkouts // 10 // SCARCE, 1))
    where = target.here(twin.url)
    plan = buyers.Plan(where, scarce, plenty, checkouts, hunted=hunted, seconds=seconds)
    sales, failed = buyers.Sales(), list[BaseException]()

    def work() -> None:
        try:
            asyncio.run(buyers.sell(plan, sales))
        except BaseException as error:  # told by the thread that waits
            failed.append(error)

    shop = threading.Thread(target=work, daemon=True)
    shop.start()
    kills = list(_strike(twin, blows, lambda: sales.placed / checkouts, shop))
    shop.join(seconds + 30)
    if failed or shop.is_alive():
        raise KubestoreError(f"the shoppers: {_why(failed[0]) if failed else 'not done in time'}")
    return Outcome(sales, audit(twin, sales), kills)


def prove(cluster: Cluster, checkouts: int, form: str) -> bool:
    """The whole proof but for its controls, which `make e2e` has; a line goes to the ledger."""
    twin = Twin(cluster, Workcopy.clone(cluster.instance.forge_url).folder, f"{NAMESPACE}-{form}")
    on_disk(twin)
    with twin:
        twin.become(two_pods)
        outcome = trade(twin, checkouts, BLOWS, seconds=max(200, checkouts / 50))
    ledger.record("orders", not outcome.found, outcome.report["acks"], outcome.figures, form)
    ui.say(json.dumps(outcome.figures))
    return not outcome.found


def _strike(
    twin: Twin, blows: tuple[Blow, ...], share: Callable[[], float], shop: threading.Thread
) -> "list[str]":
    """Deal each blow when its share of the checkouts is done."""
    dealt = []
    for at, name, number in blows:
        while share() < at and shop.is_alive():
            time.sleep(0.05)
        if shop.is_alive():
            dealt.append(kill(twin.cluster, twin.namespace, name, number))
    return dealt


def _why(error: BaseException) -> str:
    """The first error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def audit(twin: Twin, sales: buyers.Sales) -> dict[str, Any]:
    """`store audit --acks` in a pod of the store, with what the shoppers were told."""
    pod = next(pod.name for pod in twin.cluster.pods(twin.namespace) if pod.ready and not pod.deleting)
    command: list[str | Path] = [
        programs.path("kubectl"), "--kubeconfig", twin.cluster.instance.kubeconfig, "-n", twin.namespace,
        "exec", "-i", pod, "--", "python3", "-m", "store", "audit", "--acks", "-", "--json",
    ]  # fmt: skip
    done = run(command, input="\n".join(sales.acks) + "\n", timeout=120, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise KubestoreError(f"store audit: {done.stderr.strip()[-500:]}") from error
    return report
