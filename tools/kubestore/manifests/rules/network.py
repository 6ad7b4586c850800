"""Rules on NetworkPolicies: they select what they mean, deny by default and are open to nobody unnamed."""

from collections.abc import Iterator

from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj
from kubestore.manifests.rules.registry import Scope, object_rule, scope_rule

DIRECTIONS = (("ingress", "from", "Ingress"), ("egress", "to", "Egress"))
# Namespaces whose pods are not of this tree.
ELSEWHERE = {"gateway", "ingress-nginx", "kube-system"}


@scope_rule("policy-selects", "a NetworkPolicy selects pods, and its peers are there")
def policy_selects(scope: Scope) -> Iterator[Finding]:
    for policy in scope.ours("NetworkPolicy"):
        labels = policy.get("spec", "podSelector", "matchLabels", default={})
        if labels and not _there(scope, policy.namespace, labels):
            what = "no pod of this namespace has these labels"
            yield policy.finding(
                "policy-selects", ("spec", "podSelector"), what, "copy the labels of the pods"
            )
        for direction, key, _ in DIRECTIONS:
            for index, part in enumerate(policy.get("spec", direction, default=[])):
                for number, peer in enumerate(part.get(key) or []):
                    labels = (peer.get("podSelector") or {}).get("matchLabels") or {}
                    if labels and not _anywhere(scope, policy, peer, labels):
                        at = ("spec", direction, index, key, number, "podSelector")
                        yield policy.finding(
                            "policy-selects", at, "no pod has these labels", "copy the labels of the pods"
                        )


def _there(scope: Scope, namespace: str, labels: dict[str, str]) -> bool:
    """Whether a pod has the labels. Pods of a chart are not seen here; `kubestore charts` looks at them."""
    return namespace in scope.charted or bool(scope.pods_of(namespace, labels))


def _anywhere(scope: Scope, policy: Obj, peer: dict[str, object], labels: dict[str, str]) -> bool:
    """Whether a pod has the labels: in the policy's namespace, or in the one that the peer names."""
    if "namespaceSelector" not in peer:
        return _there(scope, policy.namespace, labels)
    name = _namespace(peer)
    if not any(obj.pod_path is not None and obj.namespace == name for obj in scope.objects):
        # Its pods come from a chart or from another team; that the namespace is there is all we can see.
        known = {namespace.name for namespace in scope.of_kind("Namespace")}
        return not scope.is_cluster or name in known | ELSEWHERE
    return name in ELSEWHERE or bool(scope.pods_of(name, labels))


def _namespace(peer: dict[str, object]) -> str:
    selector = peer.get("namespaceSelector")
    labels = selector.get("matchLabels", {}) if isinstance(selector, dict) else {}
    return str(labels.get("kubernetes.io/metadata.name", ""))


@object_rule("policy-open", "a NetworkPolicy names its peers", "NetworkPolicy")
def policy_open(obj: Obj) -> Iterator[Finding]:
    for direction, key, _ in DIRECTIONS:
        for index, part in enumerate(obj.get("spec", direction, default=[])):
            peers = part.get(key)
            at = ("spec", direction, index)
            if not peers:
                yield obj.finding(
                    "policy-open", at, f"has no `{key}`, which means everyone", f"name the peers in `{key}`"
                )
            for number, peer in enumerate(peers or []):
                everyone = peer.get("namespaceSelector") == {} and not peer.get("podSelector")
                if everyone or (peer.get("ipBlock") or {}).get("cidr") in ("0.0.0.0/0", "::/0"):
                    yield obj.finding("policy-open", (*at, key, number), "means everyone", "name who it is")


@scope_rule("default-deny", "where we have pods and policies, all else is denied both ways")
def default_deny(scope: Scope) -> Iterator[Finding]:
    namespaces = {
        obj.namespace for obj in scope.objects if obj.pod_path is not None and obj.ours and obj.namespace
    }
    for namespace in sorted(namespaces):
        mine = [
            obj
            for obj in scope.objects
            if obj.pod_path is not None and obj.ours and obj.namespace == namespace
        ]
        denied: set[str] = set()
        for policy in scope.of_kind("NetworkPolicy"):
            spec = policy.get("spec", default={})
            if policy.namespace == namespace and not spec.get("podSelector"):
                denied |= {
                    kind
                    for key, _, kind in DIRECTIONS
                    if kind in spec.get("policyTypes", []) and not spec.get(key)
                }
        for kind in sorted({"Ingress", "Egress"} - denied):
            what = f"nothing denies {kind.lower()} by default in namespace {namespace}"
            fix = "add a NetworkPolicy with an empty podSelector and both policyTypes"
            yield mine[0].finding("default-deny", ("metadata", "name"), what, fix)
