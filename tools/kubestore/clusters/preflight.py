"""What must hold before anything is changed: everything that does not is told at once, with its mend."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence

from kubestore.clusters import pins
from kubestore.clusters.providers import ARGOCD_PORT, STORE_PORT, Provider
from kubestore.errors import KubestoreError
from kubestore.run import run

Finding = tuple[str, str]

GET = {
    "docker": "https://docs.docker.com/get-started/get-docker",
    "git": "your system's package git",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "minikube": "https://minikube.sigs.k8s.io/docs/start",
}
ASK = {
    "docker": ["docker", "--version"],
    "git": ["git", "--version"],
    "kind": ["kind", "version"],
    "kubectl": ["kubectl", "version", "--client", "--output=json"],
    "minikube": ["minikube", "version", "--short"],
}
NUMBERS = re.compile(r"v?(\d+)\.(\d+)")


def minor(text: str) -> tuple[int, int] | None:
    """Major and minor version in what a program says of itself."""
    found = NUMBERS.search(text)
    return (int(found[1]), int(found[2])) if found else None


def version(program: str) -> tuple[int, int] | None:
    """Version of an installed program; None when it does not say."""
    said = run(ASK[program], timeout=30, check=False).stdout
    if program == "kubectl":
        try:
            said = json.loads(said)["clientVersion"]["gitVersion"]
        except (ValueError, KeyError, TypeError):
            return None
    return minor(said)


def programs(wanted: Sequence[str]) -> Iterator[Finding]:
    """Programs that are missing or too old."""
    for name in wanted:
        if not shutil.which(name):
            yield f"{name} is not installed", f"install it: {GET[name]}"
        elif (oldest := pins.OLDEST.get(name)) and (found := version(name)) and found < oldest:
            yield (
                f"{name} {_dotted(found)} is too old, {_dotted(oldest)} is needed",
                f"update it: {GET[name]}",
            )


def kubectl(server: str) -> Iterator[Finding]:
    """kubectl that is too far from an API server of version `server`, such as v1.37.0."""
    if not shutil.which("kubectl"):
        return
    client, other = version("kubectl"), minor(server)
    if client and other and abs(client[1] - other[1]) > pins.KUBECTL_SKEW:
        yield (
            f"kubectl {_dotted(client)} does not fit Kubernetes {_dotted(other)}",
            f"install kubectl {_dotted(other)}: {GET['kubectl']}",
        )


def docker() -> Iterator[Finding]:
    """A daemon that is stopped or has too little memory."""
    if not shutil.which("docker"):
        return
    done = run(["docker", "info", "--format={{json .}}"], timeout=30, check=False)
    try:
        facts = json.loads(done.stdout)
        memory, cpus = facts["MemTotal"] / 2**30, facts["NCPU"]
    except (ValueError, KeyError, TypeError):
        memory, cpus = 0.0, 0
    if done.returncode != 0 or not memory:
        yield "the Docker daemon does not answer", "start Docker (Docker Desktop, or systemctl start docker)"
        return
    if memory < pins.MEMORY_GIB:
        yield (
            f"Docker has {memory:.1f} GiB of memory, {pins.MEMORY_GIB} are needed",
            "Docker Desktop: Settings, Resources; elsewhere a larger machine",
        )
    if cpus < pins.CPUS:
        yield f"Docker has {cpus} CPU, {pins.CPUS} are needed", "Docker Desktop: Settings, Resources"


def ports(taken: Callable[[int], bool] | None = None) -> Iterator[Finding]:
    """Ports of this machine that a new cluster needs and somebody else has."""
    for port in (STORE_PORT, ARGOCD_PORT):
        if (taken or _taken)(port):
            yield f"port {port} of this machine is taken", "stop what listens there: is another cluster up?"


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def findings(provider: Provider) -> Iterator[Finding]:
    """What is wrong with this machine for a provider's cluster."""
    lacking = list(programs(provider.programs))
    yield from lacking
    if not provider.ours:
        return
    daemon = list(docker())
    yield from daemon
    yield from kubectl(pins.KUBERNETES)
    if not lacking and not daemon and provider.state() == "absent":
        yield from ports()


def refuse(what: str, wrong: Sequence[Finding]) -> None:
    """Raise `KubestoreError` for findings: one by itself, several as a list; nothing without any."""
    if len(wrong) == 1:
        raise KubestoreError(*wrong[0])
    if wrong:
        lines = "\n".join(f"  - {text}\n    mend: {mend}" for text, mend in wrong)
        raise KubestoreError(f"{what}:\n{lines}", "mend these, then run it again; nothing was changed")


def fastest() -> str:
    """The cluster that this machine could have in minutes: `kind`, `minikube` or nothing."""
    if not shutil.which("docker") or list(docker()):
        return ""
    return next((name for name in ("kind", "minikube") if shutil.which(name)), "")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
