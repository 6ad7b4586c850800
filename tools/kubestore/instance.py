"""An instance: one embedded cluster with its name, addresses and folder, apart from every other.

All addresses lie in 198.18.0.0/15, which RFC 2544 sets aside for tests, so they collide with no network
that this machine can reach. Slot N owns one /19 of it:

    .0.0/24   the nodes' network: .1 is this machine, .11 the first node
    .8.0/21   Services
    .16.0/20  pods, a /24 a node
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from kubestore import files, paths
from kubestore.errors import KubestoreError

FORMAT = 1
SLOTS = 16
NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True)
class Instance:
    """One embedded cluster, known by its name."""

    name: str
    slot: int

    @staticmethod
    def current() -> "Instance":
        """The instance that `KUBESTORE_INSTANCE` names (`default`); nothing is written.

        Raises `KubestoreError` for a name that is not one, a folder of another format, or when all
        slots are taken.
        """
        name = os.environ.get("KUBESTORE_INSTANCE") or "default"
        if not NAME.fullmatch(name):
            raise KubestoreError(
                f"KUBESTORE_INSTANCE={name!r} is not a name of an instance",
                "use a letter, then at most 15 of a-z, 0-9 and -",
            )
        slots = _slots()
        free = sorted(set(range(SLOTS)) - set(slots.values()))
        if name not in slots and not free:
            raise KubestoreError(
                f"all {SLOTS} slots are taken by {', '.join(sorted(slots))}", "purge one of them"
            )
        return Instance(name, slots[name] if name in slots else free[0])

    def create(self) -> None:
        """Make the instance's folder and keep its slot. Raises `KubestoreError` when another has just taken it."""
        self.dir.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        with _slots_held():
            for name, slot in _slots().items():
                if slot == self.slot and name != self.name:
                    raise KubestoreError(
                        f"instance {name} has just taken the addresses meant for {self.name}",
                        "run it again: it gets others",
                    )
            files.write(self.dir / "instance.json", json.dumps({"format": FORMAT, "slot": self.slot}))

    @property
    def exists(self) -> bool:
        """Whether `up` has made it."""
        return (self.dir / "instance.json").exists()

    @contextmanager
    def lock(self, doing: str) -> Iterator[None]:
        """Hold the instance while `doing`; raises `KubestoreError` naming who holds it already."""
        self.dir.mkdir(parents=True, exist_ok=True)
        with (self.dir / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise KubestoreError(
                    f"instance {self.name} is held by {holder}", "wait for it to end, or stop that process"
                ) from error
            file.truncate(0)
            file.write(f"`kubestore {doing}` (process {os.getpid()})")
            file.flush()
            yield

    @property
    def dir(self) -> Path:
        """The folder with everything that the instance keeps."""
        return paths.STATE / self.name

    @property
    def logs(self) -> Path:
        """The folder with every log."""
        return self.dir / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.dir / "kubeconfig"

    @property
    def network(self) -> IPv4Network:
        """The /19 that is the instance's own."""
        return list(IPv4Network("198.18.0.0/15").subnets(new_prefix=19))[self.slot]

    def _part(self, offset: int, prefix: int) -> IPv4Network:
        return IPv4Network((int(self.network.network_address) + offset * 256, prefix))

    @property
    def node_network(self) -> IPv4Network:
        """The network of nodes and this machine."""
        return self._part(0, 24)

    @property
    def services(self) -> IPv4Network:
        """The range of Services."""
        return self._part(8, 21)

    @property
    def pods(self) -> IPv4Network:
        """The range of pods."""
        return self._part(16, 20)

    @property
    def bridge(self) -> str:
        """The bridge that joins this machine and the nodes."""
        return f"kubestore{self.slot}"

    @property
    def host_ip(self) -> str:
        """This machine's address on the nodes' network."""
        return str(self.node_network[1])

    def node_ip(self, number: int) -> str:
        """The address of node `number`, from 1."""
        return str(self.node_network[10 + number])

    @property
    def most_nodes(self) -> int:
        """How many nodes the range of pods has room for, a /24 each."""
        return int(2 ** (24 - self.pods.prefixlen))

    @property
    def forge_url(self) -> str:
        """The git repository that Argo CD follows, for pushes from this machine."""
        return f"http://{self.host_ip}:3000/kubestore.git"

    @property
    def registry(self) -> str:
        """Host and port of the registry."""
        return f"{self.host_ip}:5000"

    @property
    def store_url(self) -> str:
        """The store, through the first node's port."""
        return f"http://{self.node_ip(1)}:30080"

    @property
    def argocd_url(self) -> str:
        """Argo CD's API server, through the first node's port."""
        return f"https://{self.node_ip(1)}:30443"


def _slots() -> dict[str, int]:
    """Which instance has which slot."""
    return {file.parent.name: _slot(file) for file in paths.STATE.glob("*/instance.json")}


@contextmanager
def _slots_held() -> Iterator[None]:
    """Give out slots one at a time."""
    folder = os.open(paths.STATE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _slot(file: Path) -> int:
    """The slot that an instance's folder keeps."""
    try:
        kept = json.loads(file.read_text())
        if kept["format"] == FORMAT:
            return int(kept["slot"])
    except (ValueError, KeyError, TypeError):
        pass
    raise KubestoreError(
        f"{file.parent} was made by another version of kubestore",
        f"check out that version and run `make purge`, or remove {file.parent} yourself",
    )
