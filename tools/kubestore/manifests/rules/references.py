"""Rules on what one object says of another: no admission sees both, so they are looked at here."""

from collections.abc import Iterator
from typing import Any

from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj, Where
from kubestore.manifests.rules.registry import Scope, scope_rule

# Secrets that a cluster has before Argo CD: (namespace, name) -> keys. `kubestore up` makes them here, a
# platform team or External Secrets elsewhere.
BOOTSTRAP = {
    ("argocd", "argocd-redis"): {"auth"},
    ("monitoring", "grafana-admin"): {"admin-user", "admin-password"},
    ("redis", "redis-auth"): {"password"},
    ("store", "redis-auth"): {"password"},
    ("store", "store-secrets"): {"admin-token", "admin-token-next"},
}
GIVEN_CLASSES = {"system-cluster-critical", "system-node-critical"}
SCALED = ("Deployment", "StatefulSet")


@scope_rule("service-selector", "a Service selects pods")
def service_selector(scope: Scope) -> Iterator[Finding]:
    for service in scope.ours("Service"):
        selector = service.get("spec", "selector", default={})
        if selector and not scope.pods_of(service.namespace, selector):
            what = f"no pod of this namespace has {_labels(selector)}"
            yield service.finding(
                "service-selector", ("spec", "selector"), what, "copy the labels of the pod template"
            )


def _labels(selector: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in selector.items())


@scope_rule("service-port", "a Service's port is a port of the pods, by its name")
def service_port(scope: Scope) -> Iterator[Finding]:
    for service in scope.ours("Service"):
        pods = scope.pods_of(service.namespace, service.get("spec", "selector", default={}))
        names = {
            port.get("name")
            for pod in pods
            for _, c in pod.containers(init=False)
            for port in c.get("ports") or []
        }
        for index, port in enumerate(service.get("spec", "ports", default=[])):
            target = port.get("targetPort")
            if pods and service.get("spec", "selector") and target not in names:
                what = f"{target} is no named port of the pods ({', '.join(sorted(filter(None, names)))})"
                at = ("spec", "ports", index, "targetPort")
                yield service.finding("service-port", at, what, "use the name of a container's port")


@scope_rule("hpa-target", "an autoscaler's target exists")
def hpa_target(scope: Scope) -> Iterator[Finding]:
    for hpa in scope.ours("HorizontalPodAutoscaler"):
        if _target(scope, hpa) is None:
            wanted = hpa.get("spec", "scaleTargetRef", default={})
            what = f"there is no {wanted.get('kind')} {wanted.get('name')} in this namespace"
            yield hpa.finding(
                "hpa-target", ("spec", "scaleTargetRef", "name"), what, "name the Deployment to scale"
            )


def _target(scope: Scope, hpa: Obj) -> Obj | None:
    wanted = hpa.get("spec", "scaleTargetRef", default={})
    return scope.find(wanted.get("kind", ""), hpa.namespace, wanted.get("name", ""))


@scope_rule("hpa-bounds", "an autoscaler can scale: 1 <= min <= max, and the pods request what it measures")
def hpa_bounds(scope: Scope) -> Iterator[Finding]:
    for hpa in scope.ours("HorizontalPodAutoscaler"):
        low, high = hpa.get("spec", "minReplicas", default=1), hpa.get("spec", "maxReplicas", default=0)
        if low > high:
            yield hpa.finding(
                "hpa-bounds", ("spec", "minReplicas"), f"{low} is more than maxReplicas, {high}", "lower it"
            )


@scope_rule("replicas", "no `replicas` in Git beside an autoscaler")
def replicas(scope: Scope) -> Iterator[Finding]:
    for hpa in scope.of_kind("HorizontalPodAutoscaler"):
        target = _target(scope, hpa)
        if target is not None and target.ours and target.get("spec", "replicas") is not None:
            what = "every sync would undo what the autoscaler decided"
            yield target.finding("replicas", ("spec", "replicas"), what, "remove it")


