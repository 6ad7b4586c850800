"""The store as it is deployed, for tests: gunicorn, one gevent worker, a real port."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class Served:
    """gunicorn with the store, and raw and polite ways to talk to it."""

    def __init__(self, redis_socket: Path, catalog: Path, folder: Path, **settings: str) -> None:
        self.log = folder / "log"
        self.drain = folder / "draining"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.metrics_port = int(probe.getsockname()[1])
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "app-src"),
            "STORE_REDIS_HOST": str(redis_socket),
            "STORE_CATALOG_FILE": str(catalog),
            "STORE_LISTEN": "127.0.0.1:0",
            "STORE_METRICS_PORT": str(self.metrics_port),
            "STORE_DRAIN_FILE": str(self.drain),
            "STORE_VERSION": "v-served",
            **settings,
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:store.gunicorn_conf", "store:create_app()"]
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(command, env=self.env, stdout=sink, stderr=subprocess.STDOUT)
        self.port = int(self.wait_for(r"Listening at: http://127.0.0.1:(\d+)"))
        self.until(lambda: self.get("/readyz")[0] == 200)

    def until(self, check: Any, seconds: float = 10) -> None:
        """Wait for `check`; the log is in the failure."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if check():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def wait_for(self, pattern: str, index: int = 0) -> str:
        """The first group of the match number `index` of `pattern` in the log."""
        found: list[str] = []

        def look() -> bool:
            found[:] = re.findall(pattern, self.log.read_text())
            return len(found) > index

        self.until(look)
        return found[index]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str) -> tuple[int, Any, dict[str, str]]:
        return self.send("GET", path)

    def send(
        self, method: str, path: str, content: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        connection = self.connect()
        try:
            data = None if content is None else json.dumps(content)
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.getheaders())
        finally:
            connection.close()

    def raw(self, *parts: bytes, pause: float = 0) -> bytes:
        """Send bytes as they are, and read until the server closes or is silent for a moment."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    client.sendall(part)
                    time.sleep(pause)
            client.settimeout(1)
            received = b""
            try:
                while chunk := client.recv(65536):
                    received += chunk
            except TimeoutError:
                pass
            return received

    @property
    def worker(self) -> int:
        """The process id of the newest worker."""
        return int(re.findall(r"Booting worker with pid: (\d+)", self.log.read_text())[-1])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
