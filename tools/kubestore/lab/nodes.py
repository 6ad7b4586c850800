"""What the nodes of an instance are: which there are, what Kubernetes says of them, how many there may be."""

from typing import Any

from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab.node import Node

# Free memory that each more node asks for, in GiB: what an idle one was measured to take, and room for pods.
NODE_GIB = 0.6
HEADERS = ("NODE", "ROLE", "PROCESS", "STATE", "ADDRESS", "PODS")


def existing(instance: Instance) -> list[Node]:
    """The nodes that the instance has, running or not, in order of their numbers."""
    folders = (instance.dir / "nodes").glob("*")
    return [Node(instance, number) for number in sorted(int(f.name) for f in folders if f.name.isdigit())]


def named(instance: Instance, name: str) -> Node:
    """The node of that name. Raises `KubestoreError` when the instance has none."""
    nodes = existing(instance)
    if not nodes:
        raise KubestoreError(f"instance {instance.name} is not there", "kubestore up")
    for node in nodes:
        if node.name == name:
            return node
    have = ", ".join(node.name for node in nodes)
    raise KubestoreError(f"{name}: no such node", f"instance {instance.name} has {have}")


def reachable(instance: Instance) -> Kubectl:
    """The API server of a running instance. Raises `KubestoreError` when it does not answer."""
    if not instance.kubeconfig.exists() or not Node(instance, 1).alive():
        raise KubestoreError(f"instance {instance.name} is not up", "kubestore up")
    kubectl = Kubectl(instance.kubeconfig)
    kubectl.run("get", "--raw=/readyz", timeout=15)
    return kubectl


def objects(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    """Kubernetes' own view of the nodes, by name."""
    return {item["metadata"]["name"]: item for item in kubectl.json("get", "nodes", timeout=20)["items"]}


def condition(item: dict[str, Any]) -> tuple[bool, str]:
    """Whether a node is Ready, and what it says of it."""
    found = [c for c in item.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
    return (found[0]["status"] == "True", found[0].get("message", "")) if found else (False, "no word yet")


def volumes(kubectl: Kubectl, name: str) -> list[str]:
    """Claims (`namespace/name`) whose data lies on a node and nowhere else."""
    held = []
    for item in kubectl.json("get", "persistentvolumes", timeout=20)["items"]:
        terms = item["spec"].get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", [])
        values = {v for term in terms for e in term.get("matchExpressions", []) for v in e.get("values", [])}
        claim = item["spec"].get("claimRef")
        if name in values and claim:
            held.append(f"{claim['namespace']}/{claim['name']}")
    return sorted(held)


def count(instance: Instance, wanted: int | None) -> int:
    """How many nodes `up` brings up. Raises `KubestoreError` for a number that cannot be."""
    have = existing(instance)
    if wanted is None:
        return len(have) or 1
    if wanted < 1:
        raise KubestoreError(f"--nodes {wanted}: a cluster has at least one node", "--nodes 1")
    if wanted < len(have):
        raise KubestoreError(
            f"--nodes {wanted}: instance {instance.name} has {len(have)}",
            f"kubestore node remove {have[-1].name}, which moves its pods first",
        )
    capacity(instance, max([wanted, *workers(instance, wanted)]), wanted - max(len(have), 1))
    return wanted


def workers(instance: Instance, wanted: int) -> list[int]:
    """The numbers of `wanted` nodes but the first: those that are there, then the lowest free ones."""
    have = [node.number for node in existing(instance) if node.number > 1]
    free = (number for number in range(2, wanted + len(have) + 2) if number not in have)
    return sorted([*have, *(next(free) for _ in range(wanted - 1 - len(have)))])


def number_of(name: str) -> int:
    """The number in a node's name. Raises `KubestoreError` for a name that is none."""
    prefix, _, number = name.partition("-")
    if prefix != "node" or not number.isdigit() or number.startswith("0"):
        raise KubestoreError(f"{name!r} is not a node's name", "node-2, node-3, ...")
    return int(number)


def capacity(instance: Instance, highest: int, more: int) -> None:
    """Raise `KubestoreError` when addresses or free memory do not allow `more` nodes up to `highest`."""
    if highest > instance.most_nodes:
        raise KubestoreError(
            f"node-{highest}: the pods' range has room for {instance.most_nodes} nodes",
            f"--nodes 1 to {instance.most_nodes}",
        )
    free, need = available_gib(), more * NODE_GIB
    if more and free < need:
        raise KubestoreError(
            f"{more} more nodes need {need:.1f} GiB of memory, {free:.1f} GiB are free",
            "ask for fewer nodes, or stop something",
        )


def available_gib() -> float:
    """Memory that the kernel could give to new processes, in GiB."""
    with open("/proc/meminfo") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    return kib / 2**20


def listing(instance: Instance) -> list[list[object]]:
    """Rows of name, role, process, readiness, address and pods; readiness is unknown while nobody tells."""
    known: dict[str, dict[str, Any]] = {}
    pods: list[str] = []
    try:
        kubectl = reachable(instance)
        known = objects(kubectl)
        pods = [item["spec"].get("nodeName", "") for item in kubectl.json("get", "pods", "-A")["items"]]
    except KubestoreError:  # a cluster that is down has nodes all the same
        pass
    rows: list[list[object]] = []
    for node in existing(instance):
        item = known.get(node.name)
        said = "unknown" if item is None else "Ready" if condition(item)[0] else "NotReady"
        cordoned = ", takes no pods" if item and item["spec"].get("unschedulable") else ""
        role = "control plane" if node.number == 1 else "worker"
        runs = "running" if node.alive() else "stopped"
        rows.append(
            [node.name, role, runs, said + cordoned, node.ip, pods.count(node.name) if known else "-"]
        )
    return rows
