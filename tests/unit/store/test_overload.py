"""Three times what a pod can do: the rest is told at once to come back, and those who are let in do not wait long."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import client
from tests.unit.store.conftest import RedisServer
from tests.unit.store.served import Served

CART = b"GET /api/v1/cart HTTP/1.1\r\nHost: x\r\nCookie: store_session=aaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"
CUSTOMERS = 1500


class Storm:
    """Customers who want three times the capacity for some seconds, and a probe that looks meanwhile."""

    def __init__(self, served: Served, seconds: float) -> None:
        closed = client.run(served.port, itertools.repeat(CART), 1000)
        self.capacity = 1000 / closed.seconds
        self.probes: list[float] = []
        over = threading.Event()
        prober = threading.Thread(target=self._probe, args=(served, over))
        prober.start()
        rate = 3 * self.capacity
        self.tally = client.run(
            served.port,
            itertools.repeat(CART),
            int(rate * seconds),
            rate,
            CUSTOMERS,
            patient=True,
            limit_s=40,
        )
        over.set()
        prober.join()

    def _probe(self, served: Served, over: threading.Event) -> None:
        while not over.wait(0.1):
            started = time.monotonic()
            assert served.get("/livez")[0] == 200
            self.probes.append(time.monotonic() - started)

    def __str__(self) -> str:
        told = self.tally
        spread = {q: round(told.quantile(q), 3) for q in (0.5, 0.99)}
        refused = {q: round(client.quantile(told.refusals, q), 3) for q in (0.5, 0.99)}
        return (
            f"capacity {self.capacity:.0f}/s; {len(told.latencies)} served in {told.seconds:.1f} s {spread}, "
            f"{len(told.refusals)} refused {refused}, others {dict(told.others)}, probes {max(self.probes):.2f} s"
        )


@pytest.fixture
def place(own_redis: RedisServer, catalog_file: Path, tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    return own_redis.socket, catalog_file, tmp_path


def test_three_times_the_capacity_is_refused_at_once_and_nobody_hangs(place: tuple[Path, Path, Path]) -> None:
    served = Served(*place)
    try:
        storm = Storm(served, 2.5)
        print(storm)
        started = time.monotonic()
        assert served.get("/api/v1/cart")[0] == 200
        assert time.monotonic() - started < 1
    finally:
        served.stop()
    tally = storm.tally
    assert tally.others.total() == 0, f"no answer, or another than 200 and 503 with Retry-After: {storm}"
    assert len(tally.refusals) > 100, str(storm)
    assert tally.quantile(0.99) < 2, str(storm)
    assert client.quantile(tally.refusals, 0.5) < tally.quantile(0.5), (
        f"refusing takes longer than serving: {storm}"
    )
    assert max(storm.probes) < 2, str(storm)


def test_control_without_a_bound_nobody_is_refused_and_all_wait(place: tuple[Path, Path, Path]) -> None:
    served = Served(
        *place, STORE_INFLIGHT_LIMIT="100000", STORE_QUEUE_LIMIT_MS="60000", STORE_DEADLINE_MS="30000"
    )
    try:
        storm = Storm(served, 2.5)
        print(storm)
    finally:
        served.stop()
    assert len(storm.tally.refusals) == 0
    assert storm.tally.quantile(0.99) > 0.5 * CUSTOMERS / storm.capacity, str(storm)
