"""What is answered without Flask is answered as Flask would."""

from typing import Any

import pytest
from flask import Flask

from store.gate import KEY, RequestInfo
from tests.unit.store.shop import Shopper

CASES = (
    ("GET", "/api/v1/products/T-01", {}),
    ("GET", "/api/v1/products/NONE", {}),
    ("GET", "/api/v1/products/\u00e9", {}),
    ("GET", "/api/v1/products/T-01%2F", {}),
    ("GET", "/api/v1/products/", {}),
    ("GET", "/api/v1/products/T-01/", {}),
    ("HEAD", "/api/v1/products/T-01", {}),
    ("OPTIONS", "/api/v1/products/T-01", {}),
    ("DELETE", "/api/v1/products/T-01", {}),
    ("GET", "/api/v1/checkout", {}),
    ("OPTIONS", "/api/v1/checkout", {}),
    ("POST", "/api/v1/checkout/", {}),
    ("POST", "/api/v1/checkout/x", {}),
    ("POST", "/api/v1/checkout", {}),
    ("POST", "/api/v1/checkout", {"json": {}}),
    ("POST", "/api/v1/checkout", {"json": {}, "headers": {"Idempotency-Key": "first"}}),
    ("POST", "/api/v1/checkout", {"json": {"x": 1}, "headers": {"Idempotency-Key": "k"}}),
    ("POST", "/api/v1/checkout", {"json": {}, "headers": {"Idempotency-Key": "k", "Origin": "http://evil"}}),
    ("POST", "/api/v1/checkout", {"data": b"{", "headers": {"Idempotency-Key": "k"}}),
)


def answers(app: Flask, shopper: Shopper, method: str, path: str, more: dict[str, Any]) -> Any:
    """Status, headers and body of one request, but for what is another each time."""
    answer = shopper.client.open(path, method=method, **more)
    headers = sorted((name, value) for name, value in answer.headers if name != "X-Request-Id")
    return answer.status_code, headers, answer.data


@pytest.mark.parametrize(("method", "path", "more"), CASES)
def test_an_answer_is_the_same_as_from_flask(
    method: str, path: str, more: dict[str, Any], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper = Shopper(app)
    shopper.order("first", T_01=1)
    gate: Any = app.wsgi_app
    direct = gate._app
    quick = answers(app, shopper, method, path, more)
    monkeypatch.setattr(gate, "_app", direct._app)
    assert quick == answers(app, shopper, method, path, more)


def test_routes_are_named_by_their_template(app: Flask) -> None:
    gate: Any = app.wsgi_app
    for method, path, template in (
        ("GET", "/api/v1/products/T-01", "/api/v1/products/<sku>"),
        ("POST", "/api/v1/checkout", "/api/v1/checkout"),
    ):
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, KEY: RequestInfo("id", 0.0)}
        gate._app(environ, lambda *_: None)
        assert environ[KEY].route == template
        assert template in {rule.rule for rule in app.url_map.iter_rules()}
