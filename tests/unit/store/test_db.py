import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from store.db import Database, deadline
from store.errors import CannotWriteError, CorruptDataError, UnavailableError
from store.settings import Settings
from tests.unit.store.conftest import RedisServer


@pytest.fixture
def calls() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def own(own_redis: RedisServer, settings: Settings, calls: list[tuple[str, str]]) -> Iterator[Database]:
    made = Database(
        replace(settings, redis_host=str(own_redis.socket), deadline_ms=1000),
        lambda call, outcome, seconds: calls.append((call, outcome)),
    )
    yield made
    made.close()


def test_replies_are_text_numbers_and_lists(db: Database) -> None:
    assert db.call("SET", "a", "é") == "OK"
    assert db.call("GET", "a") == "é"
    assert db.call("INCR", "n") == 1
    assert db.call("MGET", "a", "none") == ["é", None]
    assert db.transaction(("GET", "a"), ("INCR", "n")) == ["é", 2]


def test_a_restart_within_the_deadline_is_not_seen(
    own: Database, own_redis: RedisServer, calls: list[tuple[str, str]]
) -> None:
    own.call("SET", "a", "1")
    own_redis.kill()
    later = threading.Timer(0.3, own_redis.start)
    later.start()
    assert own.call("GET", "a") == "1"
    later.join()
    assert calls[-1] == ("GET", "retried")


def test_without_redis_the_deadline_is_kept(
    own: Database, own_redis: RedisServer, calls: list[tuple[str, str]]
) -> None:
    own_redis.kill()
    started = time.monotonic()
    with pytest.raises(UnavailableError), deadline(started + 0.3):
        own.call("GET", "a")
    assert time.monotonic() - started < 0.4
    assert calls == [("GET", "unavailable")]


def test_a_redis_that_hangs_is_given_up_at_the_deadline(own: Database, own_redis: RedisServer) -> None:
    own.call("PING")
    own_redis.pause()
    started = time.monotonic()
    try:
        with pytest.raises(UnavailableError), deadline(started + 0.4):
            own.call("GET", "a")
        assert time.monotonic() - started < 0.6
    finally:
        own_redis.resume()
    assert own.call("PING") == "PONG"


def test_an_answer_that_came_too_late_is_not_read_by_the_next_call(
    own: Database, own_redis: RedisServer
) -> None:
    own.call("SET", "mine", "yours")
    own.call("SET", "other", "right")
    with pytest.raises(UnavailableError), deadline(time.monotonic() + 0.1):
        own.call("BLPOP", "nothing", "0.2")
    assert own.call("GET", "other") == "right"


def test_out_of_memory_is_no_mistake_of_ours_and_applies_nothing(db: Database, raw: Any) -> None:
    keys, args = ["op:x", "catalog", "stock", "ledger"], ["A", "set", "1", "r", "r"]
    raw.hset("catalog", "A", "{}")
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(CannotWriteError):
            db.call("SET", "a", "1")
        with pytest.raises(CannotWriteError):
            db.script("stock_change", keys, args)
    finally:
        raw.config_set("maxmemory", 0)
    assert not raw.exists("a", "stock", "ledger", "op:x")


def test_a_disk_that_cannot_be_written_is_no_mistake_of_ours(own: Database, own_redis: RedisServer) -> None:
    own.call("CONFIG", "SET", "appendonly", "no")
    own.call("CONFIG", "SET", "save", "3600 1")
    own.call("SET", "a", "1")
    (own_redis.folder / "dump.rdb").mkdir()
    own.call("BGSAVE")
    time.sleep(0.3)
    with pytest.raises(CannotWriteError):
        own.call("SET", "a", "2")
    assert own.call("GET", "a") == "1"


def test_a_busy_redis_is_waited_for(own: Database, own_redis: RedisServer) -> None:
    own.call("CONFIG", "SET", "busy-reply-threshold", "10")
    loop = (
        "local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + 300 "
        "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till return 1"
    )
    busy = threading.Thread(target=lambda: own.call("EVAL", loop, 0))
    busy.start()
    time.sleep(0.1)
    assert own.call("SET", "a", "1") == "OK"
    busy.join()


def test_a_key_of_the_wrong_type_is_called_corrupt(db: Database, raw: Any) -> None:
    raw.set("stock", "text")
    with pytest.raises(CorruptDataError):
        db.call("HGETALL", "stock")
    with pytest.raises(CorruptDataError):
        db.transaction(("HGETALL", "stock"), ("GET", "other"))
    assert db.call("PING") == "PONG"


def test_more_callers_than_connections_wait_for_one(settings: Settings, raw: Any) -> None:
    small = Database(replace(settings, redis_connections=4))
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for turn in range(50):
            if small.call("ECHO", f"{number}-{turn}") != f"{number}-{turn}":
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert raw.info("clients")["connected_clients"] <= 4 + 2
    small.close()


def test_who_waits_first_for_a_connection_is_served_first(settings: Settings, raw: Any) -> None:
    db = Database(replace(settings, redis_connections=1))
    held = db._take(time.monotonic() + 5)
    order: list[int] = []

    def wait(number: int) -> None:
        connection = db._take(time.monotonic() + 5)
        order.append(number)
        db._put(connection)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(db._line) <= number:
            time.sleep(0.001)
    db._put(held)
    for thread in threads:
        thread.join(timeout=5)
    assert order == list(range(8))
    assert db.call("PING") == "PONG"
    db.close()


def test_no_free_connection_in_time_is_unavailable(settings: Settings, raw: Any) -> None:
    small = Database(replace(settings, redis_connections=1))
    holder = threading.Thread(target=lambda: small.call("BLPOP", "nothing", "0.5"))
    holder.start()
    time.sleep(0.05)
    with pytest.raises(UnavailableError), deadline(time.monotonic() + 0.1):
        small.call("PING")
    holder.join()
    assert small.call("PING") == "PONG"
    small.close()


def test_a_wrong_password_is_unavailable_not_a_mistake(settings: Settings, raw: Any) -> None:
    wrong = Database(replace(settings, redis_password="not-this-one"))
    raw.config_set("requirepass", "right-one")
    try:
        with pytest.raises(UnavailableError):
            wrong.call("PING")
    finally:
        raw.config_set("requirepass", "")


def test_a_name_without_an_address_does_not_hold_a_request(settings: Settings) -> None:
    nowhere = Database(replace(settings, redis_host="no-such-host.invalid"))
    started = time.monotonic()
    with pytest.raises(UnavailableError), deadline(started + 0.3):
        nowhere.call("PING")
    assert time.monotonic() - started < 1


def test_a_tcp_redis_is_reached_by_name(own_redis: RedisServer, settings: Settings) -> None:
    import redis

    with redis.Redis(unix_socket_path=str(own_redis.socket)) as client:
        port = 20_000 + own_redis.folder.stat().st_ino % 10_000
        client.config_set("port", port)
    named = Database(replace(settings, redis_host="localhost", redis_port=port))
    assert named.call("PING") == "PONG"
    named.close()
