"""What `appendfsync always` promises, shown on what has reached the disk.

SIGKILL cannot show it: what a killed process has written stays in the kernel and reaches the disk later,
whatever Redis is told. So Redis writes to a file system in a file; a copy of that file at some moment is what
the disk would hold if the machine had lost its power then.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from store import audit, create_app
from store.db import Database
from store.settings import Settings
from tests.unit.store.conftest import RedisServer
from tests.unit.store.shop import Assistant, Shopper, body

needs_loop = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/loop-control") or not shutil.which("mkfs.ext4"),
    reason="needs root, loop devices and mkfs.ext4 to see what is on the disk",
)


def run(*command: str | Path) -> None:
    """Run a program; its output is in the failure."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The file system inside `image`, mounted at `folder`."""
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def orders_on_disk(policy: str, settings: Settings, place: Path) -> tuple[int, int, list[str]]:
    """Sell, copy the disk in the middle: acknowledged by then, of these on the copy, the audit's findings."""
    image, copy = place / "disk", place / "copy"
    with image.open("wb") as file:
        file.truncate(48 * 1024 * 1024)
    run("mkfs.ext4", "-q", "-F", image)
    acknowledged: list[str] = []
    with mounted(image, place / "mnt") as disk:
        server = RedisServer(disk, "--appendonly", "yes", "--appendfsync", policy)
        server.start()
        try:
            time.sleep(0.2)
            os.sync()
            told = _sell_and_copy(
                replace(settings, redis_host=str(server.socket)), acknowledged, image, copy, server
            )
        finally:
            server.stop()
    with mounted(copy, place / "after") as disk:
        server = RedisServer(disk, "--appendonly", "yes")
        server.start()
        try:
            db = Database(replace(settings, redis_host=str(server.socket)))
            there = sum(bool(db.call("EXISTS", f"order:{order}")) for order in told)
            findings = [finding.check for finding in audit.run(db).findings]
            db.close()
        finally:
            server.stop()
    return len(told), there, findings


def _sell_and_copy(
    settings: Settings, acknowledged: list[str], image: Path, copy: Path, server: RedisServer
) -> list[str]:
    app = create_app(settings, background=False)
    app.extensions["store"].snapshot.refresh()
    ended = threading.Event()

    def sell(name: int) -> None:
        while not ended.is_set():
            shopper = Shopper(app)
            if shopper.add("T-06").status_code == 200:
                answer = shopper.checkout("k")
                if answer.status_code == 201:
                    acknowledged.append(body(answer)["order_id"])

    Assistant(app).set_stock("T-06", 1_000_000)
    threads = [threading.Thread(target=sell, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.45)
    told = list(acknowledged)
    # Nothing may be written while the file is copied, or the copy would be of no single moment.
    server.pause()
    shutil.copyfile(image, copy)
    server.resume()
    ended.set()
    for thread in threads:
        thread.join()
    app.extensions["store"].db.close()
    return told


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="store-disk-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@needs_loop
def test_every_acknowledged_order_is_on_the_disk_at_that_moment(settings: Settings, place: Path) -> None:
    told, there, findings = orders_on_disk("always", replace(settings, sessions_max=10**6), place)
    assert told > 20
    assert there == told
    assert findings == []


@needs_loop
def test_control_once_a_second_is_not_enough(settings: Settings, place: Path) -> None:
    told, there, _ = orders_on_disk("everysec", replace(settings, sessions_max=10**6), place)
    assert told > 20
    assert there < told
