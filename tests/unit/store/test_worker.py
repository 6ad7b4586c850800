"""The store as it is deployed: gunicorn, one gevent worker, a real port."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from store import audit
from store.db import Database
from store.settings import Settings
from tests.unit.store.conftest import SMALL, RedisServer
from tests.unit.store.served import Served


@pytest.fixture
def served(own_redis: RedisServer, catalog_file: Path, tmp_path: Path) -> Iterator[Served]:
    made = Served(own_redis.socket, catalog_file, tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def served_once(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One store for the tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "catalog.json").write_text(json.dumps(SMALL))
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        client.flushall()
    made = Served(redis_server.socket, folder / "catalog.json", folder)
    yield made
    made.stop()


def test_what_is_no_request_is_refused_like_everything_else(served: Served) -> None:
    head = b"POST /api/v1/cart/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    cases = {
        b"GET / HTTP/9.9\r\n\r\n": 400,
        b"nonsense\r\n\r\n": 400,
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 414,
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n": 431,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 80 + b"\r\n": 431,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n": 413,
        head + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n": 400,
        head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
        head + b"Content-Length: -1\r\n\r\n": 400,
        head + b"Content-Length: 65537\r\n\r\n": 413,
    }
    for request, status in cases.items():
        received = served.raw(request)
        assert received.startswith(b"HTTP/1.1 %d " % status), (request[:80], received[:300])
        assert b"application/problem+json" in received
        assert b"X-Store-Version: v-served" in received
        assert b"nosniff" in received
    assert served.get("/livez")[0] == 200


def test_a_slow_sender_is_given_up(served: Served) -> None:
    head = b"POST /api/v1/cart/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    started = time.monotonic()
    received = served.raw(head + b"Content-Length: 99\r\n\r\n", *[b"{"] * 14, pause=0.25)
    assert time.monotonic() - started < 9
    assert received.startswith(b"HTTP/1.1 408 ")


ADD = b"POST /api/v1/cart/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PIECE = b'{"sku": "T-01", "quantity": 1}'
NEXT = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def chunked(*pieces: bytes) -> bytes:
    """A request whose body comes in these chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return ADD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def sized(body: bytes, length: int | None = None) -> bytes:
    """A request that announces `length` bytes of body, by default as many as it has."""
    return ADD + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


