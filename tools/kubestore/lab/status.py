"""What runs: an interface for programs (`status --json`) and a page for people."""

from typing import Any

from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import bootstrap
from kubestore.ui import table

Status = dict[str, Any]


def read(instance: Instance) -> Status:
    """The instance as it is. Raises `KubestoreError` when there is none or its API server is silent."""
    if not instance.kubeconfig.exists():
        raise KubestoreError(f"instance {instance.name} is not there", "make up")
    urls = {
        "store": instance.store_url,
        "argocd": instance.argocd_url,
        "git": instance.forge_url,
        "registry": f"http://{instance.registry}",
    }
    return look(Kubectl(instance.kubeconfig), urls, "local")


def look(kubectl: Kubectl, urls: dict[str, str], remote: str) -> Status:
    """Any cluster as it is; `urls` says where its parts answer (`git` among them), `remote` where a push goes."""
    return {
        "nodes": [_node(node) for node in kubectl.json("get", "nodes", timeout=10)["items"]],
        "applications": [bootstrap.summary(application) for application in _applications(kubectl)],
        "rollout": _rollout(kubectl),
        "hpa": _hpa(kubectl),
        "urls": urls,
        "git": {"url": urls["git"], "remote": remote},
    }


def _applications(kubectl: Kubectl) -> list[dict[str, Any]]:
    try:
        return bootstrap.applications(kubectl)
    except KubestoreError:  # a cluster on which Argo CD is not yet
        return []


def _node(node: dict[str, Any]) -> dict[str, Any]:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
    return {
        "name": node["metadata"]["name"],
        "ready": ready and not node["spec"].get("unschedulable", False),
        "version": node["status"]["nodeInfo"]["kubeletVersion"],
    }


def _get(kubectl: Kubectl, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", kind, "-n", "store", "--ignore-not-found", timeout=10)
    return found


def _rollout(kubectl: Kubectl) -> dict[str, Any]:
    try:
        deployment = _get(kubectl, "deployment/store")
    except (KubestoreError, ValueError):
        return {"version": None, "updated": 0, "ready": 0, "replicas": 0}
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    status = deployment["status"]
    return {
        "version": image.partition("@")[0].rpartition(":")[2],
        "updated": status.get("updatedReplicas", 0),
        "ready": status.get("readyReplicas", 0),
        "replicas": status.get("replicas", 0),
    }


def _hpa(kubectl: Kubectl) -> dict[str, Any]:
    try:
        hpa = _get(kubectl, "hpa/store")
    except (KubestoreError, ValueError):
        return {"current": 0, "desired": 0, "min": 0, "max": 0, "cpu_percent": None}
    status = hpa.get("status", {})
    metrics = [
        m["resource"]["current"] for m in status.get("currentMetrics") or [] if m["type"] == "Resource"
    ]
    return {
        "current": status.get("currentReplicas", 0),
        "desired": status.get("desiredReplicas", 0),
        "min": hpa["spec"].get("minReplicas", 1),
        "max": hpa["spec"]["maxReplicas"],
        "cpu_percent": metrics[0].get("averageUtilization") if metrics else None,
    }


def page(status: Status) -> str:
    """The status as a page for people."""
    rows = [(a["name"], a["sync"], a["health"], a["revision"][:12]) for a in status["applications"]]
    rollout, hpa = status["rollout"], status["hpa"]
    cpu = "unknown" if hpa["cpu_percent"] is None else f"{hpa['cpu_percent']} %"
    nodes = ", ".join(
        f"{n['name']} {'ready' if n['ready'] else 'NOT ready'} {n['version']}" for n in status["nodes"]
    )
    return "\n".join(
        [
            table(rows, ("APPLICATION", "SYNC", "HEALTH", "REVISION")),
            "",
            f"nodes     {nodes}",
            f"store     {rollout['version']}: {rollout['ready']}/{rollout['replicas']} ready, {rollout['updated']} updated",
            f"HPA       {hpa['current']} now, {hpa['desired']} wanted, {hpa['min']}-{hpa['max']} allowed; CPU {cpu} of request",
            *(f"{name:<9} {url}" for name, url in status["urls"].items()),
            f"deploy    git push {status['git']['remote']} main",
        ]
    )
