"""From a cluster to Argo CD that follows the fork: the commands, in order."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace

from kubestore.clusters import ground
from kubestore.clusters.command import Command, Stage
from kubestore.clusters.context import Context
from kubestore.clusters.fork import Credentials, Fork
from kubestore.lab.bootstrap import FIELD_MANAGER
from kubestore.lab.secrets import ARGOCD, ARGOCD_LABELS, MADE, WEBHOOK_KEY, manifest

APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}")
DEFINITIONS = ("applications.argoproj.io", "appprojects.argoproj.io")
WORKLOADS = ("deployment/argocd-repo-server", "statefulset/argocd-application-controller")
REPOSITORY_LABELS = {"argocd.argoproj.io/secret-type": "repository"}
# Of a kind whose definition is gone, or never came, nothing is left.
UNKNOWN = "no matches for kind"
SCALED = "deployments,statefulsets"
GRAFANA = ("monitoring", "grafana-admin", {"admin-user": "=admin", "admin-password": "grafana"})


def definitions(fork: Fork) -> str:
    """Argo CD's resource definitions of the pinned release, for `kubectl -k`."""
    return f"https://github.com/argoproj/argo-cd//manifests/crds?ref={fork.argocd}"


def bootstrap(context: Context, fork: Fork, environment: str, fresh: bool) -> list[Stage]:
    """All that is applied by hand; `fresh` says that the cluster is not there yet, so nothing is asked of it."""
    tree = fork.at
    crds = [
        context.command(*APPLY, "-k", definitions(fork), timeout=300),
        # It fails at once while the API server has not yet written the first condition.
        replace(
            context.command(
                "wait",
                "--for=condition=Established",
                *(f"crd/{name}" for name in DEFINITIONS),
                "--timeout=60s",
            ),
            patience=90,
        ),
    ]
    rollouts = [
        context.command("rollout", "status", "-n", "argocd", one, "--timeout=600s", timeout=620)
        for one in WORKLOADS
    ]
    return [
        Stage("namespaces", [context.command(*APPLY, "-k", f"{tree}/apps/namespaces/base")]),
        Stage("secrets", list(made(context, fork, environment, fresh))),
        Stage("Argo CD's definitions", crds),
        Stage(
            f"Argo CD {fork.argocd} and the root Application",
            [
                context.command(*APPLY, "-k", f"{tree}/clusters/{environment}/bootstrap", timeout=300),
                *([] if fresh else wake(context, fork)),
                *rollouts,
            ],
        ),
    ]


def made(context: Context, fork: Fork, environment: str, fresh: bool) -> Iterator[Command]:
    """Secrets that are missing; what is there is left as it is."""

    def held(namespace: str, name: str) -> dict[str, str]:
        return {} if fresh else ground.secret(context, namespace, name)

    wanted = [(namespace, name, keys) for name, (namespace, keys) in MADE.items()]
    # The store signs in to Redis with the same password, from its own namespace.
    wanted += [("store", "redis-auth", MADE["redis-auth"][1]), GRAFANA]
    password = held("redis", "redis-auth").get("password") or held("store", "redis-auth").get("password")
    values = {"redis": password or secrets.token_urlsafe(24)}
    for namespace, name, keys in wanted:
        if fork.from_secret_store(name, environment) or held(namespace, name):
            continue
        texts = {key: _text(value, values) for key, value in keys.items()}
        yield _create(
            context, manifest(namespace, name, texts), f"Secret {namespace}/{name}: {', '.join(texts)}"
        )
    yield from _argocd(context, held("argocd", ARGOCD), fresh)
    if given := Credentials.given():
        texts = {"type": "git", "url": fork.url, "username": given.username, "password": given.token}
        secret = manifest("argocd", "repository", texts, REPOSITORY_LABELS)
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=kubestore", "-f", "-")
        yield context.command(
            *words, stdin=json.dumps(secret), says="Secret argocd/repository: the token given"
        )


def _text(said: str, values: dict[str, str]) -> str:
    """`=text` is that text, nothing is nothing, a name is its value, or one made at random."""
    if said.startswith("=") or not said:
        return said[1:]
    return values.get(said) or secrets.token_urlsafe(24)


def _argocd(context: Context, held: dict[str, str], fresh: bool) -> Iterator[Command]:
    """The webhook's key, in Argo CD's own Secret."""
    if held.get(WEBHOOK_KEY):
        return
    texts = {WEBHOOK_KEY: secrets.token_urlsafe(24)}
    says = f"Secret argocd/{ARGOCD}: {WEBHOOK_KEY}"
    if fresh or not context.get("secret", ARGOCD, "-n", "argocd"):
        yield _create(context, manifest("argocd", ARGOCD, texts, ARGOCD_LABELS), says)
    else:
        words = ("patch", "secret", ARGOCD, "-n", "argocd", "--type=merge", "--patch-file=/dev/stdin")
        yield context.command(*words, stdin=json.dumps({"stringData": texts}), says=says)


def _create(context: Context, secret: dict[str, object], says: str) -> Command:
    return context.command("create", "-f", "-", stdin=json.dumps(secret), says=f"{says}, made at random")


def wake(context: Context, fork: Fork) -> list[Command]:
    """Commands that start again what `rest` stopped."""
    found = []
    for namespace in ground.namespaces(fork):
        for one in context.items(SCALED, "-n", namespace):
            if one["spec"].get("replicas") == 0:
                name = f"{one['kind'].lower()}/{one['metadata']['name']}"
                found.append(context.command("scale", "-n", namespace, name, "--replicas=1"))
    return found


def rest(context: Context, spaces: list[str]) -> list[Stage]:
    """Commands that stop what we run on somebody's cluster, Argo CD first, and keep all data."""
    return [
        Stage(
            f"stop namespace {name}", [context.command("scale", "-n", name, SCALED, "--all", "--replicas=0")]
        )
        for name in sorted(spaces, key=lambda name: name != "argocd")
        if context.items(SCALED, "-n", name)
    ]


def _delete(context: Context, folder: str) -> Command:
    return context.command("delete", "--ignore-not-found", "--wait=false", "-k", folder, timeout=300)


def removal(context: Context, fork: Fork, environment: str) -> list[Stage]:
    """Commands that take everything of ours off somebody's cluster, data included."""
    last = "apps/namespaces/base"
    paths = [*(one for one in fork.applications(environment) if one != last), last]
    followers = [
        context.command("delete", "--ignore-not-found", "-n", "argocd", kind, "--all") for kind in DEFINITIONS
    ]
    return [
        Stage("Argo CD's Applications", followers),
        *(Stage(path, [replace(_delete(context, f"{fork.at}/{path}"), forgive=UNKNOWN)]) for path in paths),
    ]
