"""A throw-away API server: etcd and kube-apiserver on loopback, no node, gone at the end of the block."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubestore.errors import KubestoreError
from kubestore.kubectl import Kubectl
from kubestore.lab import programs
from kubestore.run import Process, run, spawn, tail
from kubestore.wait import until

READY_S = 60.0
NEEDED = ("etcd", "kube-apiserver", "kubeadm", "kubectl")
PLUGINS_OFF = "ServiceAccount,MutatingAdmissionWebhook,ValidatingAdmissionWebhook"


def built() -> bool:
    """Whether the programs that it needs have been built."""
    try:
        return all(programs.path(name) for name in NEEDED)
    except KubestoreError:
        return False


@contextmanager
def throwaway() -> Iterator[Kubectl]:
    """Start etcd and an API server, yield kubectl as its administrator, stop both.

    Raises `KubestoreError` when it is not ready within a minute, with the last lines of its log.
    """
    with tempfile.TemporaryDirectory(prefix="kubestore-api-") as name:
        folder = Path(name)
        started: list[Process] = []
        try:
            client, peer, secure = _free_ports(3)
            started.append(_etcd(folder, client, peer))
            started.append(_apiserver(folder, client, secure))
            kubectl = Kubectl(_kubeconfig(folder, secure))
            until(
                lambda: _ready(kubectl, started),
                "the throw-away API server",
                READY_S,
                0.1,
                lambda: _said(folder),
            )
            yield kubectl
        finally:
            for process in reversed(started):
                process.stop(3)


def _ready(kubectl: Kubectl, started: list[Process]) -> bool:
    if not all(process.alive() for process in started):
        raise KubestoreError("etcd or kube-apiserver ended")
    return kubectl.run("get", "--raw", "/readyz", timeout=5) == "ok"


def _said(folder: Path) -> str:
    return "\n".join(tail(log.read_text(), 4) for log in sorted(folder.glob("*.log")))


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def _etcd(folder: Path, client: int, peer: int) -> Process:
    url, other = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    command: list[str | Path] = [
        programs.path("etcd"), "--name=one", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync",
        f"--listen-client-urls={url}", f"--advertise-client-urls={url}", f"--listen-peer-urls={other}",
        f"--initial-advertise-peer-urls={other}", f"--initial-cluster=one={other}", "--log-level=error",
    ]  # fmt: skip
    return spawn(command, log=folder / "etcd.log")


def _apiserver(folder: Path, etcd: int, secure: int) -> Process:
    run([programs.path("kubeadm"), "init", "phase", "certs", "sa", f"--cert-dir={folder}"], timeout=20)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{_token(folder)},administrator,1,system:masters\n")
    command: list[str | Path] = [
        programs.path("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        f"--cert-dir={folder / 'tls'}",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-cluster-ip-range=198.18.8.0/21",
        f"--disable-admission-plugins={PLUGINS_OFF}",
        "--authorization-mode=RBAC",
        "--enable-priority-and-fairness=false",
        "--watch-cache=false",
    ]
    return spawn(command, log=folder / "kube-apiserver.log")


def _token(folder: Path) -> str:
    path = folder / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(os.urandom(16).hex())
    return path.read_text()


def _kubeconfig(folder: Path, secure: int) -> Path:
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    cluster = {"server": f"https://127.0.0.1:{secure}", "insecure-skip-tls-verify": True}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "throwaway",
        "clusters": [{"name": "throwaway", "cluster": cluster}],
        "users": [{"name": "administrator", "user": {"token": _token(folder)}}],
        "contexts": [{"name": "throwaway", "context": {"cluster": "throwaway", "user": "administrator"}}],
    }
    path.write_text(json.dumps(content))
    return path
