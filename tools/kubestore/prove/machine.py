"""The machine and the commit that figures belong to."""

import os
import platform
from pathlib import Path
from typing import Any

from kubestore import paths
from kubestore.run import run


def describe() -> dict[str, Any]:
    """Cores that we may use, memory in GiB, kernel, CPU model."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "cpu": cpu_model(),
    }


def cpu_model() -> str:
    """The first processor's name; the architecture where the kernel tells none."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """The checkout's commit, with `+` when the work tree differs from it; `none` outside a repository."""
    found = run(["git", "-C", paths.REPO, "rev-parse", "--short=10", "HEAD"], check=False)
    if found.returncode != 0:
        return "none"
    dirty = run(["git", "-C", paths.REPO, "status", "--porcelain", "-uno"], check=False).stdout.strip()
    return found.stdout.strip() + ("+" if dirty else "")
