"""Garbage where a client can put it: never a 5xx, never a secret in the log, never a new series of metrics."""

import http.client
import json
import random
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote_from_bytes

import pytest
import redis

from tests.unit.store.conftest import SMALL, RedisServer
from tests.unit.store.served import Served

TRIES = 1500
MARK = "hunter2"
"""Part of every secret that is sent: nothing of it may be in the log."""
PIECES = (
    "", "0", "-1", "1", "99", "1e9", "T-01", "t-01", "../../etc/passwd", "%00", "%2e%2e", "%ff", "\t", " ", '"', "'",
    ";", ",", "=", "*", 'W/"a.1"', '"a.1"', "a" * 200, "A" * 3000, "\u00e9", "\u00ff", "{}", "[]", "null", "true",
    "store_session=", "store_session=" + "a" * 22, "store_session=" + "a" * 21 + "*", "Bearer ", "Bearer x", "Basic eA==",
    "MQ", "MTA", "MTk5OTk5OTk5OTk5OTk5", "eyJ9", "====", "__", "order:", "cart:*", "\x01", "\x7f", "$(id)", "{{7*7}}",
    "<script>", "0x10", "1_000", "\u0661", "NaN", "Infinity", "same-origin", "cross-site", "http://x", "null", "x:80",
)  # fmt: skip
HEADERS = (
    "Cookie", "Authorization", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-Id", "Origin", "Content-Type",
    "Sec-Fetch-Site", "Accept", "Host", "Range", "X-Forwarded-For", "X-Forwarded-Proto", "X-HTTP-Method-Override",
    "Accept-Encoding", "If-Modified-Since", "Forwarded", "TE",
)  # fmt: skip
PATHS = (
    "/api/v1/products", "/api/v1/products/{}", "/api/v1/cart", "/api/v1/cart/items", "/api/v1/cart/items/{}",
    "/api/v1/checkout", "/api/v1/orders", "/api/v1/orders/{}", "/api/v1/orders/{}/cancel", "/api/v1/admin/stock",
    "/api/v1/admin/stock/{}", "/api/v1/admin/stock/{}/adjust", "/api/v1/admin/orders", "/api/v1/admin/orders/{}/pay",
    "/api/v1/openapi.json", "/static/{}", "/static/images/{}", "/livez", "/readyz", "/version", "/{}", "//{}",
)  # fmt: skip
QUERIES = ("cursor", "limit", "q", "category", "key", "status", "x")
METHODS = ("GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW")


class Fuzz:
    """Requests from a seed, so that a failure comes again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def word(self) -> str:
        """Some garbage; now and then with a secret in it."""
        words = [self.random.choice(PIECES) for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        if self.random.random() < 0.2:
            words.append(MARK)
        return "".join(words)

    def header(self) -> str:
        """A header's value: anything but what ends a line."""
        return re.sub(r"[\r\n\0]", "", self.word())

    def target(self) -> str:
        """A path and a query, percent-encoded or, now and then, only as far as it must be."""
        encode: Callable[[str], str] = lambda text: quote_from_bytes(  # noqa: E731
            text.encode(self.random.choice(("utf-8", "utf-8", "latin-1")), "replace"),
            safe=self.random.choice(("", "%/")),
        )
        path = self.random.choice(PATHS).format(encode(self.word()))
        names = self.random.sample(QUERIES, self.random.choice((0, 0, 1, 1, 2)))
        query = "&".join(f"{name}={encode(self.word())}" for name in names)
        return path + (f"?{query}" if query else "")

    def body(self) -> bytes:
        """Mostly something like JSON."""
        values = (1, 0, -1, 10**30, 1.5, True, None, "T-01", [], {}, self.word(), [[]] * 3)
        names = (
            "sku",
            "quantity",
            "expected_total_cents",
            "cart_etag",
            "stock",
            "delta",
            "reason",
            self.word(),
        )
        content = {
            self.random.choice(names): self.random.choice(values) for _ in range(self.random.randint(0, 3))
        }
        text = json.dumps(content).encode()
        return text if self.random.random() < 0.8 else text[: self.random.randint(0, len(text))] + b"\xff\x00"


@pytest.fixture
def served(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "catalog.json").write_text(json.dumps(SMALL))
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        client.flushall()
    made = Served(
        redis_server.socket, folder / "catalog.json", folder, STORE_ADMIN_TOKEN=f"{MARK}-{MARK}-{MARK}-{MARK}"
    )
    yield made
    made.stop()


def series(served: Served) -> set[str]:
    """The names and labels of all metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", served.metrics_port, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def ask(served: Served, fuzz: Fuzz) -> tuple[bytes, int, str, bytes]:
    """One request as it is, and status, content type and body of the answer; status 0 for a closed connection."""
    chosen = fuzz.random
    method, body = chosen.choice(METHODS), fuzz.body() if chosen.random() < 0.6 else b""
    lines = [
        f"{method} {fuzz.target()} HTTP/1.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    names = chosen.sample(HEADERS, chosen.randint(0, 4))
    lines += [f"{name}: {fuzz.header()}" for name in names]
    request = ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode("latin-1", "replace") + body
    head, _, rest = served.raw(request).partition(b"\r\n\r\n")
    kind = re.search(rb"(?i)content-type: ([^\r\n;]*)", head)
    return request, int(head[9:12] or 0), kind[1].decode() if kind else "", b"" if method == "HEAD" else rest


def test_garbage_is_refused_politely_and_leaves_no_trace(served: Served) -> None:
    fuzz = Fuzz(20261124)
    seen: set[int] = set()
    for _ in range(TRIES):
        request, status, kind, body = ask(served, fuzz)
        seen.add(status)
        assert 200 <= status < 500 or status == 501, (request, status, body)
        if status >= 400 and body:
            assert kind == "application/problem+json", (request, status, kind)
            assert json.loads(body)["status"] == status
        assert b"Traceback" not in body
    assert seen >= {200, 400, 401, 403, 404, 405, 422}, seen
    for line in served.log.read_text().splitlines():
        entry = json.loads(line)
        entry.pop("request_id", None)  # what a caller calls its request is meant to be there
        assert entry["level"] in ("info", "debug"), line
        assert MARK not in str(entry)
        assert "a" * 22 not in str(entry)


def test_the_number_of_series_is_bounded_by_the_code(served: Served) -> None:
    fuzz = Fuzz(1)
    for _ in range(TRIES // 2):
        ask(served, fuzz)
    before = series(served)
    for _ in range(TRIES // 2):
        ask(served, fuzz)
    routes = {match[1] for line in series(served) if (match := re.search(r'route="([^"]*)"', line))}
    assert len(routes) < 40, routes
    assert not any(MARK in name for name in series(served))
    assert len(series(served)) < 1.5 * len(before), series(served) - before
