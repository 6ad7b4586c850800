"""What rendered charts must bear: their project, our NetworkPolicies, Secrets that are there, and the API server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubestore.kubectl import Kubectl
from kubestore.lab import programs
from kubestore.manifests import apiserver, live
from kubestore.manifests.charts import Chart, Object, key
from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import WORKLOADS, Cluster, Obj, World
from kubestore.manifests.rules.applications import CLUSTER_KINDS
from kubestore.manifests.rules.references import BOOTSTRAP
from kubestore.run import run

# Pods that the operator makes: what they are called and where they listen.
MADE = {"Prometheus": ("prometheus", (8080, 9090)), "Alertmanager": ("alertmanager", (8080, 9093, 9094))}
MADE_NAMES = {"http-web": {9090, 9093}, "reloader-web": {8080}}


@dataclass(frozen=True)
class Pod:
    """A pod that a chart makes: its labels, and its ports by name and by number."""

    space: str
    labels: dict[str, str]
    ports: dict[str, int]

    def has(self, selector: dict[str, str], space: str) -> bool:
        """Whether it is in the namespace and has the labels."""
        return self.space == space and selector.items() <= self.labels.items()


def pods(chart: Chart) -> list[Pod]:
    """Pods of a chart on the pods' network, those that the operator makes for it too."""
    found = []
    for one in chart.objects:
        space = one["metadata"].get("namespace", chart.application.namespace)
        if one["kind"] in MADE:
            name, ports = MADE[one["kind"]]
            numbers = {port: number for port, all_ in MADE_NAMES.items() for number in all_ & set(ports)}
            found.append(Pod(space, {"app.kubernetes.io/name": name}, numbers))
        elif one["kind"] in WORKLOADS and not _spec(one).get("hostNetwork"):
            listed = [port for c in _spec(one)["containers"] for port in c.get("ports") or []]
            labels = one["spec"]["template"]["metadata"]["labels"]
            found.append(Pod(space, labels, {p.get("name", ""): p["containerPort"] for p in listed}))
    return found


def _spec(one: Object) -> dict[str, Any]:
    return dict(one.get("spec", {}).get("template", {}).get("spec", {}))


def found(chart: Chart, second: list[Object]) -> Iterator[Finding]:
    """Everything that can be said without an API server. `second` is the same chart, rendered once more."""
    texts = {key(one): json.dumps(one, sort_keys=True) for one in second}
    for one in chart.objects:
        if texts.get(key(one)) != json.dumps(one, sort_keys=True):
            what = "is another at every rendering, so that it is never Synced"
            yield _finding(chart, one, "chart-stable", what, "set what the chart makes up, or name a Secret")
    yield from _project(chart)
    yield from _secrets(chart)
    yield from _policies(chart)


def _finding(chart: Chart, one: Object, rule: str, what: str, fix: str) -> Finding:
    at = ("spec", "sources", 0, "chart")
    told = chart.application.obj.finding(rule, at, f"{key(one)} {what}", fix)
    return Finding(told.file, told.line, f"chart/{chart.name}", "", told.what, rule, fix)


def _project(chart: Chart) -> Iterator[Finding]:
    project = next(
        (obj for obj in chart.cluster.of_kind("AppProject") if obj.name == chart.application.project), None
    )
    spec = project.data["spec"] if project else {}
    spaces = {one["namespace"] for one in spec.get("destinations", [])}
    for one in chart.objects:
        wide = one["kind"] in CLUSTER_KINDS
        listed = spec.get("clusterResourceWhitelist" if wide else "namespaceResourceWhitelist", [])
        if not any(_admits(entry, one) for entry in listed):
            what = f"is of a kind or name that project {chart.application.project} does not allow"
            yield _finding(chart, one, "chart-project", what, "turn it off in values.yaml, or allow it")
        space = one["metadata"].get("namespace", chart.application.namespace)
        if not wide and space not in spaces:
            what = f"goes where project {chart.application.project} may not deploy"
            yield _finding(chart, one, "chart-project", what, "turn it off in values.yaml, or allow it")


def _admits(entry: dict[str, str], one: Object) -> bool:
    group = one["apiVersion"].rpartition("/")[0]
    same = (entry.get("group"), entry.get("kind")) == (group, one["kind"])
    return same and entry.get("name") in (None, one["metadata"]["name"])


def _secrets(chart: Chart) -> Iterator[Finding]:
    """Secrets that its pods read are made at bootstrap, by an ExternalSecret, or by the chart."""
    known = {name for space, name in BOOTSTRAP if space == chart.application.namespace}
    known |= {obj.name for obj in chart.cluster.of_kind("ExternalSecret")}
    known |= {one["metadata"]["name"] for one in chart.objects if one["kind"] == "Secret"}
    for one in chart.objects:
        for name in sorted(set(_read(one)) - known):
            what = f"reads the Secret {name}, which nobody makes"
            yield _finding(chart, one, "chart-secret", what, "make it at bootstrap or by an ExternalSecret")


