"""How often the HPA's controller looks: every 5 s here (ADR 0002), every 15 s where nobody may change it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kubestore import files, wait
from kubestore.lab.node import Node
from kubestore.prove.cluster import Cluster

STOCK = "15s"
_FLAG = "--horizontal-pod-autoscaler-sync-period="
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
    slow = paced(ours, STOCK)
    try:
        _restart(cluster, manifest, slow)
        yield
    finally:
        _restart(cluster, manifest, ours)


def _restart(cluster: Cluster, manifest: Path, text: str) -> None:
    """Change the manifest; kubelet starts the controller anew, and it leads once the old one's lease has run out."""
    holder = cluster.api.get(_LEASE)["spec"]["holderIdentity"]
    files.write(manifest, text, 0o600)

    def leads() -> bool:
        return bool(cluster.api.get(_LEASE)["spec"]["holderIdentity"] != holder)

    wait.until(leads, "the controller manager leads at its new pace", 120, every=1)
