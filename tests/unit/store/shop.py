"""A shopper and a shop assistant for the tests: short names for long requests."""

import json
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

ADMIN = {"Authorization": "Bearer admin-token-for-the-tests"}


def etag(answer: TestResponse) -> str:
    """The ETag header, which must be there."""
    value = answer.headers["ETag"]
    assert value.startswith('"')
    return value


def body(answer: TestResponse) -> Any:
    """The JSON of an answer."""
    assert answer.is_json or answer.mimetype == "application/problem+json", answer.data
    return json.loads(answer.data)


class Shopper:
    """One browser with its cookie."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def add(self, sku: str, quantity: int = 1) -> TestResponse:
        return self.client.post("/api/v1/cart/items", json={"sku": sku, "quantity": quantity})

    def set(self, sku: str, quantity: int, if_match: str = "*") -> TestResponse:
        return self.client.put(
            f"/api/v1/cart/items/{sku}", json={"quantity": quantity}, headers={"If-Match": if_match}
        )

    def remove(self, sku: str) -> TestResponse:
        return self.client.delete(f"/api/v1/cart/items/{sku}")

    def cart(self) -> TestResponse:
        return self.client.get("/api/v1/cart")

    def lines(self) -> dict[str, int]:
        return {line["sku"]: line["quantity"] for line in body(self.cart())["items"]}

    def checkout(self, key: str, content: Any = None) -> TestResponse:
        return self.client.post(
            "/api/v1/checkout", json={} if content is None else content, headers={"Idempotency-Key": key}
        )

    def order(self, key: str, **lines: int) -> dict[str, Any]:
        """Buy `lines` (T_01=2 for two of T-01); the order."""
        for sku, quantity in lines.items():
            assert self.add(sku.replace("_", "-"), quantity).status_code == 200
        answer = self.checkout(key)
        assert answer.status_code == 201, answer.data
        placed: dict[str, Any] = body(answer)
        return placed


class Assistant:
    """Somebody with the admin token."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def move(self, order: str, act: str) -> TestResponse:
        return self.client.post(f"/api/v1/admin/orders/{order}/{act}", headers=ADMIN)

    def set_stock(self, sku: str, stock: int, reason: str = "counted") -> TestResponse:
        return self.client.put(
            f"/api/v1/admin/stock/{sku}", json={"stock": stock, "reason": reason}, headers=ADMIN
        )

    def adjust(self, sku: str, delta: int, reason: str = "delivery") -> TestResponse:
        return self.client.post(
            f"/api/v1/admin/stock/{sku}/adjust", json={"delta": delta, "reason": reason}, headers=ADMIN
        )

    def stock(self) -> dict[str, int]:
        answer = self.client.get("/api/v1/admin/stock?limit=100", headers=ADMIN)
        return {item["sku"]: item["stock"] for item in body(answer)["items"]}
