"""docs/policies.md, made from the rendered manifests: who may call whom, what a namespace bears, what is refused."""

from collections.abc import Iterable, Iterator
from typing import Any

from kubestore.manifests.objects import Cluster, Obj, World
from kubestore.manifests.rules.registry import exceptions
from kubestore.manifests.rules.secrets import ENFORCE

HEAD = """# Policies: what may talk, run and be admitted

Made by `kubestore policies` from the rendered manifests; a test compares. How a mistake meets them is told in
[mistakes.md](mistakes.md).

"""
STATIC = """
## Why some rules are static

An admission policy sees one object, after defaulting. `replicas` beside an autoscaler, a disruption budget that blocks
every drain, a Service that selects nothing, a key that no Secret has: each needs two objects, so `kubestore validate`
looks at them before the push, and no policy could.
"""


def page(world: World) -> str:
    """The whole page as Markdown."""
    parts = [HEAD, "## Network flows\n\nWhere a namespace denies by default (below), all else is denied.\n\n"]
    parts.append(_table(("cluster", "namespace", "pods", "direction", "peer", "ports"), _merged(world)))
    parts.append("\n## Namespaces\n\n")
    parts.append(
        _table(
            ("namespace", "Pod Security", "admission policies", "denies by default", "reason for less"),
            _namespaces(world),
        )
    )
    parts.append(
        "\n## Admission policies\n\nBound to namespaces labelled `kubestore.dev/policies: enforced`.\n\n"
    )
    parts.append(_table(("policy", "refuses with"), _admission(world)))
    parts.append("\n## Exceptions from static rules\n\n")
    parts.append(
        _table(("object", "rule", "reason"), [(*key, why) for key, why in sorted(exceptions(world).items())])
    )
    return "".join([*parts, STATIC])


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(list(headers))}"]
    lines += [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _merged(world: World) -> list[tuple[str, ...]]:
    """Flows of all clusters, each once with the clusters that have it."""
    where: dict[tuple[str, ...], list[str]] = {}
    for cluster in world.clusters:
        for flow in flows(cluster):
            where.setdefault(flow, []).append(cluster.name)
    count = len(world.clusters)
    named = ((flow, "all" if len(names) == count else ", ".join(names)) for flow, names in where.items())
    return sorted((names, *flow) for flow, names in named)


def flows(cluster: Cluster) -> Iterator[tuple[str, ...]]:
    """(namespace, pods, direction, peer, ports) of each allowed flow that our own policies name."""
    for policy in cluster.of_kind("NetworkPolicy"):
        if not policy.ours:
            continue
        pods = _labels(policy.get("spec", "podSelector", default={}))
        for direction, key, word in (("ingress", "from", "in from"), ("egress", "to", "out to")):
            for part in policy.get("spec", direction, default=[]):
                ports = ", ".join(
                    sorted(
                        f"{port.get('port')}/{port.get('protocol', 'TCP')}" for port in part.get("ports", [])
                    )
                )
                for peer in part.get(key) or [{}]:
                    yield policy.namespace, pods, word, _peer(policy, peer), ports or "all"


def _peer(policy: Obj, peer: dict[str, Any]) -> str:
    if block := peer.get("ipBlock"):
        return str(block["cidr"])
    if not peer:
        return "everyone"
    pods = _labels(peer["podSelector"]) if "podSelector" in peer else "all pods"
    if "namespaceSelector" not in peer:
        return f"{pods} in {policy.namespace}"
    names = peer["namespaceSelector"].get("matchLabels", {})
    return f"{pods} in {names.get('kubernetes.io/metadata.name') or _labels(peer['namespaceSelector'])}"


def _labels(selector: dict[str, Any]) -> str:
    """`name` of app.kubernetes.io/name, or the labels as they are written."""
    labels = selector.get("matchLabels", {})
    if not labels:
        return "all pods"
    return ", ".join(
        value if key == "app.kubernetes.io/name" else f"{key}={value}" for key, value in labels.items()
    )


def _namespaces(world: World) -> list[tuple[str, ...]]:
    rows = set()
    for cluster in world.clusters:
        for obj in cluster.of_kind("Namespace"):
            why = obj.annotations.get("kubestore.dev/except-pod-security", "")
            policies = obj.labels.get("kubestore.dev/policies", "no")
            rows.add((obj.name, obj.labels.get(ENFORCE, "none"), policies, _denied(world, obj.name), why))
    return sorted(rows)


def _denied(world: World, namespace: str) -> str:
    """What policies for all pods of the namespace deny, where something of ours runs in it."""
    kinds = {
        kind
        for obj in world.objects
        if obj.kind.kind == "NetworkPolicy"
        and obj.namespace == namespace
        and not obj.get("spec", "podSelector")
        for kind in obj.get("spec", "policyTypes", default=[])
        if not obj.get("spec", kind.lower())
    }
    words = [word for kind, word in (("Ingress", "in"), ("Egress", "out")) if kind in kinds]
    return " and ".join(words) or "nothing"


def _admission(world: World) -> list[tuple[str, ...]]:
    rows = set()
    for obj in world.objects:
        if obj.kind.kind == "ValidatingAdmissionPolicy":
            rows |= {(obj.name, check["message"]) for check in obj.get("spec", "validations", default=[])}
    return sorted(rows)
