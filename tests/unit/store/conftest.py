"""A real Redis on a socket of its own, and the store on top of it without any server."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from store import create_app
from store.db import Database
from store.parts import Parts
from store.settings import Settings

SMALL = {
    "currency": "EUR",
    "products": [
        {
            "sku": f"T-{number:02}",
            "name": f"Thing {number}",
            "description": f"The thing with the number {number}",
            "category": "odd" if number % 2 else "even",
            "price_cents": 100 * number,
            "stock": 10 * number,
            "image": "/static/images/thing.svg",
        }
        for number in range(1, 7)
    ],
}


class RedisServer:
    """One redis-server process in a folder of its own, stopped by its process id."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
        self.process = subprocess.Popen(
            ["redis-server", *arguments, *self.options], stdout=self.log, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                with redis.Redis(unix_socket_path=str(self.socket)) as client:
                    client.ping()
                    return
            except redis.ConnectionError as error:
                self.last = error
                time.sleep(0.01)
        self.log.seek(0)
        raise AssertionError(f"redis-server did not start: {self.log.read().decode()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL, as a node that dies would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)
        self.log.close()
        self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: it hangs, with its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for all tests that do not kill it."""
    folder = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis with an append-only file that the test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def raw(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client on an empty Redis, for looking behind the store's back."""
    with redis.Redis(unix_socket_path=str(redis_server.socket), decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def catalog_file(tmp_path: Path) -> Path:
    """A catalog of six products."""
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(SMALL))
    return path


@pytest.fixture
def settings(redis_server: RedisServer, catalog_file: Path, tmp_path: Path) -> Settings:
    """Settings for a store on the shared Redis."""
    return Settings(
        redis_host=str(redis_server.socket),
        catalog_file=catalog_file,
        drain_file=tmp_path / "draining",
        version="v-test",
        log_level="error",
        admin_token="admin-token-for-the-tests",
        deadline_ms=2000,
        sessions_max=1000,
    )


@pytest.fixture
def app(settings: Settings, raw: redis.Redis) -> Iterator[Flask]:
    """A store with the small catalog, without background work."""
    made = create_app(settings, background=False)
    made.extensions["store"].snapshot.refresh()
    yield made
    made.extensions["store"].db.close()


@pytest.fixture
def store(app: Flask) -> Parts:
    """The parts of `app`."""
    parts: Parts = app.extensions["store"]
    return parts


@pytest.fixture
def db(settings: Settings, raw: redis.Redis) -> Iterator[Database]:
    """The store's access to an empty Redis."""
    made = Database(settings)
    yield made
    made.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """One shopper, with a cookie jar."""
    return app.test_client()
