"""Workers: joined by kubeadm, stopped, drained and removed.

A worker is a node of its own in every respect but the machine: its process tree ends with one process, its
pods have a range of their own, and its volumes lie in its own folder.
"""

import shlex
import shutil
from collections.abc import Sequence

from kubestore import ui, wait
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import cgroups, network
from kubestore.lab.node import Node, fill
from kubestore.lab.nodes import capacity, condition, existing, named, number_of, objects, reachable, volumes

DRAIN_S = 180
JOIN_MINUTES = 15


def wake(instance: Instance) -> None:
    """Start the workers that have joined before, so that none counts as dead when the control plane looks."""
    for node in existing(instance):
        if node.number > 1 and _joined(node) and not node.alive():
            with ui.step(f"start {node.name}"):
                node.start()


def _joined(node: Node) -> bool:
    return (node.dir / "etc" / "kubernetes" / "kubelet.conf").exists()


def ensure(instance: Instance, kubectl: Kubectl, numbers: Sequence[int]) -> None:
    """Start the nodes of these numbers, join those that are new, and wait until all are Ready."""
    nodes = [Node(instance, number) for number in numbers]
    for node in nodes:
        with ui.step(f"start {node.name}"):
            node.start()
            if not _joined(node):
                _join(node)
    if nodes:
        with ui.step("workers ready") as step:
            wait.until(lambda: set(objects(kubectl)) >= {n.name for n in nodes}, "nodes registered", 60)
            routes(instance, kubectl)
            for node in nodes:
                step.note(node.name)
                ready(kubectl, node)
            step.note("")


def _join(node: Node) -> None:
    """Have kubeadm join the node with a token that is good for some minutes."""
    admin = {"KUBECONFIG": "/etc/kubernetes/admin.conf"}
    create = ["kubeadm", "token", "create", "--print-join-command", "--ttl", f"{JOIN_MINUTES}m"]
    words = shlex.split(Node(node.instance, 1).run(create, env=admin).stdout)
    values = {
        "endpoint": words[2], "token": words[words.index("--token") + 1],
        "hash": words[words.index("--discovery-token-ca-cert-hash") + 1],
        "node_name": node.name, "node_ip": node.ip,
    }  # fmt: skip
    config = node.dir / "kubeadm-join.yaml"
    config.touch(mode=0o600)
    config.write_text(fill("kubeadm-join.yaml", values))
    command: list[str] = ["kubeadm", "join", "--config", str(config), "--skip-phases=preflight"]
    node.run([*command, "--ignore-preflight-errors=all"], timeout=180, log=node.instance.logs / "kubeadm.log")
    config.unlink()


def ready(kubectl: Kubectl, node: Node, timeout: float = 120) -> None:
    """Wait until a node is Ready; a kubelet that asked for its node too early is started again, once."""
    kicked: list[str] = []

    def check() -> bool:
        good, message = condition(objects(kubectl).get(node.name, {}))
        if "CSINode" in message and not kicked:
            kicked.append(message)
            node.run(["pkill", "-x", "kubelet"], check=False)
        if not good:
            raise KubestoreError(message)
        return good

    wait.until(check, f"{node.name} Ready", timeout, every=1)


def routes(instance: Instance, kubectl: Kubectl) -> None:
    """Have every running node send what is for another node's pods to that node."""
    known = objects(kubectl)
    nodes = [node for node in existing(instance) if node.alive()]
    for node in nodes:
        for other in nodes:
            pods = known.get(other.name, {}).get("spec", {}).get("podCIDR")
            if other.number != node.number and pods:
                network.route(instance, node.number, pods, other.ip)


def add(instance: Instance, name: str = "") -> Node:
    """Make one more node (the next free number, or the one that `name` says) and join it."""
    kubectl = reachable(instance)
    have = [node.number for node in existing(instance)]
    number = number_of(name) if name else max(have) + 1
    if number in have:
        raise KubestoreError(f"{name} is there already", "kubestore node list")
    capacity(instance, number, 1)
    ensure(instance, kubectl, [number])
    return Node(instance, number)


def stop(instance: Instance, name: str, *, force: bool = False) -> None:
    """End a node's process tree at once, as when its power fails; its data stays."""
    node = named(instance, name)
    if node.number == 1 and not force:
        raise KubestoreError(
            f"{name} is the only control plane: nothing would be scheduled, healed or deployed",
            "--force stops it all the same; `kubestore up` starts it again",
        )
    with ui.step(f"stop {name}"):
        node.stop()


def start(instance: Instance, name: str) -> None:
    """Start a node that was stopped, and let pods come to it again after a drain."""
    node = named(instance, name)
    if node.number == 1 and not node.alive():
        raise KubestoreError(f"{name} is the control plane", "kubestore up starts it and what it needs")
    kubectl = reachable(instance)
    ensure(instance, kubectl, [node.number] if node.number > 1 else [])
    kubectl.run("uncordon", name)


def drain(instance: Instance, name: str, *, force: bool = False) -> None:
    """Move a node's pods elsewhere, one disruption budget at a time, and let none come."""
    node = named(instance, name)
    kubectl = reachable(instance)
    takes = [item for item in objects(kubectl).values() if not item["spec"].get("unschedulable")]
    if not force and not [item for item in takes if item["metadata"]["name"] != name]:
        raise KubestoreError(
            f"{name} is the only node that takes pods: they would have nowhere to go",
            "kubestore node add, or --force",
        )
    if not force and (held := volumes(kubectl, name)):
        raise KubestoreError(
            f"{name} holds the data of {', '.join(held)}: its pod would wait for the node",
            "drain another node, or --force",
        )
    _drain(kubectl, node)


def _drain(kubectl: Kubectl, node: Node) -> None:
    with ui.step(f"drain {node.name}"):
        kubectl.run(
            "drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_S}s",
            timeout=DRAIN_S + 20,
        )  # fmt: skip


def remove(instance: Instance, name: str, *, force: bool = False) -> None:
    """Drain a worker if it runs, take it out of the cluster and forget its data."""
    node = named(instance, name)
    if node.number == 1:
        raise KubestoreError(f"{name} is the control plane", "kubestore purge removes all")
    kubectl = reachable(instance)
    held = volumes(kubectl, name)
    if held and not force:
        raise KubestoreError(
            f"{name} holds the data of {', '.join(held)}, which would be lost", "--force loses it"
        )
    if node.alive() and condition(objects(kubectl).get(name, {}))[0]:
        _drain(kubectl, node)
    with ui.step(f"remove {name}"):
        kubectl.run("delete", "node", name, "--ignore-not-found", timeout=60)
        node.stop()
        if left := cgroups.remove(node.cgroup):
            raise KubestoreError(f"control groups are still busy: {left[0]} (of {len(left)})", "run it again")
        shutil.rmtree(node.dir)
