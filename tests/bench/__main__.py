"""`python -m tests.bench`: CPU a request, p99 at one offered load, memory and start, in one run.

Needs a machine that does nothing else. Rounds are interleaved, so that all contenders see the same weather; each
figure is the median of the rounds with the lowest and highest.
"""

import argparse
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from store import catalog, sessions
from store.db import Database
from store.settings import Settings
from tests.bench import client
from tests.bench.servers import CONTENDERS, ROOT, Contender, Running, serve
from tests.bench.storm import Storm

SKU = "COF-FILTER-02"
RATES = {"listing": 300.0, "checkout": 150.0}
LISTING = b"GET /api/v1/products HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
LIVE = LISTING.replace(b"products", f"products/{SKU}".encode())
CGROUP = Path("/sys/fs/cgroup/cpu/kubestore-bench")


@contextmanager
def durable_redis(folder: Path) -> Iterator[Path]:
    """A Redis that acknowledges what is on disk (`appendfsync always`)."""
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(
        ["redis-server", *options, "--appendonly", "yes", "--appendfsync", "always"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(500):
            try:
                with redis.Redis(unix_socket_path=str(path)) as probe:
                    probe.ping()
                    break
            except redis.ConnectionError:
                time.sleep(0.02)
        yield path
    finally:
        process.terminate()
        process.wait()


class Carts:
    """Filled carts, one for each checkout, put straight into Redis."""

    def __init__(self, path: Path) -> None:
        self.redis = redis.Redis(unix_socket_path=str(path), decode_responses=True)
        self.counter = itertools.count()
        self.mark = os.urandom(8).hex()

    def requests(self, count: int, ours: bool) -> Iterator[bytes]:
        """`count` checkouts of one line each, ready to be sent."""
        made = []
        pipe = self.redis.pipeline(transaction=False)
        for number in itertools.islice(self.counter, count):
            token = hashlib.sha256(f"{self.mark}-{number}".encode()).hexdigest()[:22]
            owner = sessions.token(token).sid if ours else token
            pipe.hset(f"session:{owner}", mapping={"v": 1, "created": 1})
            pipe.hset(f"cart:{owner}", mapping={SKU: 1, "#rev": "bench.1"})
            made.append(
                b"POST /api/v1/checkout HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 2\r\nIdempotency-Key: k%d\r\nCookie: store_session=%b\r\n\r\n{}"
                % (number, token.encode())
            )
        pipe.execute()
        return iter(made)


def cost(server: Running, requests: Iterator[bytes], count: int) -> float:
    """Microseconds of CPU a request, with 16 connections that never pause."""
    before = server.cpu_s()
    tally = client.run(server.port, requests, count)
    if tally.failed:
        raise SystemExit(
            f"error: {tally.failed} of {count} requests failed\nhint:  see the log of the contender"
        )
    return (server.cpu_s() - before) / count * 1e6


def measure(contender: Contender, path: Path, folder: Path, count: int) -> dict[str, float]:
    """All figures of one contender in one round."""
    carts, ours = Carts(path), contender.name == "store"
    out: dict[str, float] = {}
    with serve(contender, path, folder / "log") as server:
        client.run(server.port, itertools.repeat(LISTING), count // 10)
        client.run(server.port, carts.requests(count // 10, ours), count // 10)
        out["listing CPU us"] = cost(server, itertools.repeat(LISTING), count)
        if ours:
            out["live product CPU us"] = cost(server, itertools.repeat(LIVE), count)
        out["checkout CPU us"] = cost(server, carts.requests(count // 2, ours), count // 2)
        for name, rate in RATES.items():
            many = int(rate * 5)
            requests = itertools.repeat(LISTING) if name == "listing" else carts.requests(many, ours)
            tally = client.run(server.port, requests, many, rate, lines=64)
            if tally.failed:
                raise SystemExit(
                    f"error: {tally.failed} of {many} requests failed\nhint:  offer less than {rate}/s"
                )
            out[f"{name} p99 ms at {rate:.0f}/s"] = tally.quantile(0.99) * 1e3
        out["peak MiB"] = server.peak_mib()
    return out


def start_seconds(path: Path, folder: Path) -> float | None:
    """From exec to the first listing with half a CPU; None where there is no cgroup to say so."""
    try:
        CGROUP.mkdir(exist_ok=True)
        (CGROUP / "cpu.cfs_period_us").write_text("100000")
        (CGROUP / "cpu.cfs_quota_us").write_text("50000")
    except OSError:
        return None
    enter = ("sh", "-c", f'echo $$ > {CGROUP}/cgroup.procs; exec "$@"', "sh")
    try:
        started = time.monotonic()
        with serve(CONTENDERS[0], path, folder / "log", enter):
            return time.monotonic() - started
    finally:
        time.sleep(0.2)
        CGROUP.rmdir()


def order_bytes(path: Path, folder: Path, count: int) -> float:
    """Redis' memory for one order of one line with its ledger entry and its place in the list of all."""
    carts = Carts(path)
    with serve(CONTENDERS[0], path, folder / "log") as server:
        before = _kept_memory(carts.redis)
        client.run(server.port, carts.requests(count, True), count)
        return (_kept_memory(carts.redis) - before) / count


def storms(path: Path, folder: Path, count: int) -> list[dict[str, float]]:
    """The store alone with `count` rushes of three times its capacity, each on a new process."""
    found = []
    for number in range(count):
        print(f"storm {number + 1}/{count}", file=sys.stderr)
        with serve(CONTENDERS[0], path, folder / "log") as server:
            found.append(Storm(server.port, 5).figures)
    return found


def _kept_memory(connection: redis.Redis) -> int:
    """Bytes in use without what ends by itself: sessions, carts, operations."""
    for pattern in ("session:*", "cart:*", "session-orders:*", "op:*"):
        for key in list(connection.scan_iter(pattern, count=5000)):
            connection.delete(key)
    connection.connection_pool.disconnect()
    return int(connection.info("memory")["used_memory"])


def table(rounds: dict[str, list[dict[str, float]]]) -> str:
    """Median (lowest–highest) of each figure, a column for each contender."""
    names = list(rounds)
    rows = list(dict.fromkeys(figure for runs in rounds.values() for figure in runs[0]))
    lines = ["| figure | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = []
        for name in names:
            values = [run[row] for run in rounds[name] if row in run]
            spread = (
                f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})" if values else "–"
            )
            cells.append(spread)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run everything and print tables; one JSON line goes to results/bench.jsonl."""
    options = argparse.ArgumentParser("tests.bench", description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--count", type=int, default=4000, help="requests for each figure and round")
    chosen = options.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="store-bench-"))
    rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    extra: dict[str, Any] = {}
    try:
        with durable_redis(folder) as path:
            db = Database(Settings(redis_host=str(path)))
            catalog.apply(db, catalog.read(ROOT / "apps/store/base/catalog.json"))
            db.call("HSET", catalog.STOCK, SKU, 10**9)
            db.close()
            for number in range(chosen.rounds):
                for contender in CONTENDERS:
                    print(f"round {number + 1}/{chosen.rounds}: {contender.name}", file=sys.stderr)
                    rounds[contender.name].append(measure(contender, path, folder, chosen.count))
            starts = [start_seconds(path, folder) for _ in range(5)]
            extra["start to ready s at 500m"] = [value for value in starts if value is not None]
            extra["Redis bytes an order"] = order_bytes(path, folder, chosen.count)
            rush = storms(path, folder, chosen.rounds)
        print(table(rounds))
        print(table({"store at three times its capacity": rush}))
        for name, value in extra.items():
            print(f"{name}: {value}")
        entry = {"time": time.time(), "load": os.getloadavg(), "rounds": rounds, "storms": rush, **extra}
        (ROOT / "results").mkdir(exist_ok=True)
        with (ROOT / "results/bench.jsonl").open("a") as sink:
            sink.write(json.dumps(entry) + "\n")
        return 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
