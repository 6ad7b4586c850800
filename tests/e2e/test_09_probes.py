"""A hung worker is restarted, a pod without data takes no traffic, an outage of Redis changes nothing."""

import signal
import time

import pytest

from kubestore import wait
from kubestore.prove import ledger, processes
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.twin import Object, Twin, container
from kubestore.prove.workcopy import Workcopy
from tests.e2e.steps import figure, given, then, when

pytestmark = pytest.mark.e2e

NAMESPACE = "kubestore-e2e-probes"
RESTART = 30.0


def hang(cluster: Cluster, namespace: str) -> tuple[str, int, float]:
    """SIGSTOP the worker of the store's pod: the pod's name, its restarts so far, and when."""
    pod = next(pod for pod in cluster.pods(namespace) if pod.ready and not pod.deleting)
    worker = processes.youngest(processes.of_container(pod.containers[0]))
    worker.signal(signal.SIGSTOP)
    return pod.name, pod.restarts, time.monotonic()


def restarts(cluster: Cluster, namespace: str, name: str) -> int:
    """How often a pod's container was restarted; 0 when the pod is gone."""
    return next((pod.restarts for pod in cluster.pods(namespace) if pod.name == name), 0)


def endpoints(cluster: Cluster, namespace: str) -> int:
    """How many addresses the store's Service sends to."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    items = cluster.api.get(f"{path}?labelSelector=kubernetes.io/service-name%3D{STORE}")["items"]
    found = [endpoint for item in items for endpoint in item.get("endpoints") or []]
    return sum(bool(endpoint["conditions"].get("ready")) for endpoint in found)


def without_liveness(deployment: Object) -> None:
    """The control."""
    container(deployment).pop("livenessProbe")
    container(deployment).pop("startupProbe", None)


def without_readiness(deployment: Object) -> None:
    """The other control."""
    container(deployment).pop("readinessProbe")


def scale(twin: Twin, workload: str, replicas: int) -> None:
    """Set a workload's replicas."""
    twin.cluster.kubectl.run("-n", twin.namespace, "scale", workload, f"--replicas={replicas}")


def gone(cluster: Cluster, name: str) -> bool:
    """Whether no pod of that name label is left."""
    return not cluster.pods(NAMESPACE, name)


def test_probes_do_what_they_are_for(cluster: Cluster) -> None:
    tree = Workcopy.clone(cluster.instance.forge_url).folder
    with Twin(cluster, tree, NAMESPACE) as twin:
        hung_worker_is_restarted(cluster, twin)
        late_data(cluster, twin)


def hung_worker_is_restarted(cluster: Cluster, twin: Twin) -> None:
    """SIGSTOP, with and without liveness."""
    name, before, at = hang(cluster, NAMESPACE)
    with then("a hung worker is restarted", RESTART + 5):
        wait.until(lambda: restarts(cluster, NAMESPACE, name) > before, "a restart", RESTART + 5, every=0.2)
        seconds = time.monotonic() - at
    figure("hung worker restarted", f"{seconds:.1f} s", 1, "<= 30 s")
    ledger.record("probes", seconds <= RESTART, 1, {"hung_worker_restarted_s": round(seconds, 1)})
    cluster.rolled_out(60, STORE, NAMESPACE)
    with when("the probe is taken away (control)", 60):
        twin.become(without_liveness)
        name, before, at = hang(cluster, NAMESPACE)
    with then("nothing restarts a hung worker", RESTART + 5):
        time.sleep(RESTART)
        assert restarts(cluster, NAMESPACE, name) == before
    twin.cluster.kubectl.run("-n", NAMESPACE, "delete", "pod", name, "--grace-period=0", "--force")


def late_data(cluster: Cluster, twin: Twin) -> None:
    """Start without Redis; then with it; then an outage."""
    with given("no Redis, and a new pod", 60):
        scale(twin, "deployment/store", 0)
        scale(twin, "statefulset/redis", 0)
        wait.until(lambda: gone(cluster, STORE) and gone(cluster, "redis"), "both gone", 50)
        twin.apply([twin.deployment(lambda _: None)])
        scale(twin, "deployment/store", 1)
    with then("it runs, but takes no traffic", 30):
        wait.until(lambda: any(pod.containers for pod in cluster.pods(NAMESPACE)), "its container", 20)
        time.sleep(8)
        assert endpoints(cluster, NAMESPACE) == 0
        assert all(pod.restarts == 0 for pod in cluster.pods(NAMESPACE))
    with then("it takes traffic once its data is there", 60):
        scale(twin, "statefulset/redis", 1)
        wait.until(lambda: endpoints(cluster, NAMESPACE) == 1, "the pod in the Service", 60, every=0.2)
    with then("a later outage of Redis restarts nothing and takes no pod away", 45):
        scale(twin, "statefulset/redis", 0)
        wait.until(lambda: gone(cluster, "redis"), "Redis gone", 20)
        time.sleep(12)
        assert endpoints(cluster, NAMESPACE) == 1
        assert all(pod.restarts == 0 for pod in cluster.pods(NAMESPACE))
    with then("without the readiness probe a pod without data takes traffic (control)", 60):
        twin.apply([twin.deployment(without_readiness)])
        scale(twin, "deployment/store", 0)
        wait.until(lambda: gone(cluster, STORE), "the old pods gone", 40)
        scale(twin, "deployment/store", 1)
        wait.until(lambda: endpoints(cluster, NAMESPACE) == 1, "the pod in the Service", 30, every=0.2)
