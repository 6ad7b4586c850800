"""The network of an instance: one bridge on this machine, and a network namespace a node."""

import json
from pathlib import Path

from kubestore.instance import Instance
from kubestore.run import run


def netns(instance: Instance, number: int) -> str:
    """The name of a node's network namespace."""
    return f"{instance.bridge}-{number}"


def _links() -> set[str]:
    return {link["ifname"] for link in json.loads(run(["ip", "-json", "link", "show"]).stdout)}


def ensure_bridge(instance: Instance) -> None:
    """The bridge, with this machine's address on it."""
    if instance.bridge not in _links():
        run(["ip", "link", "add", instance.bridge, "type", "bridge"])
    # Also where the bridge is there: an `up` that was killed may have left it bare.
    run(["ip", "addr", "replace", f"{instance.host_ip}/24", "dev", instance.bridge])
    run(["ip", "link", "set", instance.bridge, "up"])


def remove_bridge(instance: Instance) -> None:
    """Take the bridge away, with the addresses and routes it carries."""
    if instance.bridge in _links():
        run(["ip", "link", "delete", instance.bridge])


def ensure_node(instance: Instance, number: int) -> Path:
    """A node's namespace with eth0 on the bridge; returns the namespace's file."""
    name = netns(instance, number)
    file = Path("/run/netns") / name
    if file.exists():
        remove_node(instance, number)
    run(["ip", "netns", "add", name])
    run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name])
    run(["ip", "link", "set", name, "master", instance.bridge, "up"])
    inside = ["ip", "-n", name]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "addr", "add", f"{instance.node_ip(number)}/24", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "add", "default", "via", instance.host_ip, "dev", "eth0"])
    return file


def route(instance: Instance, number: int, destination: str, via: str) -> None:
    """Have node `number` send what is for `destination` by way of another node's address."""
    inside = ["ip", "-n", netns(instance, number)]
    run([*inside, "route", "replace", destination, "via", via, "dev", "eth0"])


def remove_node(instance: Instance, number: int) -> None:
    """Take a node's namespace away; its end of the bridge goes with it."""
    if (Path("/run/netns") / netns(instance, number)).exists():
        run(["ip", "netns", "delete", netns(instance, number)])
    if netns(instance, number) in _links():
        run(["ip", "link", "delete", netns(instance, number)])
