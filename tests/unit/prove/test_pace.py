"""The controller manager's manifest at another pace."""

import pytest

from kubestore.prove import pace

MANIFEST = """\
spec:
  containers:
  - command:
    - kube-controller-manager
    - --horizontal-pod-autoscaler-sync-period=5s
    - --kubeconfig=/etc/kubernetes/controller-manager.conf
"""


def test_only_the_period_is_another() -> None:
    assert pace.paced(MANIFEST, "15s") == MANIFEST.replace("=5s\n", "=15s\n")


def test_a_manifest_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="sync-period"):
        pace.paced("spec: {}\n", "15s")
