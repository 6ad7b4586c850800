"""A copy of the store with a Redis of its own, in a namespace of its own, for what must not touch the real.

Both are rendered from Git as Argo CD renders them; left out is what a copy must not have (autoscaler,
policies, hooks, claims), and Redis keeps its data in memory.
"""

import copy
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kubestore import wait
from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.prove.cluster import STORE, Cluster
from kubestore.run import run

Object = dict[str, Any]
KINDS = ("ConfigMap", "Service", "ServiceAccount", "Deployment", "StatefulSet")


def render(cluster: Cluster, folder: Path) -> list[Object]:
    """What kustomize builds from a folder. Raises `CommandFailed`."""
    env = {"GIT_CONFIG_GLOBAL": str(cluster.instance.dir / "gitconfig")}
    built = run([programs.path("kustomize"), "build", folder], env=env, timeout=60).stdout
    return [item for item in yaml.safe_load_all(built) if item]


def moved(objects: list[Object], namespace: str) -> list[Object]:
    """Copies of the objects that a twin has, in `namespace`, pointing at the twin's own Redis."""
    text = json.dumps([item for item in objects if item["kind"] in KINDS])
    kept: list[Object] = json.loads(text.replace("redis.redis", f"redis.{namespace}"))
    for item in kept:
        item["metadata"]["namespace"] = namespace
        item["metadata"].pop("annotations", None)
        if item["kind"] == "Service":
            for port in item["spec"]["ports"]:
                port.pop("nodePort", None)
        if item["kind"] == "StatefulSet":
            in_memory(item)
    return kept


def in_memory(item: Object, size: str = "64Mi") -> None:
    """Replace a StatefulSet's claims by memory of `size` that outlives a container, not the pod."""
    spec = item["spec"]
    claims = spec.pop("volumeClaimTemplates", [])
    spec.pop("persistentVolumeClaimRetentionPolicy", None)
    pod = spec["template"]["spec"]
    memory = {"medium": "Memory", "sizeLimit": size}
    for volume in pod.get("volumes", []):
        if volume.pop("persistentVolumeClaim", None):
            volume["emptyDir"] = memory
    pod.setdefault("volumes", []).extend(
        {"name": claim["metadata"]["name"], "emptyDir": memory} for claim in claims
    )


def container(deployment: Object) -> Object:
    """The first container of a workload."""
    first: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return first


def two_pods(deployment: Object) -> None:
    """Two pods, as a shared cluster has at least."""
    deployment["spec"]["replicas"] = 2


def set_env(deployment: Object, name: str, value: str) -> None:
    """Set an environment variable of the first container."""
    env = container(deployment).setdefault("env", [])
    env[:] = [entry for entry in env if entry["name"] != name]
    env.append({"name": name, "value": value})


class Twin:
    """A running copy. Use `with Twin(...) as twin:`; the namespace is deleted at the end."""

    def __init__(self, cluster: Cluster, tree: Path, namespace: str) -> None:
        if not namespace.startswith("kubestore-e2e-"):
            raise KubestoreError(f"a copy of the store does not belong into namespace {namespace}")
        self.cluster = cluster
        self.namespace = namespace
        self.objects = [
            *moved(render(cluster, tree / "apps/redis/overlays/embedded"), namespace),
            *moved(render(cluster, tree / "apps/store/overlays/embedded"), namespace),
        ]

    def __enter__(self) -> "Twin":
        try:
            self._raise()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.kubectl.run(
            "delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false", timeout=30
        )

    def _raise(self) -> None:
        wait.until(self._absent, f"namespace {self.namespace} gone from the last run", 90)
        self.cluster.kubectl.run("create", "namespace", self.namespace)
        for name, key in (("redis-auth", "password"), ("store-secrets", "admin-token")):
            secret = f"--from-literal={key}={secrets.token_hex(24)}"
            self.cluster.kubectl.run("-n", self.namespace, "create", "secret", "generic", name, secret)
        self.apply(self.objects)
        self.cluster.rolled_out(90, STORE, self.namespace)

    def _absent(self) -> bool:
        return not self.cluster.exists(f"/api/v1/namespaces/{self.namespace}")

    def apply(self, objects: list[Object]) -> None:
        """Server-side apply, so that a field that is left out goes away."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.cluster.kubectl.run(
            "apply", "--server-side", "--force-conflicts", "--field-manager=kubestore-proof", "-f", "-",
            input=listed, timeout=60,
        )  # fmt: skip

    def deployment(self, change: Callable[[Object], None]) -> Object:
        """The store's Deployment after `change`, not yet applied."""
        item = next(item for item in self.objects if item["kind"] == "Deployment")
        changed = copy.deepcopy(item)
        change(changed)
        return changed

    def become(self, change: Callable[[Object], None]) -> None:
        """Apply the Deployment with `change` made to it, and wait for it."""
        self.apply([self.deployment(change)])
        self.cluster.rolled_out(90, STORE, self.namespace)

    def restart(self, timeout: float = 90) -> None:
        """One roll-out of the same image, to its end."""
        name = f"deployment/{STORE}"
        self.cluster.kubectl.run("-n", self.namespace, "rollout", "restart", name)
        self.cluster.rolled_out(timeout, STORE, self.namespace)

    @property
    def url(self) -> str:
        """The copy's address, through the node."""
        service = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/services/{STORE}")
        port = service["spec"]["ports"][0]["nodePort"]
        return f"http://{self.cluster.instance.node_ip(1)}:{port}"

    def exec(self, pod: str, *command: str, timeout: float = 30) -> str:
        """Run a command in a pod's first container."""
        return self.cluster.kubectl.run("-n", self.namespace, "exec", pod, "--", *command, timeout=timeout)

    def settle(self, seconds: float = 1.0) -> None:
        """Let kube-proxy's rules reach the node."""
        time.sleep(seconds)
