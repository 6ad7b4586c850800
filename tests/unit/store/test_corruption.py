"""A key of the wrong type, or with a value nobody wrote: refused before anything is written."""

from typing import Any

import pytest
from flask import Flask

from store import orders
from tests.unit.store.shop import Assistant, Shopper, body


def content(raw: Any, key: str) -> Any:
    """What `key` holds, whatever its type."""
    kind = raw.type(key)
    if kind == "hash":
        return raw.hgetall(key)
    if kind == "zset":
        return raw.zrange(key, 0, -1, withscores=True)
    if kind == "stream":
        return raw.xlen(key)
    return raw.get(key)


@pytest.mark.parametrize(
    "name", ["stock", "ledger", "orders", "catalog", "catalog:meta", "cart", "mine", "order"]
)
def test_a_checkout_with_any_key_of_the_wrong_type_writes_nothing(name: str, app: Flask, raw: Any) -> None:
    shopper = Shopper(app)
    shopper.order("first", T_01=1)
    shopper.add("T-02", 2)
    sid = raw.keys("session:*")[0].removeprefix("session:")
    number = orders.identify(sid, "second").order_id
    key = {"cart": f"cart:{sid}", "mine": f"session-orders:{sid}", "order": f"order:{number}"}.get(name, name)
    raw.delete(key)
    raw.set(key, "not what it should be")
    before = {each: raw.type(each) for each in raw.keys("*")}
    sizes = {each: content(raw, each) for each in before}
    answer = shopper.checkout("second")
    assert answer.status_code == 500
    assert body(answer)["type"] == "/problems/corrupt-data"
    assert {each: raw.type(each) for each in raw.keys("*")} == before
    assert {each: content(raw, each) for each in before} == sizes


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("stock", "T-02", "many"),
        ("catalog", "T-02", "{not json"),
        ("catalog", "T-02", '{"name":"x"}'),
        ("catalog:meta", "currency", None),
    ],
)
def test_a_checkout_with_a_value_nobody_wrote_writes_nothing(
    key: str, field: str, value: str | None, app: Flask, raw: Any
) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 1)
    shopper.add("T-02", 2)
    if value is None:
        raw.hdel(key, field)
    else:
        raw.hset(key, field, value)
    answer = shopper.checkout("k")
    assert answer.status_code == 500
    assert raw.hget("stock", "T-01") == "10"
    assert raw.xlen("ledger") == 1
    assert not raw.exists("orders")


@pytest.mark.parametrize("name", ["stock", "ledger", "order"])
def test_a_cancellation_with_a_key_of_the_wrong_type_writes_nothing(name: str, app: Flask, raw: Any) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    key = f"order:{number}" if name == "order" else name
    raw.delete(key)
    raw.set(key, "text")
    assert Assistant(app).move(number, "cancel").status_code == 500
    if name != "order":
        assert raw.hget(f"order:{number}", "status") == "placed"
    if name != "stock":
        assert raw.hget("stock", "T-01") == "9"


@pytest.mark.parametrize("key", ["session", "cart", "sessions", "catalog"])
def test_a_cart_change_with_a_key_of_the_wrong_type_writes_nothing(key: str, app: Flask, raw: Any) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 1)
    sid = raw.keys("session:*")[0].removeprefix("session:")
    full = {"session": f"session:{sid}", "cart": f"cart:{sid}"}.get(key, key)
    raw.delete(full)
    raw.set(full, "text")
    before = {each: content(raw, each) for each in raw.keys("*")}
    assert shopper.add("T-01", 1).status_code == 500
    assert {each: content(raw, each) for each in raw.keys("*")} == before


@pytest.mark.parametrize("key", ["stock", "ledger", "catalog"])
def test_a_stock_change_with_a_key_of_the_wrong_type_writes_nothing(key: str, app: Flask, raw: Any) -> None:
    raw.delete(key)
    raw.set(key, "text")
    before = {each: content(raw, each) for each in raw.keys("*")}
    assert Assistant(app).adjust("T-01", 1).status_code == 500
    assert {each: content(raw, each) for each in raw.keys("*")} == before
