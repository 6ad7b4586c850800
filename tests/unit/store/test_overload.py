"""Three times what a pod can do: the rest is told at once to come back, and those who are let in do not wait long."""

import time
from pathlib import Path

import pytest

from tests.bench import client
from tests.bench.storm import CUSTOMERS, Storm
from tests.unit.store.conftest import RedisServer
from tests.unit.store.served import Served


@pytest.fixture
def place(own_redis: RedisServer, catalog_file: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    return own_redis.socket, catalog_file, tmp_path


def test_three_times_the_capacity_is_refused_at_once_and_nobody_hangs(place: tuple[Path, Path, Path]) -> None:
    served = Served(*place)
    try:
        storm = Storm(served.port, 2.5)
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
        storm = Storm(served.port, 2.5)
        print(storm)
    finally:
        served.stop()
    assert len(storm.tally.refusals) == 0
    assert storm.tally.quantile(0.99) > 0.5 * CUSTOMERS / storm.capacity, str(storm)
