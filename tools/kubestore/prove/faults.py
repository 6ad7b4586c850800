"""Injectors of the fault matrix: each breaks one thing on the running cluster and puts it back by itself.

An injector returns when the fault is over and what it broke is back, within the bounds that it names; it
raises `CannotInject` where it cannot work, which counts as not run.
"""

import signal
import time
from collections.abc import Callable

from kubestore import wait
from kubestore.errors import KubestoreError
from kubestore.lab import workers
from kubestore.prove import nodes, processes
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.rollout import SETTINGS, flipped, synced
from kubestore.prove.workcopy import Workcopy
from kubestore.prove.writes import Witness
from kubestore.run import Process

REDIS = "redis"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{STORE}/deployments/{STORE}"
HOLD = 15.0


class CannotInject(KubestoreError):
    """The fault cannot be made on this cluster; the row is named as not run."""


class Stage:
    """Where faults play: the cluster, the witness of writes, and when each blow fell (epoch seconds)."""

    def __init__(self, cluster: Cluster, witness: Witness, namespace: str = "") -> None:
        self.cluster = cluster
        self.witness = witness
        self.redis_namespace = namespace or REDIS
        self.store_namespace = namespace or STORE
        self.blows: list[float] = []
        self.notes: list[str] = []

    def blow(self) -> float:
        """Remember that something breaks now."""
        self.blows.append(time.time())
        return self.blows[-1]

    def redis_pod(self) -> str:
        """The name of Redis' pod."""
        return next(pod.name for pod in self.cluster.pods(self.redis_namespace, REDIS) if not pod.deleting)

    def redis_process(self) -> processes.Found:
        """Redis' server process."""
        pods = [pod for pod in self.cluster.pods(self.redis_namespace, REDIS) if not pod.deleting]
        found = processes.of_container(pods[0].containers[0])
        return next(process for process in found if "redis-server" in process.command)

    def redis_sh(self, script: str) -> str:
        """Run a shell script in Redis' container."""
        exec_ = ("-n", self.redis_namespace, "exec", self.redis_pod(), "--", "sh", "-c", script)
        return self.cluster.kubectl.run(*exec_)

    def acknowledged_again(self, since: float, limit: float) -> float:
        """Wait for the first acknowledged write after `since`; seconds it took."""
        took = wait.until(
            lambda: max(self.witness.account.recovery(since), 0) or None,
            "an acknowledged write", limit, every=0.05,
            last=lambda: f"{self.witness.account.acknowledged} acknowledged, {self.witness.account.refusals}",
        )  # fmt: skip
        self.notes.append(f"{took:.1f} s")
        return took


def pod_killed(stage: Stage) -> None:
    """SIGKILL every process of one of two store pods."""
    cluster = stage.cluster
    if cluster.rollout().desired < 2:
        cluster.kubectl.run("-n", STORE, "scale", f"deployment/{STORE}", "--replicas=2")
    cluster.rolled_out(60)
    time.sleep(2)
    pod = next(pod for pod in cluster.pods() if pod.ready and not pod.deleting)
    stage.blow()
    for process in processes.of_container(pod.containers[0]):
        process.signal(signal.SIGKILL)
    time.sleep(1)
    cluster.rolled_out(60)


def redis_killed(times: int) -> Callable[[Stage], None]:
    """SIGKILL Redis, `times` in a row; after each a write must be acknowledged again."""

    def inject(stage: Stage) -> None:
        for _ in range(times):
            process = wait.until(stage.redis_process, "Redis' process", 30)
            at = stage.blow()
            process.signal(signal.SIGKILL)
            time.sleep(0.05)
            stage.acknowledged_again(at + 0.05, 60)
            time.sleep(1)

    return inject


def redis_deleted(stage: Stage) -> None:
    """Delete Redis' pod, as a drain does."""
    at = stage.blow()
    stage.cluster.kubectl.run("-n", stage.redis_namespace, "delete", "pod", stage.redis_pod(), "--wait=false")
    time.sleep(3)
    stage.acknowledged_again(max(at, time.time() - 0.1), 90)


def redis_slow(stage: Stage) -> None:
    """Stop Redis for 5 s with SIGSTOP."""
    process = stage.redis_process()
    stage.blow()
    with processes.stopped(process):
        time.sleep(5)
    stage.acknowledged_again(time.time(), 20)


def redis_out_of_memory(stage: Stage) -> None:
    """Let Redis refuse every write for want of memory, for a while."""
    before = stage.redis_sh("redis-cli config get maxmemory").split()[-1]
    stage.blow()
    stage.redis_sh("redis-cli config set maxmemory 1")
    try:
        time.sleep(HOLD / 2)
    finally:
        stage.redis_sh(f"redis-cli config set maxmemory {before}")
    stage.acknowledged_again(time.time(), 20)


def redis_disk_full(stage: Stage) -> None:
    """Fill the file system that holds Redis' append-only file; only where that is a small one of its own."""
    if stage.redis_namespace == REDIS:
        raise CannotInject("the real volume shares its disk with this machine")
    stage.blow()
    stage.redis_sh("cat /dev/zero > /data/filler 2>/dev/null || true")
    time.sleep(HOLD / 2)
    wait.until(lambda: stage.redis_sh("rm -f /data/filler; echo gone"), "room on the disk", 60, every=0.2)
    stage.acknowledged_again(time.time(), 90)


