"""What the cluster says of itself, read cheaply: Applications, roll-outs, pods, the autoscaler."""

from dataclasses import dataclass
from typing import Any

from kubestore import wait
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.prove.api import Api

ARGO = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
STORE = "store"


@dataclass(frozen=True)
class Application:
    """One Application of Argo CD."""

    name: str
    sync: str
    health: str
    revision: str
    phase: str
    message: str

    @property
    def settled(self) -> bool:
        """Synced, Healthy and with no operation under way."""
        return self.sync == "Synced" and self.health == "Healthy" and self.phase in ("", "Succeeded")

    def __str__(self) -> str:
        return f"{self.name} {self.sync}/{self.health}" + (f" {self.phase}" if self.phase else "")


@dataclass(frozen=True)
class Rollout:
    """A Deployment's replicas and whether the last change of it is all there is."""

    image: str
    desired: int
    replicas: int
    updated: int
    ready: int
    available: int
    observed: bool

    @property
    def done(self) -> bool:
        """Every replica is of the newest template and available, and no old one is left."""
        return self.observed and self.desired == self.replicas == self.updated == self.available

    def __str__(self) -> str:
        new = f"{self.updated} new, {self.ready} ready, {self.available} available"
        return f"{new} of {self.replicas}, {self.desired} wanted"


@dataclass(frozen=True)
class Pod:
    """One pod."""

    name: str
    uid: str
    ready: bool
    deleting: bool
    phase: str
    restarts: int
    image: str
    containers: tuple[str, ...]
    address: str


@dataclass(frozen=True)
class Autoscaler:
    """The HPA: replicas now and wanted, CPU in per cent of the request (None while unknown)."""

    current: int
    desired: int
    cpu_percent: int | None


class Cluster:
    """One instance's cluster."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.kubectl = Kubectl(instance.kubeconfig)
        self.api = Api(instance.kubeconfig)

    def applications(self) -> dict[str, Application]:
        """Every Application by name."""
        return {app.name: app for app in map(application, self.api.get(ARGO)["items"])}

    def application(self, name: str) -> Application:
        """One Application. Raises `KubestoreError` when it is not there."""
        return application(self.api.get(f"{ARGO}/{name}"))

    def refresh(self, name: str = STORE) -> None:
        """Have Argo CD look at Git again, as the webhook does."""
        self.kubectl.run(
            "-n",
            "argocd",
            "annotate",
            "application",
            name,
            "argocd.argoproj.io/refresh=normal",
            "--overwrite",
        )

    def rollout(self, name: str = STORE, namespace: str = STORE) -> Rollout:
        """A Deployment's state."""
        return rollout(self.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"))

    def pods(self, namespace: str = STORE, name: str | None = STORE) -> list[Pod]:
        """Pods of a namespace, by default the store's; `name` is the label app.kubernetes.io/name."""
        query = f"?labelSelector=app.kubernetes.io/name%3D{name}" if name else ""
        return [pod(item) for item in self.api.get(f"/api/v1/namespaces/{namespace}/pods{query}")["items"]]

    def autoscaler(self, name: str = STORE, namespace: str = STORE) -> Autoscaler:
        """The HPA's state."""
        path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"
        status = self.api.get(path).get("status", {})
        cpu = [
            metric["resource"]["current"].get("averageUtilization")
            for metric in status.get("currentMetrics") or []
            if metric.get("resource", {}).get("name") == "cpu"
        ]
        return Autoscaler(
            status.get("currentReplicas", 0), status.get("desiredReplicas", 0), next(iter(cpu), None)
        )

    def rolled_out(self, timeout: float, name: str = STORE, namespace: str = STORE) -> Rollout:
        """Wait until a Deployment's roll-out is done and its old pods are gone."""
        seen = ["nothing"]

        def check() -> Rollout | None:
            now = self.rollout(name, namespace)
            leaving = sum(pod.deleting for pod in self.pods(namespace, name))
            seen[0] = f"{now}, {leaving} leaving"
            return now if now.done and not leaving else None

        return wait.until(check, f"roll-out of {namespace}/{name}", timeout, every=0.3, last=lambda: seen[0])

    def settled(self, timeout: float, *names: str) -> None:
        """Wait until Applications (all by default) are Synced and Healthy with nothing under way."""
        seen = ["nothing"]

        def check() -> bool:
            apps = self.applications()
            missing = [name for name in names if name not in apps]
            rest = [str(app) for app in apps.values() if not app.settled and (not names or app.name in names)]
            seen[0] = ", ".join(rest + [f"{name} is not there" for name in missing]) or f"{len(apps)} settled"
            return bool(apps) and not rest and not missing

        what = f"{', '.join(names) or 'all Applications'} Synced and Healthy"
        wait.until(check, what, timeout, every=0.5, last=lambda: seen[0])

    def exists(self, path: str) -> bool:
        """Whether an object is there."""
        try:
            self.api.get(path)
        except KubestoreError as error:
            if "not found" in error.what:
                return False
            raise
        return True


def application(item: dict[str, Any]) -> Application:
    """An Application's status as we use it."""
    status = item.get("status", {})
    operation = status.get("operationState") or {}
    conditions = "; ".join(condition["message"] for condition in status.get("conditions") or [])
    return Application(
        item["metadata"]["name"],
        status.get("sync", {}).get("status", "Unknown"),
        status.get("health", {}).get("status", "Unknown"),
        status.get("sync", {}).get("revision", ""),
        operation.get("phase", ""),
        conditions or operation.get("message", ""),
    )


def rollout(item: dict[str, Any]) -> Rollout:
    """A Deployment's state as we use it."""
    spec, status = item["spec"], item.get("status", {})
    return Rollout(
        spec["template"]["spec"]["containers"][0]["image"],
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("updatedReplicas", 0),
        status.get("readyReplicas", 0),
        status.get("availableReplicas", 0),
        status.get("observedGeneration", 0) >= item["metadata"]["generation"],
    )


def pod(item: dict[str, Any]) -> Pod:
    """A pod's state as we use it."""
    meta, status = item["metadata"], item.get("status", {})
    containers = status.get("containerStatuses") or []
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}
    return Pod(
        meta["name"],
        meta["uid"],
        conditions.get("Ready") == "True",
        "deletionTimestamp" in meta,
        status.get("phase", ""),
        sum(entry["restartCount"] for entry in containers),
        item["spec"]["containers"][0]["image"],
        tuple(entry["containerID"].rpartition("/")[2] for entry in containers if entry.get("containerID")),
        status.get("podIP", ""),
    )
