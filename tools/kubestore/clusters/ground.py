"""What a cluster holds already: whether it answers, lets us, and is nobody else's."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import yaml

from kubestore.clusters import preflight
from kubestore.clusters.context import Context
from kubestore.clusters.fork import Fork
from kubestore.clusters.preflight import Finding
from kubestore.errors import KubestoreError
from kubestore.manifests.compare import TRACKING
from kubestore.run import CommandFailed, tail

PART_OF = "app.kubernetes.io/part-of"
OURS = "kubestore"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
OLDEST_SERVER = (1, 30)  # ValidatingAdmissionPolicy v1
# What `kubestore secret` calls it -> namespace, Secret, key.
SECRETS = {
    "admin": ("store", "store-secrets", "admin-token"),
    "redis": ("redis", "redis-auth", "password"),
    "webhook": ("argocd", "argocd-secret", "webhook.github.secret"),
    "argocd": ("argocd", "argocd-initial-admin-secret", "password"),
    "grafana": ("monitoring", "grafana-admin", "admin-password"),
}
# Component that an overlay includes -> the definition that the cluster must have for it.
NEEDS = {
    "external-secrets": "externalsecrets.external-secrets.io",
    "route": "httproutes.gateway.networking.k8s.io",
}


def reach(context: Context) -> str:
    """The API server's version. Raises `KubestoreError` when it does not answer or gives us too few rights."""
    try:
        server = str(context.json("version", timeout=30)["serverVersion"]["gitVersion"])
    except (CommandFailed, KeyError, ValueError) as error:
        said = tail(error.output, 1) if isinstance(error, CommandFailed) else "no answer that can be read"
        raise KubestoreError(
            f"context {context.name} does not answer: {said}", "is the cluster up? kubectl cluster-info"
        ) from error
    if context.says("auth", "can-i", "*", "*", "--all-namespaces").splitlines()[-1:] != ["yes"]:
        raise KubestoreError(
            f"context {context.name} has too few rights: Argo CD needs a cluster administrator to install it",
            "ask for the role cluster-admin, or choose another context: kubectl config use-context NAME",
        )
    return server


def root(context: Context) -> dict[str, str]:
    """Repository and path that the root Application follows; empty when there is none."""
    if not context.get("crd", "applications.argoproj.io"):
        return {}
    source = context.get("applications.argoproj.io", "root", "-n", "argocd").get("spec", {}).get("source", {})
    return {"url": source.get("repoURL", ""), "path": source.get("path", "")} if source else {}


def owned(thing: dict[str, Any]) -> bool:
    """Whether an object bears our label."""
    return bool(thing.get("metadata", {}).get("labels", {}).get(PART_OF) == OURS)


def is_ours(context: Context, url: str) -> bool:
    """Whether the cluster follows the repository at `url`."""
    return root(context).get("url") == url


def argocd(context: Context, fork: Fork, environment: str) -> Iterator[Finding]:
    """An Argo CD that follows something else, wherever it is."""
    other = "choose another cluster: two Argo CDs with the same rights undo each other's work"
    followed = root(context)
    if followed:
        if followed != {"url": fork.url, "path": f"clusters/{environment}"}:
            yield f"the Argo CD of {context.name} follows {followed['path']} of {followed['url']}", other
        return
    workloads = context.items("deployments,statefulsets", "-A", "-l", f"{PART_OF}=argocd")
    spaces = sorted({one["metadata"]["namespace"] for one in workloads})
    half_way = owned(context.get("namespace", "argocd"))
    foreign = [name for name in spaces if name != "argocd" or not half_way]
    if foreign or (context.get("crd", "applications.argoproj.io") and not half_way):
        where = f" in namespace {', '.join(foreign)}" if foreign else ""
        yield f"{context.name} has an Argo CD already{where}, which is not ours", other


def namespaces(fork: Fork) -> list[str]:
    """Namespaces that the tree makes."""
    files = sorted((fork.tree / "apps/namespaces/base").glob("namespace-*.yaml"))
    return [str(yaml.safe_load(file.read_text())["metadata"]["name"]) for file in files]


def contents(context: Context, fork: Fork, environment: str) -> Iterator[Finding]:
    """Whatever of somebody else's we would take over, and what is lacking."""
    yield from argocd(context, fork, environment)
    for name in namespaces(fork):
        found = context.get("namespace", name)
        if found and not owned(found):
            yield (
                f"namespace {name} is there and not ours",
                "choose another cluster, or remove that namespace",
            )
    metrics = context.get("apiservice", "v1beta1.metrics.k8s.io")
    brings = (fork.tree / f"clusters/{environment}/metrics-server.yaml").exists()
    if brings and metrics and TRACKING not in metrics["metadata"].get("annotations", {}):
        yield (
            f"{context.name} brings a metrics-server of its own",
            f"leave ours out in your fork: remove clusters/{environment}/metrics-server.yaml and its line",
        )
    classes = context.items("storageclasses.storage.k8s.io")
    if not any(one["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true" for one in classes):
        yield (
            f"{context.name} has no default StorageClass, so Redis would have no disk",
            f"kubectl annotate storageclass NAME {DEFAULT_CLASS}=true",
        )
    for component, definition in NEEDS.items():
        if fork.uses(component, environment) and not context.get("crd", definition):
            yield f"{context.name} lacks {definition}, which the overlays use", "install its operator first"


def source(fork: Fork, environment: str) -> Iterator[Finding]:
    """What the fork lacks."""
    if not (fork.tree / "clusters" / environment / "bootstrap").is_dir():
        yield f"{fork.url} has no clusters/{environment}/bootstrap", "push it, or choose another with --as"
    elif not fork.released(environment):
        yield (
            f"{fork.url} names no image of the store for {environment} yet",
            "let its pipeline release once (Actions, release, Run workflow), which writes it",
        )


def check(context: Context, fork: Fork, environment: str) -> str:
    """The API server's version. Raises `KubestoreError` with everything that speaks against a context."""
    server = reach(context)
    wrong = list(preflight.kubectl(server))
    found = preflight.minor(server)
    if found and found < OLDEST_SERVER:
        wrong.append(
            (f"{context.name} runs Kubernetes {server}, 1.30 is the oldest that will do", "upgrade it")
        )
    preflight.refuse(
        f"nothing was changed on {context.name}", [*wrong, *contents(context, fork, environment)]
    )
    return server


def told(context: Context, which: str, hint: str) -> str:
    """One of `SECRETS`, as the cluster has it. Raises `KubestoreError` when it has none."""
    namespace, name, key = SECRETS[which]
    text = secret(context, namespace, name).get(key, "")
    if not text:
        raise KubestoreError(f"Secret {namespace}/{name} has no {key}", hint)
    return text


def secret(context: Context, namespace: str, name: str) -> dict[str, str]:
    """A Secret's texts by key; empty when it is not there."""
    data = context.get("secret", name, "-n", namespace).get("data") or {}
    try:
        return {key: base64.b64decode(text).decode() for key, text in data.items()}
    except (binascii.Error, UnicodeDecodeError) as error:
        raise KubestoreError(f"Secret {namespace}/{name} holds no text", "make it again") from error
