"""G5: the fault matrix. A row has a hypothesis, an injection, a bounded watch and a verdict; what cannot be
injected here is named as not run and never counted as passed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from kubestore import ui
from kubestore.errors import KubestoreError
from kubestore.prove import faults, ledger
from kubestore.prove.cluster import Cluster
from kubestore.prove.faults import Stage
from kubestore.prove.traffic import Traffic
from kubestore.prove.twin import Twin
from kubestore.prove.workcopy import Workcopy
from kubestore.prove.writes import Witness

RATE = 100.0
LIMIT = 300.0
NAMESPACE = "kubestore-e2e-chaos"


@dataclass(frozen=True)
class Fault:
    """One row: requests that may fail (None: any number, each told 503), seconds within which all is well."""

    name: str
    hypothesis: str
    inject: Callable[[Stage], None]
    may_fail: int | None
    recover_s: float
    twin: bool = False


@dataclass(frozen=True)
class Result:
    """A row's outcome; `ok` is None when it was not run."""

    fault: Fault
    ok: bool | None
    failed: int = 0
    requests: int = 0
    recover_s: float = 0.0
    lost: int = 0
    writes: int = 0
    note: str = ""


ARGO_AWAY = "Argo CD is away during a push: nothing moves, later it is synced"
NO_PROMETHEUS = faults.never("the embedded cluster has no Prometheus yet")
ELSEWHERE = faults.never("`make e2e` proves it: tests/e2e/test_04_bad_release.py")
COREDNS = faults.scaled_away("kube-system", "deployment/coredns")
METRICS = faults.frozen("kube-system", "metrics-server", 25)
ETCD = faults.static_pod_killed("etcd")
API_SERVER = faults.static_pod_killed("kube-apiserver")

MATRIX = (
    Fault("api-kill", "a pod of two is killed: only requests on it fail", faults.pod_killed, 40, 10),
    Fault(
        "redis-kill",
        "Redis is killed 3 times: no write is lost",
        faults.redis_killed(3),
        None,
        90,
    ),
    Fault("redis-delete", "Redis' pod is deleted: the next has the data", faults.redis_deleted, None, 60),
    Fault("redis-slow", "Redis hangs 5 s: writes wait or are told 503", faults.redis_slow, None, 12),
    Fault("redis-memory", "Redis is full: writes are told 503", faults.redis_out_of_memory, None, 15),
    Fault(
        "redis-disk",
        "the disk is full: no write is lost",
        faults.redis_disk_full,
        None,
        100,
        True,
    ),
    Fault("dns", "no name resolves: the store keeps its connections", COREDNS, 0, 0),
    Fault("argocd", ARGO_AWAY, faults.argocd_down, 0, 0),
    Fault("git", "git is away: the store and Argo CD go on as they are", faults.git_down, 0, 0),
    Fault("metrics-server", "no metrics: the autoscaler keeps what there is", METRICS, 0, 0),
    Fault("etcd", "etcd is killed: the store does not notice", ETCD, 0, 0),
    Fault("api-server", "the API server is killed: the store does not notice", API_SERVER, 0, 0),
    Fault("prometheus", "Prometheus is away: the store does not notice", NO_PROMETHEUS, 0, 0),
    Fault("node", "a worker dies: its pods are elsewhere within 60 s", faults.worker_died, 100_000, 60),
    Fault("bad-release", "readiness never passes: the old pods serve", ELSEWHERE, 0, 0),
)


@dataclass
class Watched:
    """A row's stage with its traffic."""

    stage: Stage
    traffic: Traffic
    witness: Witness
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


@contextlib.contextmanager
def watched(cluster: Cluster, fault: Fault) -> Iterator[Watched]:
    """Traffic and a witness against the store, or against a copy for what must not touch it."""
    with contextlib.ExitStack() as stack:
        url, namespace = cluster.instance.store_url, ""
        if fault.twin:
            tree = Workcopy.clone(cluster.instance.forge_url).folder
            twin = stack.enter_context(Twin(cluster, tree, NAMESPACE))
            url, namespace = twin.url, NAMESPACE
        traffic = stack.enter_context(Traffic.start(url, rate=RATE, seconds=LIMIT + 120))
        witness = stack.enter_context(Witness(url))
        time.sleep(3)
        yield Watched(Stage(cluster, witness, namespace), traffic, witness)


def run(cluster: Cluster, fault: Fault) -> Result:
    """Play one row."""
    trouble = ""
    try:
        with watched(cluster, fault) as watch:
            try:
                fault.inject(watch.stage)
            except faults.CannotInject:
                raise
            except KubestoreError as error:
                trouble = error.what
            time.sleep(4)
            tally = watch.traffic.stop()
            account = watch.witness.close()
    except faults.CannotInject as error:
        return Result(fault, None, note=error.what)
    first = watch.stage.blows[0] if watch.stage.blows else 0.0
    recover = tally.outage(first)
    told = (503,) if fault.may_fail is None else (0, 503)
    strange = sorted({r.status for r in tally.failures if r.status not in told})
    enough = fault.may_fail is None or len(tally.failures) <= fault.may_fail
    ok = enough and recover <= fault.recover_s and not account.lost and not strange and not trouble
    notes = [*watch.stage.notes, *([f"status {strange}"] if strange else []), *([trouble] if trouble else [])]
    if tally.failures:
        notes.append(", ".join(f"{k}: {v}" for k, v in tally.verdict().failures_by.items()))
    return Result(
        fault,
        ok,
        len(tally.failures),
        tally.requests,
        recover,
        account.lost,
        account.acknowledged,
        "; ".join(notes),
    )


def prove(cluster: Cluster, names: Sequence[str] = ()) -> list[Result]:
    """Play the rows that are named (all without a name), each on a settled cluster."""
    known = [fault.name for fault in MATRIX]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KubestoreError(f"{unknown[0]}: no such fault", f"one of {', '.join(known)}")
    results = []
    for fault in MATRIX:
        if names and fault.name not in names:
            continue
        with ui.step(f"{fault.name}: {fault.hypothesis}"[:80]) as step:
            cluster.settled(180)
            cluster.rolled_out(120)
            result = run(cluster, fault)
            step.note(said(result))
        results.append(result)
    played = [result for result in results if result.ok is not None]
    lines = {result.fault.name: line(result) for result in results}
    if played:
        ok = all(result.ok for result in played)
        ledger.record("chaos", ok, len(played), lines, "quick" if names else "full")
    return results


def line(result: Result) -> str:
    """A row as the ledger keeps it."""
    if result.ok is None:
        return f"not run: {result.note}"
    counts = f"{result.failed} failed of {result.requests}, recovered in {result.recover_s:.1f} s"
    return f"{said(result)}; {counts}, lost {result.lost} of {result.writes} writes"


def said(result: Result) -> str:
    """The verdict in a word."""
    return {None: "not run", True: "held", False: "DID NOT HOLD"}[result.ok]


def table(results: Sequence[Result]) -> str:
    """The matrix for a person."""
    headers = ("fault", "hypothesis", "verdict", "failed", "of", "recovered s", "lost", "of writes", "note")
    rows = []
    for result in results:
        figures: list[object] = ["-"] * 5
        if result.ok is not None:
            figures = [result.failed, result.requests, f"{result.recover_s:.1f}", result.lost, result.writes]
        rows.append([result.fault.name, result.fault.hypothesis, said(result), *figures, result.note])
    return ui.table(rows, headers)