def _read(one: Object) -> Iterator[str]:
    yield from one.get("spec", {}).get("secrets", []) if one["kind"] in MADE else []
    for container in _spec(one).get("containers") or []:
        for entry in container.get("env") or []:
            if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"]
    for volume in _spec(one).get("volumes") or []:
        if "secret" in volume:
            yield volume["secret"]["secretName"]


def _policies(chart: Chart) -> Iterator[Finding]:
    """Our policies select pods of the chart, and let Prometheus reach each port that a monitor names."""
    space, mine = chart.application.namespace, pods(chart)
    policies = [obj for obj in chart.cluster.of_kind("NetworkPolicy") if obj.namespace == space]
    for policy in policies if mine else []:
        for path, labels in _selectors(policy):
            if labels and not any(pod.has(labels, space) for pod in mine):
                what = "no pod of the chart has these labels"
                yield policy.finding("chart-policy", path, what, "copy the labels of the chart's pods")
    reader = {"app.kubernetes.io/name": "prometheus"}
    for one, pod, port in _scraped(chart, mine):
        for direction, who, peer in (("ingress", pod.labels, reader), ("egress", reader, pod.labels)):
            if not any(_opens(policy, direction, who, peer, port) for policy in policies):
                what = f"asks for port {port}, and no policy lets Prometheus {direction[:2]} there"
                yield _finding(chart, one, "chart-flow", what, "add the flow to apps/monitoring/base")


def _selectors(policy: Obj) -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    """Label selectors of a policy that mean pods of its own namespace, each with its place."""
    yield ("spec", "podSelector"), policy.get("spec", "podSelector", "matchLabels", default={})
    for direction, word in (("ingress", "from"), ("egress", "to")):
        for index, part in enumerate(policy.get("spec", direction, default=[])):
            for number, peer in enumerate(part.get(word, [])):
                if "namespaceSelector" not in peer and "podSelector" in peer:
                    at = ("spec", direction, index, word, number, "podSelector")
                    yield at, peer["podSelector"].get("matchLabels", {})


def _scraped(chart: Chart, mine: list[Pod]) -> Iterator[tuple[Object, Pod, int]]:
    """(monitor, pod, port) of what the chart's own monitors scrape in its namespace."""
    space = chart.application.namespace
    services = [
        o for o in chart.objects if o["kind"] == "Service" and o["metadata"].get("namespace") == space
    ]
    for one in chart.objects:
        if one["kind"] != "ServiceMonitor":
            continue
        wanted = one["spec"]["selector"].get("matchLabels", {}).items()
        for service in services:
            if not wanted <= service["metadata"].get("labels", {}).items():
                continue
            ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
            for endpoint in one["spec"]["endpoints"]:
                for pod in mine:
                    if endpoint["port"] in ports and pod.has(service["spec"]["selector"], space):
                        target = ports[endpoint["port"]]
                        yield one, pod, target if isinstance(target, int) else pod.ports[target]


def _opens(policy: Obj, direction: str, who: dict[str, str], peer: dict[str, str], port: int) -> bool:
    chosen = policy.get("spec", "podSelector", "matchLabels", default={})
    if not chosen.items() <= who.items():
        return False
    word = "from" if direction == "ingress" else "to"
    for part in policy.get("spec", direction, default=[]):
        peers = [p["podSelector"].get("matchLabels", {}) for p in part.get(word, []) if "podSelector" in p]
        named = any(labels.items() <= peer.items() for labels in peers)
        if named and any(one["port"] == port for one in part.get("ports", [])):
            return True
    return False


def refused(world: World, charts: list[Chart]) -> list[Finding]:
    """Ask an API server with the charts' own definitions: refusals, and pods that Pod Security warns of."""
    crds = {key(o): o for chart in charts for o in chart.objects if o["kind"] == "CustomResourceDefinition"}
    with apiserver.throwaway() as kubectl:
        live.prepare(kubectl, world)
        live.install(kubectl, list(crds.values()))
        return [finding for chart in charts for finding in _asked(kubectl, chart)]


def _asked(kubectl: Kubectl, chart: Chart) -> Iterator[Finding]:
    command: list[str | Path] = [programs.path("kubectl"), "--kubeconfig", kubectl.kubeconfig]
    command += [*live.APPLY, "--dry-run=server"]
    for one in chart.objects:
        space = one["metadata"].get("namespace", chart.application.namespace)
        options = [] if one["kind"] in CLUSTER_KINDS else ["-n", space]
        done = run([*command, *options, "-f", "-"], input=json.dumps(one), check=False, timeout=30)
        said = " ".join(done.stderr.split())
        if done.returncode:
            yield _finding(chart, one, "chart-live", said[:400], "write what the API server asks for")
        elif "PodSecurity" in said and not _excused(chart.cluster, space):
            yield _finding(chart, one, "chart-pod-security", said[:400], "set its security context")


def _excused(cluster: Cluster, space: str) -> bool:
    """Whether the namespace says why its pods need more than `restricted`."""
    return any(
        obj.name == space and "kubestore.dev/except-pod-security" in obj.annotations
        for obj in cluster.of_kind("Namespace")
    )
