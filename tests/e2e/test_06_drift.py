"""What is changed by hand is put back; what is removed from Git is removed from the cluster."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from kubestore import wait
from kubestore.prove import ledger
from kubestore.prove.cluster import STORE, Cluster
from tests.e2e.steps import Loop, figure, then, when

pytestmark = pytest.mark.e2e

OVERLAY = "apps/store/overlays/embedded"
EXTRA = "apps/store/overlays/embedded/configmap-proof.yaml"
CONFIGMAP = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: proof
data:
  reason: pruned when Git no longer has it
"""
VARIABLE = "STORE_ADMIN_TOKEN_NEXT"
SERVICE = f"/api/v1/namespaces/{STORE}/services/{STORE}"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{STORE}/deployments/{STORE}"


def env_of(cluster: Cluster) -> dict[str, Any]:
    """The store's environment variables by name."""
    pod = cluster.api.get(DEPLOYMENT)["spec"]["template"]["spec"]
    return {entry["name"]: entry for entry in pod["containers"][0].get("env", [])}


def port_of(cluster: Cluster) -> str:
    """The pods' port that the Service sends to."""
    return str(cluster.api.get(SERVICE)["spec"]["ports"][0]["targetPort"])


def settings_map(cluster: Cluster) -> str:
    """The path of the ConfigMap with the store's settings."""
    pod = cluster.api.get(DEPLOYMENT)["spec"]["template"]["spec"]
    name = pod["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    return f"/api/v1/namespaces/{STORE}/configmaps/{name}"


def healed(what: str, check: Callable[[], bool], budget: float = 60) -> float:
    """Wait until Argo CD has put it back; seconds since the drift."""
    began = time.monotonic()
    with then(f"{what} is put back", budget):
        wait.until(check, what, budget, every=0.1)
    seconds = time.monotonic() - began
    figure(f"drift healed: {what}", f"{seconds:.1f} s", 1, "<= 5 s p95")
    return seconds


def test_drift_by_hand_is_healed(cluster: Cluster, loop: Loop) -> None:
    kubectl = cluster.kubectl
    times = []
    with when("an environment variable is taken away by hand", 10):
        kubectl.run("-n", STORE, "set", "env", f"deployment/{STORE}", f"{VARIABLE}-")
        assert VARIABLE not in env_of(cluster)
    times.append(healed("an environment variable", lambda: VARIABLE in env_of(cluster)))
    cluster.rolled_out(120)
    cluster.settled(60, STORE)
    with when("the Service is sent to another port by hand", 10):
        patch = '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": "metrics"}]'
        kubectl.run("-n", STORE, "patch", "service", STORE, "--type=json", "-p", patch)
    times.append(healed("the Service's port", lambda: port_of(cluster) == "http"))
    cluster.settled(60, STORE)
    path = settings_map(cluster)
    uid = cluster.api.get(path)["metadata"]["uid"]
    with when("a ConfigMap is deleted by hand", 10):
        kubectl.run("-n", STORE, "delete", "configmap", path.rpartition("/")[2])
    times.append(healed("a deleted ConfigMap", lambda: cluster.api.get(path)["metadata"]["uid"] != uid))
    ledger.record("drift", True, len(times), {"healed_s": ledger.spread(times)})


def test_an_object_that_git_no_longer_has_is_pruned(cluster: Cluster, loop: Loop) -> None:
    path = f"/api/v1/namespaces/{STORE}/configmaps/proof"
    loop.copy.write(EXTRA, CONFIGMAP)
    base, extra = "  - ../../base\n", "  - configmap-proof.yaml\n"
    file = f"{OVERLAY}/kustomization.yaml"
    loop.copy.edit(file, lambda text: text.replace(base, base + extra))
    with when("an object is added in Git", 60):
        loop.push("test(apps): an object that will be pruned")
    with then("it is in the cluster", 30):
        wait.until(lambda: cluster.exists(path), "the ConfigMap", 30)
    with when("it is removed from Git", 60):
        loop.revert()
    with then("it is pruned", 60):
        wait.until(lambda: not cluster.exists(path), "the ConfigMap pruned", 60)
