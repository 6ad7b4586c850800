"""A node: a process tree in namespaces of its own that ends when its first process does."""

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from kubestore import wait
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import cgroups, images, network, programs
from kubestore.run import Process, run, spawn, tail

INIT = Path(__file__).parent / "node-init.sh"
TEMPLATES = Path(__file__).parent / "templates"
START_S = 30.0
SOCKET = "unix:///run/containerd/containerd.sock"


@dataclass(frozen=True)
class Node:
    """Node `number` of an instance, from 1; the first one is the control plane."""

    instance: Instance
    number: int

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return f"node-{self.number}"

    @property
    def dir(self) -> Path:
        """The node's own folder."""
        return self.instance.dir / "nodes" / str(self.number)

    @property
    def ip(self) -> str:
        """The node's address."""
        return self.instance.node_ip(self.number)

    @property
    def cgroup(self) -> str:
        """The node's control group."""
        return f"kubestore-{self.instance.name}-{self.number}"

    @property
    def process(self) -> Process | None:
        """The process outside whose only child is the node's PID 1; None when there was none."""
        return Process.load(self.dir / "process.json")

    def alive(self) -> bool:
        """Whether the node runs."""
        return bool(self.process and self.process.alive())

    def start(self) -> None:
        """Start the node, unless it runs; what a dead one left behind is cleaned first."""
        if self.alive():
            return
        self.clean()
        (self.dir / "logs").mkdir(parents=True, exist_ok=True)
        self._configure_containerd()
        cgroups.ensure(self.cgroup)
        namespace = network.ensure_node(self.instance, self.number)
        environment = {
            **programs.environment(),
            "NODE_DIR": str(self.dir),
            "NODE_NAME": self.name,
            "CGROUP_ROOT": f"/{self.cgroup}",
        }
        command: list[str | Path] = ["nsenter", f"--net={namespace}", "unshare", "--mount", "--uts", "--ipc"]
        command += ["--pid", "--fork", "--kill-child", "--mount-proc", "tini", "--", "sh", INIT]
        log = self.dir / "logs" / "init.log"
        log.unlink(missing_ok=True)
        spawn(command, log=log, env=environment).save(self.dir / "process.json")
        self._await_containerd(log)

    def _await_containerd(self, log: Path) -> None:
        """Wait until containerd answers. Raises `KubestoreError` that names the logs, at once if the node ended."""
        hint = f"its logs are in {log.parent}"

        def answers() -> bool:
            return not self.alive() or self.run(["ctr", "version"], check=False).returncode == 0

        try:
            wait.until(answers, f"{self.name}: containerd", START_S)
        except KubestoreError as error:
            raise KubestoreError(error.what, hint) from error
        if not self.alive():
            said = tail(log.read_text(errors="replace"), 1) or "without a word"
            raise KubestoreError(f"{self.name} ended at once: {said}", hint)

    def stop(self) -> None:
        """End every process of the node and clean what it leaves."""
        if self.process:
            self.process.signal(signal.SIGKILL)
            process = self.process
            wait.until(lambda: not process.alive(), f"{self.name}: end of its processes", 20)
        self.clean()

    def clean(self) -> None:
        """Remove the network namespace and control groups that a node leaves."""
        network.remove_node(self.instance, self.number)
        cgroups.remove(self.cgroup)
        (self.dir / "process.json").unlink(missing_ok=True)

    def run(
        self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 60,
        log: Path | None = None, check: bool = True,
    ) -> CompletedProcess[str]:  # fmt: skip
        """Run a command inside the node. Raises CommandFailed."""
        inside = ["nsenter", "--mount", "--uts", "--ipc", "--net", "--pid", "--target", str(self.init_pid())]
        environment = {**programs.environment(), **(env or {})}
        return run([*inside, *command], env=environment, timeout=timeout, log=log, check=check)

    def init_pid(self) -> int:
        """The id, seen from outside, of the node's PID 1; 0 when there is none."""
        process = self.process
        if process is None:
            return 0
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else 0

    def _configure_containerd(self) -> None:
        target = self.dir / "etc" / "containerd"
        mirror = target / "certs.d" / "_default" / "hosts.toml"
        mirror.parent.mkdir(parents=True, exist_ok=True)
        values = {"registry": self.instance.registry, "pause": pause_image()}
        for template, file in (("containerd.toml", target / "config.toml"), ("hosts.toml", mirror)):
            file.write_text(fill(template, values))


def fill(template: str, values: Mapping[str, str]) -> str:
    """A file of `templates/` with each @name@ replaced."""
    return re.sub(r"@(\w+)@", lambda m: values[m[1]], (TEMPLATES / template).read_text())


def pause_image() -> str:
    """The image of the process that holds a pod's namespaces."""
    return images.reference("registry.k8s.io/pause")
