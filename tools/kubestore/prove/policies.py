"""Network policies as pods meet them: each allowed flow passes, each other one is silent, and with the
policies lifted it passes too, so that silence is the policies' doing.

They are lifted by a policy that allows everything, in the real namespaces: Argo CD puts back what is taken
away, and leaves alone what it does not know.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kubestore import ui, wait
from kubestore.lab import images
from kubestore.prove import ledger
from kubestore.prove.cluster import Cluster

NAMESPACE = "kubestore-e2e-policies"
LIFTED = "kubestore-e2e-lifted"
GUARDED = ("store", "redis", "argocd", "monitoring")
MARK = {"kubestore.dev/probe": "true"}
PATIENCE_S = 2
# All targets at once; a word each: open, silent (nothing came back in time) or refused.
SCRIPT = """
for target in "$@"; do (
    timeout {patience} bash -c 'exec 3<>"/dev/tcp/${{0%:*}}/${{0##*:}}"' "$target" 2>/dev/null
    case $? in 0) word=open ;; 124) word=silent ;; *) word=refused ;; esac
    echo "$target $word"
) & done
wait
"""


@dataclass(frozen=True)
class Source:
    """Where a flow starts: a pod and its container."""

    namespace: str
    pod: str
    container: str

    def probe(self, cluster: Cluster, targets: Sequence[str]) -> dict[str, str]:
        """What each `address:port` answers, seen from the pod."""
        said = cluster.kubectl.run(
            "-n", self.namespace, "exec", self.pod, "-c", self.container, "--",
            "bash", "-c", SCRIPT.format(patience=PATIENCE_S), "probe", *targets, timeout=30,
        )  # fmt: skip
        return {target: word for target, _, word in (line.partition(" ") for line in said.splitlines())}


@dataclass(frozen=True)
class Flow:
    """One flow between a kind of pod and a place, and whether it is allowed."""

    source: str
    target: str
    allowed: bool

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


FLOWS = (
    Flow("store", "redis", True),
    Flow("store", "dns", True),
    Flow("store", "outside", False),
    Flow("store", "kubernetes", False),
    Flow("store", "argocd-repo-server", False),
    Flow("redis", "store", False),
    Flow("redis", "dns", False),
    Flow("redis", "outside", False),
    Flow("stranger", "store", True),
    Flow("stranger", "redis", False),
    Flow("stranger", "store-metrics", False),
    Flow("stranger", "argocd-redis", False),
    Flow("stranger", "argocd-repo-server", False),
    Flow("prometheus", "store-metrics", True),
    Flow("prometheus", "redis", False),
    Flow("monitoring", "store-metrics", False),
)
# Service -> namespace; the first port but where the name says another.
SERVICES = {
    "redis": "redis", "store": "store", "store-metrics": "store", "dns": "kube-system", "kubernetes": "default",
    "argocd-redis": "argocd", "argocd-repo-server": "argocd",
}  # fmt: skip


def address(cluster: Cluster, target: str) -> str:
    """`address:port` of a place; outside is the forge on this machine, beyond the cluster."""
    if target == "outside":
        return f"{cluster.instance.host_ip}:3000"
    name = "kube-dns" if target == "dns" else target
    spec = cluster.api.get(f"/api/v1/namespaces/{SERVICES[target]}/services/{name}")["spec"]
    port = next(port["port"] for port in spec["ports"] if port.get("protocol", "TCP") == "TCP")
    return f"{spec['clusterIP']}:{port}"


def pod(namespace: str, name: str, labels: dict[str, str]) -> dict[str, object]:
    """A pod that only waits, and is never ready, so that no Service sends anybody to it."""
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {**MARK, **labels}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "readinessGates": [{"conditionType": "kubestore.dev/never"}],
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "probe", "image": images.reference("docker.io/library/debian"),
                "imagePullPolicy": "IfNotPresent", "command": ["sleep", "900"],
                "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }  # fmt: skip


def apply(cluster: Cluster, objects: Sequence[object]) -> None:
    """Server-side apply."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    options = ["--server-side", "--force-conflicts", "--field-manager=kubestore-proof"]
    cluster.kubectl.run("apply", *options, "-f", "-", input=text)


