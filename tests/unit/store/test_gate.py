import io
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from prometheus_client import generate_latest

from store import create_app
from store.gate import Gate
from store.metrics import Metrics
from store.parts import Parts
from store.settings import Settings
from tests.unit.store.shop import Shopper, body


def environ(path: str, method: str = "GET") -> dict[str, Any]:
    return {"PATH_INFO": path, "REQUEST_METHOD": method}


class Held:
    """A WSGI application that answers when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.arrived = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self.arrived += 1
        self.go.wait(5)
        start("200 OK", [])
        return [b"done"]


def ask(gate: Gate, path: str, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    chunks = gate(
        environ(path, method), lambda status, headers, exc_info=None: told.extend((status, headers))
    )
    return told[0], dict(told[1]), b"".join(chunks)


def test_what_is_over_the_bound_is_refused_at_once_and_probes_are_not(settings: Settings) -> None:
    held, metrics = Held(), Metrics("v")
    gate = Gate(held, replace(settings, inflight_limit=8), metrics)
    threads = [threading.Thread(target=ask, args=(gate, "/api/v1/cart")) for _ in range(6)]
    for thread in threads:
        thread.start()
    while held.arrived < 6:
        time.sleep(0.001)
    started = time.monotonic()
    status, headers, content = ask(gate, "/api/v1/checkout", "POST")
    assert time.monotonic() - started < 0.1
    assert status == "503 Service Unavailable"
    assert int(headers["Retry-After"]) >= 1
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Store-Version"] == "v-test"
    assert json.loads(content)["type"] == "/problems/overload"
    assert ask(gate, "/api/v1/checkout", "HEAD")[2] == b""
    more = [threading.Thread(target=ask, args=(gate, path)) for path in ("/livez", "/api/v1/products")]
    for thread in more:
        thread.start()
    while held.arrived < 8:
        time.sleep(0.001)
    assert ask(gate, "/api/v1/products")[0].startswith("503")
    held.go.set()
    for thread in (*threads, *more):
        thread.join()
    assert ask(gate, "/api/v1/cart")[0] == "200 OK"
    text = generate_latest(metrics.registry).decode()
    assert 'store_overload_total{reason="in-flight"} 3.0' in text
    assert "store_requests_in_flight 0.0" in text


def test_turns_that_stay_long_refuse_the_rest_of_each_but_a_single_one_does_not(settings: Settings) -> None:
    held, metrics = Held(), Metrics("v")
    held.go.set()
    gate = Gate(held, replace(settings, queue_limit_ms=200), metrics)
    now = time.monotonic()
    for start in (now - 1.04, now - 1.02, now - 1.0):
        gate._next_turn(start)
    assert ask(gate, "/api/v1/products")[0] == "200 OK"
    for start in (now - 1.4, now - 0.9, now - 0.4):
        gate._next_turn(start)
    assert ask(gate, "/api/v1/products")[0].startswith("503")
    gate._next_turn(now)
    assert ask(gate, "/api/v1/products")[0] == "200 OK"
    for start in (now - 1.4, now - 0.9, now - 0.4):
        gate._next_turn(start)
    assert ask(gate, "/api/v1/products")[0].startswith("503")
    assert ask(gate, "/livez")[0] == "200 OK"
    assert 'store_overload_total{reason="queue"} 2.0' in generate_latest(metrics.registry).decode()


def test_an_application_that_fails_gives_its_place_back(settings: Settings) -> None:
    def broken(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise RuntimeError

    gate = Gate(broken, replace(settings, inflight_limit=1), Metrics("v"))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            ask(gate, "/api/v1/products")


def test_metrics_name_route_templates_and_outcomes(app: Flask, store: Parts) -> None:
    shopper = Shopper(app)
    shopper.order("k", T_01=1)
    shopper.checkout("k")
    shopper.add("T-01", 99)
    shopper.checkout("l")
    shopper.client.get("/api/v1/products/T-01")
    shopper.client.get("/x" * 20)
    shopper.client.open("/livez", method="BREW")
    text = generate_latest(store.metrics.registry).decode()
    for line in (
        'store_requests_total{method="GET",route="/api/v1/products/<sku>",status="200"} 1.0',
        'store_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'store_requests_total{method="other",route="unmatched",status="405"} 1.0',
        'store_request_seconds_count{route="/api/v1/checkout"} 3.0',
        'store_orders_total{outcome="placed"} 1.0',
        'store_orders_total{outcome="replayed"} 1.0',
        'store_orders_total{outcome="short"} 1.0',
        "store_checkout_replays_total 1.0",
        "store_stock_outs_total 1.0",
        'store_redis_calls_total{call="checkout",outcome="ok"} 3.0',
        'store_build_info{version="v-test"} 1.0',
    ):
        assert line in text, line
    assert "T-01" not in text


def test_the_age_of_the_snapshot_is_a_metric(settings: Settings, raw: Any) -> None:
    app = create_app(settings, background=False)
    metrics, snapshot = app.extensions["store"].metrics, app.extensions["store"].snapshot
    assert "store_snapshot_age_seconds -1.0" in generate_latest(metrics.registry).decode()
    snapshot.refresh()
    assert metrics.registry.get_sample_value("store_snapshot_age_seconds") < 1


def test_a_request_is_one_json_line_without_secrets(
    settings: Settings, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    app = create_app(replace(settings, log_level="info"), background=False)
    app.extensions["store"].snapshot.refresh()
    out.truncate(0)
    out.seek(0)
    shopper = Shopper(app)
    order = shopper.order("secret-key", T_01=1)
    shopper.client.get(order["link"], headers={"X-Request-Id": "chain-0001"})
    shopper.client.get("/api/v1/admin/stock", headers={"Authorization": "Bearer admin-token-for-the-tests"})
    shopper.client.get("/livez")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/api/v1/cart/items", 200),
        ("POST", "/api/v1/checkout", 201),
        ("GET", "/api/v1/orders/<number>", 200),
        ("GET", "/api/v1/admin/stock", 200),
    ]
    assert lines[2]["request_id"] == "chain-0001"
    cookie = shopper.client.get_cookie("store_session")
    assert cookie is not None
    for secret in (cookie.value, "secret-key", "admin-token", order["link"], order["order_id"], "127.0.0.1"):
        assert secret not in out.getvalue()
    placed = [entry for _, entry in raw.xrange("ledger") if entry["type"] == "placed"]
    assert placed[0]["request"] == lines[1]["request_id"]
    create_app(settings, background=False)


def test_what_goes_wrong_is_logged_with_the_request(
    settings: Settings, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    app = create_app(settings, background=False)
    app.extensions["store"].snapshot.refresh()
    raw.set("stock", "x") if raw.delete("stock") else None
    answer = app.test_client().get("/api/v1/products/T-01", headers={"X-Request-Id": "chain-0002"})
    assert answer.status_code == 500
    assert body(answer)["type"] == "/problems/corrupt-data"
    assert "chain-0002" in out.getvalue()
    assert "WRONGTYPE" in out.getvalue()