@scope_rule("pdb-target", "a disruption budget selects pods")
def pdb_target(scope: Scope) -> Iterator[Finding]:
    for pdb in scope.ours("PodDisruptionBudget"):
        selector = pdb.get("spec", "selector", "matchLabels", default={})
        if not selector or not scope.pods_of(pdb.namespace, selector):
            at = ("spec", "selector")
            yield pdb.finding(
                "pdb-target", at, f"no pod has {_labels(selector) or 'no label'}", "copy the pods' labels"
            )


@scope_rule("pdb-blocks", "a disruption budget lets a drain end")
def pdb_blocks(scope: Scope) -> Iterator[Finding]:
    for pdb in scope.ours("PodDisruptionBudget"):
        least, most = pdb.get("spec", "minAvailable"), pdb.get("spec", "maxUnavailable")
        pods = scope.pods_of(pdb.namespace, pdb.get("spec", "selector", "matchLabels", default={}))
        count = min((_least_replicas(scope, pod) for pod in pods), default=1)
        if least is not None and most is not None:
            yield pdb.finding(
                "pdb-blocks", ("spec", "minAvailable"), "stands beside maxUnavailable", "keep maxUnavailable"
            )
        elif str(most) in ("0", "0%"):
            yield pdb.finding(
                "pdb-blocks", ("spec", "maxUnavailable"), "no pod may ever be evicted", "set it to 1"
            )
        elif least is not None and (str(least) == "100%" or (isinstance(least, int) and least >= count)):
            what = f"{least} of {count} pods must stay, so that no drain ends"
            yield pdb.finding("pdb-blocks", ("spec", "minAvailable"), what, "use maxUnavailable: 1")


def _least_replicas(scope: Scope, workload: Obj) -> int:
    for hpa in scope.of_kind("HorizontalPodAutoscaler"):
        if _target(scope, hpa) is workload:
            return int(hpa.get("spec", "minReplicas", default=1))
    return int(workload.get("spec", "replicas", default=1))


@scope_rule("configmap-reference", "each ConfigMap, and each key, that a pod names exists")
def configmap_reference(scope: Scope) -> Iterator[Finding]:
    known = {
        (obj.namespace, obj.name): {*(obj.get("data") or {}), *(obj.get("binaryData") or {})}
        for obj in scope.of_kind("ConfigMap")
    }
    for obj in scope.objects:
        if obj.ours:
            for path, name, keys in _references(obj, "configMap"):
                yield from _missing("configmap-reference", obj, path, "ConfigMap", name, keys, known)


@scope_rule("secret-reference", "each Secret, and each key, that a pod names is made by someone")
def secret_reference(scope: Scope) -> Iterator[Finding]:
    known = {place: set(keys) for place, keys in BOOTSTRAP.items()}
    for obj in scope.of_kind("ExternalSecret"):
        name = obj.get("spec", "target", "name", default=obj.name)
        known[obj.namespace, name] = {entry["secretKey"] for entry in obj.get("spec", "data", default=[])}
    for obj in scope.objects:
        if obj.ours:
            for path, name, keys in _references(obj, "secret"):
                yield from _missing("secret-reference", obj, path, "Secret", name, keys, known)


def _missing(
    rule: str,
    obj: Obj,
    path: Where,
    kind: str,
    name: str,
    keys: set[str],
    known: dict[tuple[str, str], set[str]],
) -> Iterator[Finding]:
    if (obj.namespace, name) not in known:
        fix = f"correct the name, or make the {kind}"
        yield obj.finding(rule, path, f"there is no {kind} {name} in namespace {obj.namespace}", fix)
    elif absent := keys - known[obj.namespace, name]:
        what = f"{kind} {name} has no key {', '.join(sorted(absent))}"
        yield obj.finding(rule, path, what, f"one of {', '.join(sorted(known[obj.namespace, name]))}")


