"""What the machine must offer: everything that is missing is told at once, with the way to mend it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kubestore import paths, ui
from kubestore.errors import KubestoreError
from kubestore.lab import cgroups, programs
from kubestore.run import CommandFailed, run

# Program -> the Debian package that brings it.
DEBIAN = {
    "bridge": "iproute2",
    "buildah": "buildah",
    "conntrack": "conntrack",
    "fcgiwrap": "fcgiwrap",
    "git": "git",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nginx": "nginx-light",
    "nsenter": "util-linux",
    "runc": "runc",
    "sysctl": "procps",
    "tini": "tini",
}
CNI = Path("/usr/lib/cni/host-local")
MEMORY_GIB = 6
DISK_GIB = {"cold": 25, "warm": 6}
FILESYSTEMS = ("overlay",)


def packages() -> list[str]:
    """Debian packages whose programs are missing."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    lacking = [package for program, package in DEBIAN.items() if not shutil.which(program, path=path)]
    return sorted(set(lacking if CNI.exists() else [*lacking, "containernetworking-plugins"]))


def findings() -> Iterator[tuple[str, str]]:
    """What is wrong with the machine and cannot be installed, each with its mend."""
    if os.uname().sysname != "Linux":
        yield "this is not Linux", "use a Linux machine, or `make up CLUSTER=minikube` with Docker"
        return
    if os.geteuid() != 0:
        yield "not root", "the embedded cluster makes namespaces and mounts: sudo make up"
    if absent := cgroups.missing():
        yield (
            f"cgroup controllers missing: {', '.join(absent)}",
            "boot with cgroup_enable=memory or use cgroup v2",
        )
    known = Path("/proc/filesystems").read_text().split()
    for name in FILESYSTEMS:
        if name not in known:
            yield f"the kernel has no {name} file system", f"modprobe {name}"
    for kind in ("mnt", "net", "pid", "uts", "ipc"):
        if not Path("/proc/self/ns", kind).exists():
            yield f"the kernel has no {kind} namespaces", "use a kernel built with CONFIG_NAMESPACES"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if total < MEMORY_GIB:
        yield f"{total:.1f} GiB of memory, {MEMORY_GIB} are needed", "use a larger machine"
    need = DISK_GIB["cold" if list(programs.missing()) else "warm"]
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(paths.CACHE).free / 2**30
    if free < need:
        yield (
            f"{free:.1f} GiB free below {paths.CACHE}, {need} are needed",
            "free some space, or set KUBESTORE_CACHE",
        )
    if packages() and not shutil.which("apt-get"):
        yield f"missing programs: {', '.join(packages())}", "install the packages of these names"


def check() -> None:
    """Raise `KubestoreError` with everything that is missing; install missing Debian packages."""
    wrong = list(findings())
    if wrong:
        lines = "\n".join(f"  - {what}\n    mend: {mend}" for what, mend in wrong)
        raise KubestoreError(
            f"this machine cannot run the embedded cluster:\n{lines}", "mend these, then run it again"
        )
    if lacking := packages():
        with ui.step(f"install Debian packages: {' '.join(lacking)}"):
            _install(lacking)


def _install(lacking: list[str]) -> None:
    log = paths.CACHE / "logs" / "apt.log"
    # Packages must not start servers of their own on this machine.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        run(["apt-get", "update"], env=quiet, log=log, timeout=300)
        run(
            ["apt-get", "install", "-y", "--no-install-recommends", *lacking], env=quiet, log=log, timeout=900
        )
    except CommandFailed as error:
        hint = f"apt-get install {' '.join(lacking)}; log: {log}"
        raise KubestoreError("Debian packages could not be installed", hint) from error
