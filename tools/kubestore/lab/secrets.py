"""Secrets of the embedded cluster: made once, kept in the instance's folder, never in Git."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from kubestore import files
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl

# Secret -> namespace, keys with the file that keeps each value (an empty name: an empty value).
MADE = {
    "redis-auth": ("redis", {"password": "redis"}),
    "store-secrets": ("store", {"admin-token": "admin", "admin-token-next": ""}),
}
WEBHOOK = "webhook"
KEPT = ("admin", "redis", WEBHOOK)
WEBHOOK_KEY = "webhook.github.secret"
# Argo CD's own Secret, which it fills up itself; it reads what bears its label.
ARGOCD = "argocd-secret"
ARGOCD_LABELS = {"app.kubernetes.io/name": ARGOCD, "app.kubernetes.io/part-of": "argocd"}


def value(instance: Instance, name: str) -> str:
    """The secret text kept under `name`, made at the first call; only its owner may read the file."""
    file: Path = instance.dir / "secrets" / name
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(file, secrets.token_urlsafe(24), 0o600)
    return file.read_text()


def ensure(instance: Instance, kubectl: Kubectl) -> None:
    """Make the Secrets that the manifests refer to, where they are missing."""
    for name, (namespace, keys) in MADE.items():
        texts = {key: value(instance, file) if file else "" for key, file in keys.items()}
        _apply(kubectl, namespace, name, texts)
    # The store signs in to Redis with the same password, from its own namespace.
    _apply(kubectl, "store", "redis-auth", {"password": value(instance, "redis")})
    _apply(kubectl, "argocd", ARGOCD, {WEBHOOK_KEY: value(instance, WEBHOOK)}, ARGOCD_LABELS)


def manifest(
    namespace: str, name: str, texts: dict[str, str], labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """A Secret with these texts by key."""
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


def _apply(
    kubectl: Kubectl, namespace: str, name: str, texts: dict[str, str], labels: dict[str, str] | None = None
) -> None:
    arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager=kubestore", "-f", "-"]
    kubectl.run(*arguments, input=json.dumps(manifest(namespace, name, texts, labels)))


def asked(kubectl: Kubectl, name: str) -> str:
    """A secret that the cluster made itself: `argocd`. Raises `KubestoreError` when there is none."""
    if name != "argocd":
        raise KubestoreError(f"the embedded cluster has no {name}", "--cluster says which one has")
    found = kubectl.json("get", "secret", "-n", "argocd", "argocd-initial-admin-secret")
    return base64.b64decode(found["data"]["password"]).decode()