def scaled_away(namespace: str, workload: str) -> Callable[[Stage], None]:
    """Scale a workload to nothing for `HOLD` seconds, and back; one that Argo CD does not manage."""

    def inject(stage: Stage) -> None:
        kubectl = stage.cluster.kubectl
        before = kubectl.run("-n", namespace, "get", workload, "-o", "jsonpath={.spec.replicas}") or "1"
        stage.blow()
        kubectl.run("-n", namespace, "scale", workload, "--replicas=0")
        try:
            time.sleep(HOLD)
        finally:
            kubectl.run("-n", namespace, "scale", workload, f"--replicas={before}")
        kubectl.run("-n", namespace, "rollout", "status", workload, "--timeout=90s", timeout=100)

    return inject


def frozen(namespace: str, name: str, hold: float) -> Callable[[Stage], None]:
    """Stop the processes of a workload's pods for `hold` seconds; Argo CD would scale it back at once."""

    def inject(stage: Stage) -> None:
        pods = [pod for pod in stage.cluster.pods(namespace, None) if pod.name.startswith(f"{name}-")]
        found = [process for pod in pods for process in processes.of_container(pod.containers[0])]
        if not found:
            raise CannotInject(f"{namespace} has no running pod of {name}")
        stage.blow()
        with processes.stopped(*found):
            time.sleep(hold)
        stage.cluster.rolled_out(90, name, namespace)

    return inject


def argocd_down(stage: Stage) -> None:
    """Argo CD's controller is away while a change is pushed; nothing moves, and then it does."""
    cluster, name = stage.cluster, "statefulset/argocd-application-controller"
    copy = Workcopy.clone(cluster.instance.forge_url)
    copy.edit(SETTINGS, flipped)
    before = cluster.api.get(DEPLOYMENT)["metadata"]["generation"]
    stage.blow()
    cluster.kubectl.run("-n", "argocd", "scale", name, "--replicas=0")
    try:
        pushed = copy.push_change("test(apps): a push while Argo CD is down")
        time.sleep(HOLD)
        deployment = cluster.api.get(DEPLOYMENT)
        if deployment["metadata"]["generation"] != before:
            raise KubestoreError("the store changed while Argo CD was down")
    finally:
        cluster.kubectl.run("-n", "argocd", "scale", name, "--replicas=1")
    back = time.time()
    synced(cluster, pushed, 120)
    stage.notes.append(f"synced {time.time() - back:.0f} s after it was back")
    synced(cluster, copy.revert(pushed.sha), 120)


def git_down(stage: Stage) -> None:
    """The git server does not answer for a while; Argo CD goes on with what it knows."""
    file = stage.cluster.instance.dir / "forge" / "run" / "nginx.json"
    process = Process.running(file)
    if process is None:
        raise CannotInject(f"{file} names no running git server")
    stage.blow()
    with processes.stopped(process):
        stage.cluster.refresh()
        time.sleep(HOLD)
        health = stage.cluster.application(STORE).health
    if health != "Healthy":
        raise KubestoreError(f"the store was {health} while git was down")
    stage.cluster.refresh()
    stage.cluster.settled(120, STORE)


def static_pod_killed(component: str) -> Callable[[Stage], None]:
    """SIGKILL a part of the control plane; kubelet starts it again."""

    def inject(stage: Stage) -> None:
        api = stage.cluster.api
        query = f"/api/v1/namespaces/kube-system/pods?labelSelector=component%3D{component}"
        status = api.get(query)["items"][0]["status"]["containerStatuses"][0]
        container = status["containerID"].rpartition("/")[2]
        at = stage.blow()
        for process in processes.of_container(container):
            process.signal(signal.SIGKILL)

        def restarted() -> bool:
            now = api.get(query)["items"][0]["status"]["containerStatuses"][0]
            return bool(now["ready"] and now["restartCount"] > status["restartCount"])

        wait.until(restarted, f"{component} back", 120, every=0.5)
        stage.notes.append(f"{component} back after {time.time() - at:.0f} s")

    return inject


def worker_died(stage: Stage) -> None:
    """End every process of a worker that holds no data, wait for its pods elsewhere, and start it again."""
    cluster = stage.cluster
    name = nodes.free_worker(cluster)
    if not name:
        raise CannotInject("no worker without data: kubestore node add; `kubestore prove nodes` makes one")
    cluster.kubectl.run("-n", STORE, "scale", f"deployment/{STORE}", "--replicas=2")
    cluster.rolled_out(60)
    stage.blow()
    workers.stop(cluster.instance, name)
    try:
        took = nodes.elsewhere(cluster, STORE, name, 1)
        stage.notes.append(f"elsewhere after {took:.0f} s")
    finally:
        workers.start(cluster.instance, name)


def never(reason: str) -> Callable[[Stage], None]:
    """A fault that cannot be made here."""

    def inject(_: Stage) -> None:
        raise CannotInject(reason)

    return inject
