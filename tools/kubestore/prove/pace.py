"""How often the HPA's controller looks: every 5 s here (ADR 0002), every 15 s where nobody may change it."""

import contextlib
from collections.abc import Callable, Iterator

from kubestore import files, wait
from kubestore.lab.node import Node
from kubestore.prove.cluster import Cluster

STOCK = "15s"
_FLAG = "--horizontal-pod-autoscaler-sync-period="
_POD = "/api/v1/namespaces/kube-system/pods?labelSelector=component%3Dkube-controller-manager"
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"


def paced(manifest: str, period: str) -> str:
    """The controller manager's manifest with another period. Raises `ValueError` when it has none."""
    before, flag, after = manifest.partition(_FLAG)
    if not flag:
        raise ValueError(f"no {_FLAG} in the controller manager's manifest")
    return before + flag + period + after[after.index("\n") :]


@contextlib.contextmanager
def stock(cluster: Cluster) -> Iterator[None]:
    """Let the controller look as seldom as it does by default; afterwards as before."""
    manifest = Node(cluster.instance, 1).dir / "etc/kubernetes/manifests/kube-controller-manager.yaml"
    ours = manifest.read_text()
    try:
        _restart(cluster, lambda: files.write(manifest, paced(ours, STOCK), 0o600), STOCK)
        yield
    finally:
        _restart(cluster, lambda: files.write(manifest, ours, 0o600), "")


def _restart(cluster: Cluster, change: Callable[[], None], period: str) -> None:
    """Change the manifest; kubelet starts the controller anew, and it leads once the old one's lease has run out."""
    holder = cluster.api.get(_LEASE)["spec"]["holderIdentity"]
    change()

    def leads() -> bool:
        pods = cluster.api.get(_POD)["items"]
        paced = any(
            f"{_FLAG}{period}" in word for pod in pods for word in pod["spec"]["containers"][0]["command"]
        )
        return paced and bool(cluster.api.get(_LEASE)["spec"]["holderIdentity"] != holder)

    wait.until(leads, "the controller manager leads at its new pace", 120, every=1)
