"""Control groups: each node has a root of its own, in every controller of cgroup v1 or in v2's one tree."""

import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
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
    """Make the group `name` in every hierarchy, with processors and memory nodes to run on."""
    if unified():
        (ROOT / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not unified() and (group / file).exists():
                (group / file).write_text((hierarchy / file).read_text())


def remove(name: str, timeout: float = 10) -> list[Path]:
    """Remove the group `name` and all below it; returns what could not be removed in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        left = [path for hierarchy in hierarchies() for path in _remove_tree(hierarchy / name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def _remove_tree(group: Path) -> list[Path]:
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