BODIES = {
    "chunked": (chunked(PIECE[:5], PIECE[5:]) + NEXT, [200, 200]),
    "chunked-with-nothing": (chunked() + NEXT, [400, 200]),
    "chunked-and-long": (chunked(b" " * 0x8000, b" " * 0x8000, b" " * 9) + NEXT, [413, 200]),
    "exactly-64-kib": (sized(PIECE + b" " * (0x10000 - len(PIECE))) + NEXT, [200, 200]),
    "chunked-exactly-64-kib": (chunked(PIECE + b" " * (0x10000 - len(PIECE))) + NEXT, [200, 200]),
    "pipelined": (sized(PIECE) * 3 + NEXT, [200, 200, 200, 200]),
    "announces-less": (sized(PIECE, 10) + NEXT, [400, 400]),
    "no-body": (ADD + b"\r\n" + NEXT, [400, 200]),
    "a-request-in-a-body-that-is-too-long": (sized(NEXT + b" " * 0x10000) + NEXT, [413, 200]),
    "a-request-in-a-body-nobody-reads": (
        sized(NEXT).replace(b"application/json", b"text/plain") + NEXT,
        [415, 200],
    ),
    "length-with-a-sign": (ADD + b"Content-Length: +2\r\n\r\n{}" + NEXT, [400]),
    "length-with-zeros": (ADD + b"Content-Length: 00000000002\r\n\r\n{}" + NEXT, [422, 200]),
    "length-of-many-zeros": (ADD + b"Content-Length: %032d\r\n\r\n{}" % 2 + NEXT, [400, 200]),
    "length-without-end": (ADD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}", [400]),
    "two-lengths": (ADD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + NEXT, [400]),
    "identity": (
        sized(PIECE).replace(b"Content-Type", b"Transfer-Encoding: identity\r\nContent-Type"),
        [400],
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_is_read_to_its_end_and_not_beyond(case: str, served_once: Served) -> None:
    request, statuses = BODIES[case]
    received = served_once.raw(request)
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", received)] == statuses, received[-400:]


def test_a_body_that_breaks_off_is_no_order(served_once: Served) -> None:
    with socket.create_connection(("127.0.0.1", served_once.port), timeout=10) as client:
        client.sendall(sized(PIECE, 99))
        client.shutdown(socket.SHUT_WR)
        received = client.recv(65536)
    assert received.startswith(b"HTTP/1.1 400 "), received
    assert b"/problems/malformed" in received
    assert b"Set-Cookie" not in received


def test_a_slow_chunked_sender_is_given_up_as_well(served_once: Served) -> None:
    head = ADD + b"Transfer-Encoding: chunked\r\n\r\n"
    received = served_once.raw(head, *[b"1\r\n{\r\n"] * 14, NEXT, pause=0.25)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert received.count(b"HTTP/1.1") == 1, "what came after the given up body was taken for a request"


def test_slow_senders_keep_nobody_out(served_once: Served) -> None:
    """More of them than there are places among the requests in flight."""
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", served_once.port), timeout=10)
            )
            client.sendall(ADD + b"Content-Length: 99\r\n\r\n{")
        time.sleep(0.5)
        status, _, _ = served_once.send("POST", "/api/v1/cart/items", {"sku": "T-01"})
        assert status == 200


def test_a_client_that_reads_nothing_loses_its_place(served_once: Served) -> None:
    ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", served_once.port))
        client.settimeout(30)
        with pytest.raises(ConnectionError):
            client.sendall(ask * 200_000)  # more than fits on the way, so it goes on until the server closes
    assert served_once.get("/livez")[0] == 200
    assert "error outside" not in served_once.log.read_text()


def test_idle_connections_do_not_keep_new_shoppers_out(
    own_redis: RedisServer, catalog_file: Path, tmp_path: Path
) -> None:
    """Without the rule the 41st of these waits until one of the first has been idle for 8 s."""
    served = Served(own_redis.socket, catalog_file, tmp_path, GUNICORN_CMD_ARGS="--worker-connections 40")
    kept: list[tuple[http.client.HTTPConnection, str]] = []
    try:
        for _ in range(60):
            connection = served.connect()
            started = time.monotonic()
            connection.request("GET", "/version")
            answer = connection.getresponse()
            answer.read()
            assert time.monotonic() - started < 3, f"after {len(kept)} others"
            kept.append((connection, answer.headers["Connection"]))
    finally:
        for connection, _ in kept:
            connection.close()
        served.stop()
    assert [told for _, told in kept[:20]] == ["keep-alive"] * 20
    assert {told for _, told in kept[20:]} == {"close"}


def test_while_draining_each_answer_closes_and_the_end_is_clean(served: Served) -> None:
    idle = served.connect()
    idle.request("GET", "/version")
    first = idle.getresponse()
    first.read()
    assert first.headers["Connection"] == "keep-alive"
    served.drain.touch()
    assert served.get("/readyz")[0] == 200
    assert served.get("/version")[2]["Connection"] == "close"
    served.process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    idle.request("GET", "/version")
    answer = idle.getresponse()
    assert answer.status == 200
    assert answer.headers["Connection"] == "close"
    answer.read()
    idle.close()
    assert served.process.wait(timeout=12) == 0


def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    served: Served, own_redis: RedisServer, settings: Settings
) -> None:
    status, _, headers = served.send("POST", "/api/v1/cart/items", {"sku": "T-06", "quantity": 1})
    assert status == 200
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    told: dict[str, str] = {}
    for number in range(30):
        if number in (5, 15):
            os.kill(served.worker, signal.SIGKILL)
        for _ in range(200):
            try:
                served.send("PUT", "/api/v1/cart/items/T-06", {"quantity": 1}, {**cookie, "If-Match": "*"})
                key = {"Idempotency-Key": f"k{number}"}
                status, order, _ = served.send("POST", "/api/v1/checkout", {}, {**cookie, **key})
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status == 201:
                assert told.setdefault(f"k{number}", order["order_id"]) == order["order_id"]
                break
        else:
            raise AssertionError("never answered")
    db = Database(Settings(redis_host=str(own_redis.socket)))
    report = audit.run(db)
    assert report.findings == []
    assert report.orders == 30
    assert db.call("HGET", "stock", "T-06") == "30"
    db.close()


def test_without_redis_the_catalog_goes_on_and_the_rest_waits_then_says_so(
    served: Served, own_redis: RedisServer
) -> None:
    own_redis.kill()
    time.sleep(1.2)
    status, page, headers = served.get("/api/v1/products")
    assert (status, len(page["items"])) == (200, 6)
    assert "X-Store-Degraded" in headers
    started = time.monotonic()
    status, problem, headers = served.send("POST", "/api/v1/cart/items", {"sku": "T-01"})
    assert 3.5 < time.monotonic() - started < 4.5
    assert (status, problem["type"], headers["Retry-After"]) == (503, "/problems/unavailable", "1")
    own_redis.start()
    assert served.send("POST", "/api/v1/cart/items", {"sku": "T-01"})[0] == 200


def test_metrics_are_on_a_port_of_their_own(served: Served) -> None:
    served.get("/api/v1/products")
    assert served.get("/metrics")[0] == 404
    connection = http.client.HTTPConnection("127.0.0.1", served.metrics_port, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'store_requests_total{method="GET",route="/api/v1/products",status="200"} 1.0' in text
    assert 'store_build_info{version="v-served"} 1.0' in text