def _references(obj: Obj, what: str) -> Iterator[tuple[Where, str, set[str]]]:
    """(path, name, keys) of each ConfigMap or Secret that the pods need; optional ones are left out."""
    if obj.pod_path is None:
        return
    for path, container in obj.containers():
        for index, entry in enumerate(container.get("envFrom") or []):
            yield from _named((*path, "envFrom", index, f"{what}Ref"), entry.get(f"{what}Ref"), "name", set())
        for index, entry in enumerate(container.get("env") or []):
            reference = (entry.get("valueFrom") or {}).get(f"{what}KeyRef")
            keys = {reference.get("key", "")} if reference else set()
            yield from _named((*path, "env", index, "valueFrom", f"{what}KeyRef"), reference, "name", keys)
    field = "secretName" if what == "secret" else "name"
    for index, volume in enumerate(obj.pod.get("volumes") or []):
        at = (*obj.pod_path, "spec", "volumes", index)
        source = volume.get(what)
        yield from _named((*at, what), source, field, _items(source))
        for number, part in enumerate((volume.get("projected") or {}).get("sources") or []):
            yield from _named(
                (*at, "projected", "sources", number, what), part.get(what), "name", _items(part.get(what))
            )


def _items(source: dict[str, Any] | None) -> set[str]:
    return {item["key"] for item in (source or {}).get("items") or []}


def _named(
    path: Where, source: dict[str, Any] | None, field: str, keys: set[str]
) -> Iterator[tuple[Where, str, set[str]]]:
    if source and not source.get("optional") and source.get(field):
        yield (*path, field), str(source[field]), keys


@scope_rule("pod-reference", "each claim, account and priority class that a pod names exists")
def pod_reference(scope: Scope) -> Iterator[Finding]:
    for obj in scope.objects:
        if obj.pod_path is None or not obj.ours:
            continue
        at = (*obj.pod_path, "spec")
        for path, kind, name in _named_objects(obj, at):
            namespace = "" if kind == "PriorityClass" else obj.namespace
            if name not in GIVEN_CLASSES and scope.find(kind, namespace, name) is None:
                what = f"there is no {kind} {name}"
                yield obj.finding("pod-reference", path, what, f"correct the name, or add the {kind}")


def _named_objects(obj: Obj, at: Where) -> Iterator[tuple[Where, str, str]]:
    for field, kind in (("serviceAccountName", "ServiceAccount"), ("priorityClassName", "PriorityClass")):
        if name := obj.pod.get(field):
            yield (*at, field), kind, name
    for index, volume in enumerate(obj.pod.get("volumes") or []):
        if claim := volume.get("persistentVolumeClaim"):
            path = (*at, "volumes", index, "persistentVolumeClaim", "claimName")
            yield path, "PersistentVolumeClaim", claim.get("claimName", "")


@scope_rule("data-claim", "what keeps data keeps it on a claim")
def data_claim(scope: Scope) -> Iterator[Finding]:
    for obj in scope.ours("StatefulSet"):
        claims = obj.get("spec", "volumeClaimTemplates", default=[])
        mounted = any("persistentVolumeClaim" in volume for volume in obj.pod.get("volumes") or [])
        if not claims and not mounted:
            at = ("spec", "template", "spec", "volumes")
            yield obj.finding(
                "data-claim", at, "a restart would lose its data", "mount a PersistentVolumeClaim"
            )


@scope_rule("route-backend", "a route leads to a port of a Service")
def route_backend(scope: Scope) -> Iterator[Finding]:
    for obj in scope.ours("HTTPRoute", "Ingress"):
        for path, name, port in _backends(obj):
            service = scope.find("Service", obj.namespace, name)
            ports = service.get("spec", "ports", default=[]) if service else []
            if not any(port in (entry.get("port"), entry.get("name")) for entry in ports):
                what = f"there is no Service {name} with port {port}"
                yield obj.finding(
                    "route-backend", path, what, "name a Service of this namespace and its port"
                )


def _backends(obj: Obj) -> Iterator[tuple[Where, str, object]]:
    for number, part in enumerate(obj.get("spec", "rules", default=[])):
        for index, backend in enumerate(part.get("backendRefs") or []):
            yield (
                ("spec", "rules", number, "backendRefs", index),
                backend.get("name", ""),
                backend.get("port"),
            )
        for index, entry in enumerate((part.get("http") or {}).get("paths") or []):
            service = entry.get("backend", {}).get("service", {})
            port = service.get("port", {})
            at = ("spec", "rules", number, "http", "paths", index, "backend", "service")
            yield at, service.get("name", ""), port.get("name") or port.get("number")
