"""Control groups: each node has a root of its own, in every controller of cgroup v1 or in v2's one tree."""

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Against a process of the host, which weighs one: builds and tests beside a cluster must not starve its shoppers.
WEIGHT = 8
NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "pids")


def unified() -> bool:
    """Whether the machine uses cgroup v2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def missing() -> list[str]:
    """Controllers that Kubernetes needs and the machine lacks."""
    if unified():
        have = (ROOT / "cgroup.controllers").read_text().split()
        return [name for name in NEEDED if name not in have and name != "cpuacct"]
    return [name for name in NEEDED if not (ROOT / name).is_dir()]


def hierarchies() -> list[Path]:
    """The folder of each mounted hierarchy, once even where two names lead to it."""
    if unified():
        return [ROOT]
    return sorted({folder.resolve() for folder in ROOT.iterdir() if folder.is_dir()})


def ensure(name: str) -> None:
    """Make the group `name` in every hierarchy, with processors and memory nodes to run on, and its weight."""
    if unified():
        (ROOT / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not unified() and (group / file).exists():
                (group / file).write_text((hierarchy / file).read_text())
        for file, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
            if (group / file).exists():
                (group / file).write_text(str(WEIGHT * one))


def remove(name: str, timeout: float = 10) -> list[Path]:
    """Remove the group `name` and all below it; returns what could not be removed in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        left = [path for hierarchy in hierarchies() for path in remove_tree(hierarchy / name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def remove_tree(group: Path) -> list[Path]:
    """Remove empty groups from the leaves up; returns those that are still busy."""
    left = []
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            left.append(Path(folder))
    return left


def nested(name: str) -> Path:
    """Make the group `name` below this process's own, so that whoever ends that one ends this one too.

    In cgroup v1 it is in the hierarchy that counts processes. Raises `OSError` where it cannot be made.
    """
    hierarchy, controller = (ROOT, "") if unified() else (ROOT / "pids", "pids")
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = hierarchy / next((path[1:] for _, names, path in lines if controller in names.split(",")), "")
    group = (own if own.is_dir() else hierarchy) / name  # a container may not see the path that it is told
    group.mkdir(exist_ok=True)
    return group


def members(group: Path) -> list[int]:
    """Ids of the processes in a group and in all below it."""
    pids: list[int] = []
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):
            pids += map(int, (Path(folder) / "cgroup.procs").read_text().split())
    return pids


def usage(name: str) -> tuple[float, int]:
    """What the group `name` and all below it used: processor seconds so far, bytes of memory now.

    Memory counts without the page cache that is not in active use, as kubelet counts a working set.
    """
    if unified():
        group = ROOT / name
        cpu = float(_stat(group / "cpu.stat")["usage_usec"]) / 1e6
        held = int((group / "memory.current").read_text())
        return cpu, held - _stat(group / "memory.stat").get("inactive_file", 0)
    cpu = float((ROOT / "cpuacct" / name / "cpuacct.usage").read_text()) / 1e9
    memory = ROOT / "memory" / name
    held = int((memory / "memory.usage_in_bytes").read_text())
    return cpu, held - _stat(memory / "memory.stat").get("total_inactive_file", 0)


def _stat(file: Path) -> dict[str, int]:
    return {
        key: int(value) for key, _, value in (line.partition(" ") for line in file.read_text().splitlines())
    }
