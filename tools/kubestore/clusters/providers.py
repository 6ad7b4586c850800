"""How each kind of cluster is made, stopped and reached, by the user's own tools."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubestore.clusters import context, pins
from kubestore.clusters.command import Command
from kubestore.clusters.context import Context
from kubestore.run import run

NAME = "kubestore"
KIND_CONFIG = Path(__file__).parent / "kind.yaml"
STORE_PORT, ARGOCD_PORT = 30080, 30443
MINUTES = 900.0


class Provider(Protocol):
    """One way to have a cluster."""

    @property
    def name(self) -> str:
        """What `--cluster` calls it."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that it takes."""

    @property
    def ours(self) -> bool:
        """Whether the cluster is ours alone, to be made, stopped and deleted."""

    def context(self) -> Context:
        """kubectl for it."""

    def state(self) -> str:
        """`absent`, `stopped` or `running`."""

    def start(self, state: str) -> list[Command]:
        """Commands that make or start it, from the state it is in."""

    def stop(self, state: str) -> list[Command]:
        """Commands that stop it and keep its data."""

    def delete(self, state: str) -> list[Command]:
        """Commands that remove it with its data."""

    def address(self) -> str:
        """Where its NodePorts answer."""


@dataclass(frozen=True)
class Kind:
    """kind: a cluster in one Docker container."""

    name: str = "kind"
    programs: tuple[str, ...] = ("docker", "kind", "kubectl", "git")
    ours: bool = True
    node: str = f"{NAME}-control-plane"

    def context(self) -> Context:
        """The context that kind writes."""
        return Context(f"kind-{NAME}")

    def state(self) -> str:
        """As kind and Docker tell it."""
        if NAME not in run(["kind", "get", "clusters"], timeout=60).stdout.split():
            return "absent"
        told = run(["docker", "inspect", "--format={{.State.Running}}", self.node], timeout=60, check=False)
        return "running" if told.stdout.strip() == "true" else "stopped"

    def start(self, state: str) -> list[Command]:
        """kind cannot start what was stopped; Docker can."""
        if state == "running":
            return []
        if state == "stopped":
            return [Command(("docker", "start", self.node))]
        options = (f"--image={pins.KIND_IMAGE}", f"--config={KIND_CONFIG}", "--wait=180s")
        return [Command(("kind", "create", "cluster", f"--name={NAME}", *options), timeout=MINUTES)]

    def stop(self, state: str) -> list[Command]:
        """Stop the node's container."""
        return [Command(("docker", "stop", self.node))] if state == "running" else []

    def delete(self, state: str) -> list[Command]:
        """Delete the cluster."""
        if state == "absent":
            return []
        return [Command(("kind", "delete", "cluster", f"--name={NAME}"))]

    def address(self) -> str:
        """kind.yaml maps the ports."""
        return "127.0.0.1"


@dataclass(frozen=True)
class Minikube:
    """minikube with its docker driver, as a profile of our own."""

    name: str = "minikube"
    programs: tuple[str, ...] = ("docker", "minikube", "kubectl", "git")
    ours: bool = True

    def context(self) -> Context:
        """minikube names the context after the profile."""
        return Context(NAME)

    def state(self) -> str:
        """As minikube tells it; a profile that it does not know is absent."""
        told = run(["minikube", "profile", "list", "--output=json"], timeout=90, check=False).stdout
        try:
            profiles = [
                one for group in json.loads(told).values() if isinstance(group, list) for one in group
            ]
        except ValueError:
            return "absent"
        mine = [one for one in profiles if one.get("Name") == NAME]
        if not mine:
            return "absent"
        return "running" if mine[0].get("Status") in ("Running", "OK") else "stopped"

    def start(self, state: str) -> list[Command]:
        """The same command makes it and starts it again."""
        if state == "running":
            return []
        ports = [f"--ports=127.0.0.1:{port}:{port}" for port in (STORE_PORT, ARGOCD_PORT)]
        options = (
            f"--profile={NAME}", "--driver=docker", f"--kubernetes-version={pins.KUBERNETES}",
            f"--cpus={pins.CPUS}", f"--memory={int(pins.MEMORY_GIB * 1024)}m", *ports,
        )  # fmt: skip
        return [Command(("minikube", "start", *options), timeout=MINUTES)]

    def stop(self, state: str) -> list[Command]:
        """Stop the profile."""
        return [Command(("minikube", "stop", f"--profile={NAME}"))] if state == "running" else []

    def delete(self, state: str) -> list[Command]:
        """Delete the profile."""
        if state == "absent":
            return []
        return [Command(("minikube", "delete", f"--profile={NAME}"))]

    def address(self) -> str:
        """`--ports` maps them."""
        return "127.0.0.1"


@dataclass(frozen=True)
class Current:
    """Whatever the kubeconfig's current context names: somebody's cluster, so everything is asked first."""

    name: str = "current"
    programs: tuple[str, ...] = ("kubectl", "git")
    ours: bool = False

    def context(self) -> Context:
        """The current context. Raises `KubestoreError` when there is none."""
        return context.current()

    def state(self) -> str:
        """Its owner keeps it running."""
        return "running"

    def start(self, state: str) -> list[Command]:
        """Nothing: it is not ours to start."""
        return []

    def stop(self, state: str) -> list[Command]:
        """Nothing: what we put on it is stopped by `lifecycle.down`."""
        return []

    def delete(self, state: str) -> list[Command]:
        """Nothing: it is not ours to delete."""
        return []

    def address(self) -> str:
        """The first node's own address."""
        nodes = self.context().items("nodes")
        found = [one["address"] for node in nodes for one in node["status"].get("addresses", [])
                 if one["type"] == "InternalIP"]  # fmt: skip
        return str(found[0]) if found else "127.0.0.1"


PROVIDERS: dict[str, Provider] = {one.name: one for one in (Kind(), Minikube(), Current())}
EMBEDDED = "embedded"
CHOICES = (EMBEDDED, *PROVIDERS)
