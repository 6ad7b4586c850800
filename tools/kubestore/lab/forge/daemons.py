"""The forge's four processes: started when they are not there, stopped by their remembered ids."""

import errno
import os
import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubestore import files, http, wait
from kubestore.errors import KubestoreError
from kubestore.lab.forge import leftovers, nginx, registry
from kubestore.lab.forge.settings import FILE, Settings
from kubestore.run import Process, run, spawn, tail

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST_SOCKET = 107  # sun_path, see unix(7)
START = 15.0


@dataclass(frozen=True)
class Daemon:
    """One process, the files that shape it, and the socket that it must not find already there."""

    name: str
    command: Sequence[str | Path]
    files: dict[Path, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    socket: Path | None = None

    def pid_file(self, settings: Settings) -> Path:
        """Where its id and start time are remembered."""
        return settings.pid_file(self.name)

    def process(self, settings: Settings) -> Process | None:
        """The running process; None when there is none of ours."""
        return Process.running(self.pid_file(settings))

    def start(self, settings: Settings) -> None:
        """Start it; one that runs with the same files is left alone, with others is started anew."""
        changed = [path for path, text in self.files.items() if not path.exists() or path.read_text() != text]
        running = self.process(settings)
        if running and not changed:
            return
        if running:
            running.stop()
        for path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(self.files[path])
        if self.socket:
            self.socket.unlink(missing_ok=True)
        log = settings.logs / f"{self.name}.log"
        spawn(self.command, log=log, env=self.environment, cwd=settings.folder).save(self.pid_file(settings))

    def stop(self, settings: Settings) -> None:
        """Stop it, if it is ours."""
        if running := self.process(settings):
            running.stop(20)
        self.pid_file(settings).unlink(missing_ok=True)


def daemons(settings: Settings) -> list[Daemon]:
    """Every process, in the order in which they start."""
    run_folder = settings.folder / "run"
    git_socket, registry_socket = run_folder / "git.sock", run_folder / "registry.sock"
    registry_file, nginx_file = settings.folder / "registry.yaml", settings.folder / "nginx.conf"
    backend = run(["git", "--exec-path"], timeout=10).stdout.strip() + "/git-http-backend"
    return [
        Daemon(
            "registry",
            [settings.registry_program, "serve", registry_file],
            {registry_file: registry.config(settings, _upload_secret(settings))},
            registry.ENVIRONMENT,
            registry_socket,
        ),
        Daemon(
            "fcgiwrap",
            [_program("fcgiwrap", "fcgiwrap"), "-f", "-c", "8", "-s", f"unix:{git_socket}"],
            socket=git_socket,
        ),
        Daemon(
            "nginx",
            [
                _program("nginx", "nginx-light"),
                "-e",
                settings.logs / "nginx.log",
                "-p",
                settings.root,
                "-c",
                nginx_file,
            ],
            {nginx_file: nginx.config(settings, backend, PATH)},
        ),
        Daemon(
            "runner",
            [settings.python, "-m", "kubestore.lab.forge.runner", settings.root],
            {run_folder / f"runner-{FILE}": (settings.folder / FILE).read_text()},
            settings.environment(),
        ),
    ]


def start(settings: Settings) -> None:
    """Start what is not running and wait until git and registry answer."""
    if len(os.fsencode(f"{settings.root}/run/registry.sock")) > LONGEST_SOCKET:
        raise KubestoreError(
            f"{settings.root} is too long a path for a socket", "set KUBESTORE_STATE to a shorter one"
        )
    for folder in ("run", "logs", "runs", "events", "git/mirrors"):
        (settings.folder / folder).mkdir(parents=True, exist_ok=True)
    (settings.folder / "run").chmod(0o700)
    everything = daemons(settings)
    if not next(daemon for daemon in everything if daemon.name == "nginx").process(settings):
        for port in (settings.git_port, settings.registry_port):
            _check_free(settings.address, port)
    for daemon in everything:
        daemon.start(settings)
    for daemon in everything:
        _wait(daemon, settings)


def stop(settings: Settings) -> None:
    """Stop everything, the runner first, so that no run meets a dead git server.

    A runner that was killed has not ended what its run had started: that is done here. Raises
    `KubestoreError` when it cannot be.
    """
    for daemon in reversed(daemons(settings)):
        daemon.stop(settings)
        if daemon.name == "runner" and (left := leftovers.sweep(settings)):
            raise KubestoreError(
                f"processes of a pipeline's run cannot be ended: {', '.join(map(str, left))}",
                f"ps -o pid,stat,args -p {','.join(map(str, left))} tells what they wait for; then run it again",
            )


def dead(settings: Settings) -> list[str]:
    """Names of the processes that do not run."""
    return [daemon.name for daemon in daemons(settings) if not daemon.process(settings)]


def _wait(daemon: Daemon, settings: Settings) -> None:
    """Wait until a daemon answers; raises `KubestoreError` with its log's end when it died."""
    log = settings.logs / f"{daemon.name}.log"

    def ready() -> bool:
        if not daemon.process(settings):
            return True
        if daemon.name == "nginx":
            return _answers(f"http://{settings.registry}/v2/") and _answers(settings.origin + "/")
        return daemon.socket is None or daemon.socket.exists()

    wait.until(ready, f"{daemon.name} to answer", START, 0.05, lambda: tail(_text(log), 2) or "an empty log")
    if not daemon.process(settings):
        last = tail(_text(log), 1) or "without a word"
        raise KubestoreError(f"{daemon.name} ended at once: {last}", f"the full log is {log}")


def _answers(url: str) -> bool:
    """Whether an HTTP server stands behind `url`, whatever it says short of a gateway's error."""
    try:
        return http.get(url, timeout=2).status < 500
    except KubestoreError:
        return False


def _check_free(address: str, port: int) -> None:
    """Raise `KubestoreError` when `port` cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise KubestoreError(
                    f"port {port} of {address} is in use",
                    f"find and stop its owner: ss -ltnp 'sport = :{port}'",
                ) from error
            raise KubestoreError(f"cannot listen on {address}:{port}: {error.strerror}") from error


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PATH}")
    if not found:
        raise KubestoreError(f"{name}: no such program", f"apt-get install {package}")
    return found


def _upload_secret(settings: Settings) -> str:
    """The registry's own secret, made once."""
    file = settings.folder / "registry-secret"
    if not file.exists():
        files.write(file, secrets.token_hex(16), 0o600)
    return file.read_text()


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
