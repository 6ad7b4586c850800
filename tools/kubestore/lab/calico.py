"""Pods' network and the enforcement of NetworkPolicy: Calico, for policy alone.

It belongs to the cluster as kube-proxy and CoreDNS do, not to what Argo CD deploys: Argo CD needs it to run,
and a mistake in it would lock out what mends mistakes.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from kubestore import ui
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import programs
from kubestore.lab.node import TEMPLATES, fill
from kubestore.run import run

MODULE = "github.com/projectcalico/calico"
MANIFEST = Path("manifests") / "calico-policy-only.yaml"


def render(instance: Instance) -> str:
    """The manifest of the pinned module with our patches."""
    with tempfile.TemporaryDirectory(prefix="kubestore-calico-") as name:
        folder = Path(name)
        for template in sorted((TEMPLATES / "calico").iterdir()):
            text = fill(f"calico/{template.name}", {"pods": str(instance.pods)})
            (folder / template.name).write_text(text)
        shutil.copy(programs.CALICO.module_dir(MODULE) / MANIFEST, folder)
        return run([programs.path("kustomize"), "build", folder], timeout=60).stdout


def ensure(instance: Instance, kubectl: Kubectl) -> None:
    """Apply it, unless that very text is applied already."""
    text = render(instance)
    digest = hashlib.sha256(text.encode()).hexdigest()
    kept = instance.dir / "calico.sha256"
    if kept.exists() and kept.read_text() == digest:
        return
    with ui.step("network and its policies"):
        apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=kubestore", "-f", "-"]
        kubectl.run(*apply, input=text, timeout=120)
    kept.write_text(digest)
