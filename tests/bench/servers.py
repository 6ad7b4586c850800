"""The contenders: how each is started, and what it has cost."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LUA = ROOT / "app-src/store/lua/checkout.lua"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """One way to serve the two endpoints, with one process; `{port}` is put into the command."""

    name: str
    command: tuple[str, ...]


GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "--log-level", "warning")
RIVAL = "tests.bench.rivals.flask_app:app"
CONTENDERS = (
    Contender("store", ("-m", "gunicorn", "-c", "python:store.gunicorn_conf", "store:create_app()")),
    Contender("Flask + gunicorn sync", (*GUNICORN, RIVAL)),
    Contender("Flask + gunicorn gthread", (*GUNICORN, "-k", "gthread", "--threads", "8", RIVAL)),
    Contender(
        "FastAPI + uvicorn",
        ("-m", "uvicorn", "--port", "{port}", "--no-access-log", "tests.bench.rivals.fastapi_app:app"),
    ),
)


def python() -> Path:
    """The interpreter of a venv with everything the contenders need, made at the first use."""
    locked = HERE / "requirements.txt"
    mark = hashlib.sha256(locked.read_bytes()).hexdigest()[:12]
    home = Path.home() / ".cache/kubestore" / f"bench-{mark}"
    ready = home / ".ready"
    if not ready.exists():
        print("installing what the store is compared with …", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "--only-binary", ":all:", "-r", locked], check=True)
        ready.touch()
    return home / "bin/python"


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A started contender."""

    process: subprocess.Popen[bytes]
    port: int

    def family(self) -> list[int]:
        """Its process ids, children and theirs included."""
        found, look = [], [self.process.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            look += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def cpu_s(self) -> float:
        """Seconds of CPU that all its processes have used."""
        total = 0
        for pid in self.family():
            values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(values[11]) + int(values[12])
        return total / TICKS

    def peak_mib(self) -> float:
        """The largest resident memory of its processes, added up, in MiB (shared pages counted in each)."""
        total = 0
        for pid in self.family():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
        return total / 1024


@contextmanager
def serve(
    contender: Contender, redis_socket: Path, log: Path, wrap: tuple[str, ...] = ()
) -> Iterator[Running]:
    """Start a contender on `redis_socket`; it is listening when the block begins."""
    port = free_port()
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'app-src'}:{ROOT}",
        "BENCH_REDIS": str(redis_socket),
        "BENCH_LUA": str(LUA),
        "STORE_REDIS_HOST": str(redis_socket),
        "STORE_CATALOG_FILE": str(ROOT / "apps/store/base/catalog.json"),
        "STORE_LISTEN": f"127.0.0.1:{port}",
        "STORE_METRICS_PORT": str(free_port()),
        "STORE_VERSION": "bench",
        "STORE_SESSIONS_MAX": "100000000",
    }
    command = [*wrap, str(python()), *(word.format(port=port) for word in contender.command)]
    with log.open("ab") as sink:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    running = Running(process, port)
    try:
        _wait(running, log)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(running: Running, log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if running.process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", running.port), timeout=1) as line:
                line.sendall(b"GET /api/v1/products HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if line.recv(12)[9:10] == b"2":
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise SystemExit(f"error: a contender did not start\nhint:  its log is {log}")