@contextmanager
def sources(cluster: Cluster) -> Iterator[dict[str, Source]]:
    """The store's and Redis' own pods, and pods of other namespaces that are made for this."""
    strangers = {
        "stranger": (NAMESPACE, {}),
        "monitoring": ("monitoring", {}),
        "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    }
    found = {
        name: Source(name, next(p.name for p in cluster.pods(name, name) if p.ready and not p.deleting), name)
        for name in ("store", "redis")
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    pods = [pod(place, f"probe-{name}", labels) for name, (place, labels) in strangers.items()]
    try:
        apply(cluster, [namespace])
        apply(cluster, pods)
        for name, (place, _) in strangers.items():
            cluster.kubectl.run(
                "-n", place, "wait", f"pod/probe-{name}", "--for=jsonpath={.status.phase}=Running",
                "--timeout=60s", timeout=70,
            )  # fmt: skip
            found[name] = Source(place, f"probe-{name}", "probe")
        yield found
    finally:
        for place, name in ((place, name) for name, (place, _) in strangers.items()):
            gone = ["delete", "pod", f"probe-{name}", "--ignore-not-found", "--wait=false"]
            cluster.kubectl.run("-n", place, *gone)
        cluster.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@contextmanager
def lifted(cluster: Cluster) -> Iterator[None]:
    """Everything allowed in the guarded namespaces, for a while."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}
    try:
        apply(cluster, [{**kind, "metadata": {"name": LIFTED, "namespace": place}} for place in GUARDED])
        yield
    finally:
        for place in GUARDED:
            cluster.kubectl.run("-n", place, "delete", "networkpolicy", LIFTED, "--ignore-not-found")


def look(cluster: Cluster, pods: dict[str, Source], places: dict[str, str]) -> dict[Flow, str]:
    """What every flow of `FLOWS` meets."""
    met: dict[Flow, str] = {}
    for name, source in pods.items():
        flows = [flow for flow in FLOWS if flow.source == name]
        said = source.probe(cluster, [places[flow.target] for flow in flows])
        met.update({flow: said.get(places[flow.target], "no answer") for flow in flows})
    return met


def wrong(met: dict[Flow, str], *, enforced: bool) -> list[str]:
    """Flows that met what they must not: silence where they are allowed, anything else where they are not."""
    must = {flow: "open" if flow.allowed or not enforced else "silent" for flow in met}
    return [f"{flow}: {word}, must be {must[flow]}" for flow, word in met.items() if word != must[flow]]


def until_right(
    cluster: Cluster, pods: dict[str, Source], places: dict[str, str], *, enforced: bool
) -> float:
    """Look until every flow meets what it must (20 s); seconds it took. Raises `KubestoreError`."""
    began = time.monotonic()
    seen = ["nothing"]

    def check() -> bool:
        bad = wrong(look(cluster, pods, places), enforced=enforced)
        seen[0] = "; ".join(bad)
        return not bad

    what = "flows as the policies say" if enforced else "every flow open, with the policies lifted"
    wait.until(check, what, 20, every=0.5, last=lambda: seen[0])
    return time.monotonic() - began


def prove(cluster: Cluster) -> dict[str, float]:
    """Probe with the policies, with them lifted (the control), and with them back; seconds of each.

    Raises `KubestoreError` naming the flows that met what they must not.
    """
    places = {flow.target: address(cluster, flow.target) for flow in FLOWS}
    took: dict[str, float] = {}
    ok = False
    try:
        with sources(cluster) as pods:
            with ui.step("flows are as the policies say"):
                took["enforced_s"] = until_right(cluster, pods, places, enforced=True)
            with ui.step("control: policies lifted, every flow is open"), lifted(cluster):
                took["lifted_s"] = until_right(cluster, pods, places, enforced=False)
            with ui.step("policies back: silent again"):
                took["back_s"] = until_right(cluster, pods, places, enforced=True)
        ok = True
    finally:
        figures: dict[str, object] = {name: round(value, 1) for name, value in took.items()}
        figures["flows"] = f"{sum(f.allowed for f in FLOWS)} allowed, {sum(not f.allowed for f in FLOWS)} not"
        ledger.record("policies", ok, len(FLOWS), figures)
    return took


def rows() -> list[list[str]]:
    """The flows as a table."""
    return [[str(flow), "passes" if flow.allowed else "is silent"] for flow in FLOWS]
