"""Two versions of the store on the same data: what one adds, the other must read past and keep."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from store import audit, catalog, create_app, db, orders
from store.settings import Settings
from tests.unit.store.shop import Assistant, Shopper, body
from tests.unit.store.test_mutants import use

LATER = {
    "checkout": (
        ("'v', '1',", "'v', '2', 'gift', 'yes',"),
        ("'request', ARGV[10])", "'request', ARGV[10], 'gift', 'yes')"),
        ('"total_cents":%s,', '"total_cents":%s,"gift":true,'),
    ),
    "cart_change": (
        ("'HSET', cart, '#rev', revision)", "'HSET', cart, '#rev', revision, '#gift', 'yes')"),
        ("'v', '1', 'created'", "'v', '2', 'colour', 'red', 'created'"),
    ),
    "order_move": (("'refund', refund,", "'refund', refund, 'gift', 'yes',"),),
}


@pytest.fixture
def later(app: Flask, monkeypatch: pytest.MonkeyPatch, raw: Any) -> Flask:
    """`app` as a later version: its scripts write fields that this version does not know."""
    texts = {}
    for name, changes in LATER.items():
        text = db.script(name)[0]
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        texts[name] = text
    real = app.extensions["store"].db.script

    def script(name: str, keys: Any, args: Any) -> Any:
        with monkeypatch.context() as context:
            if name in texts:
                use(context, name, texts[name])
            return real(name, keys, args)

    monkeypatch.setattr(app.extensions["store"].db, "script", script)
    for sku, document in raw.hgetall("catalog").items():
        raw.hset("catalog", sku, json.dumps({**json.loads(document), "weight_grams": 7}))
    raw.hset("catalog:meta", "format", "2")
    app.extensions["store"].snapshot.refresh()
    return app


@pytest.fixture
def now(settings: Settings, raw: Any, later: Flask) -> Flask:
    """This version, on the same Redis."""
    made = create_app(replace(settings, version="v-now"), background=False)
    made.extensions["store"].snapshot.refresh()
    return made


def both(first: Flask, second: Flask) -> tuple[Shopper, Shopper]:
    """One shopper whose requests go to either version."""
    one = Shopper(first)
    one.add("T-01", 1)
    cookie = one.client.get_cookie("store_session")
    assert cookie is not None
    two = Shopper(second)
    two.client.set_cookie("store_session", cookie.value)
    return one, two


@pytest.mark.parametrize("direction", ["roll-out", "rollback"])
def test_a_shopper_moves_between_versions_without_losing_anything(
    direction: str, later: Flask, now: Flask, raw: Any
) -> None:
    one, two = both(now, later) if direction == "roll-out" else both(later, now)
    assert two.lines() == {"T-01": 1}
    two.add("T-02", 2)
    assert one.lines() == {"T-01": 1, "T-02": 2}
    one.set("T-01", 3, two.cart().headers["ETag"])
    placed = two.checkout("k")
    assert placed.status_code == 201
    again = one.checkout("k")
    assert (again.data, again.headers["Idempotency-Replayed"]) == (placed.data, "true")
    number = body(placed)["order_id"]
    for shopper in (one, two):
        order = body(shopper.client.get(f"/api/v1/orders/{number}"))
        assert {line["sku"]: line["quantity"] for line in order["lines"]} == {"T-01": 3, "T-02": 2}
        assert shopper.lines() == {}
    assert body(Assistant(now).move(number, "pay"))["status"] == "paid"
    assert body(Assistant(later).move(number, "cancel"))["status"] == "cancelled"
    assert raw.hget("stock", "T-01") == "10"
    assert audit.run(now.extensions["store"].db).findings == []
    assert len(raw.keys("session:*")) == 1


def test_a_body_that_a_later_version_accepted_is_answered_again_by_this_one(
    app: Flask, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 1)
    first = shopper.checkout("k", {"cart_etag": body(shopper.cart())["etag"]})
    assert first.status_code == 201
    content = {"cart_etag": "any", "gift": True}
    sid = raw.keys("session:*")[0].removeprefix("session:")
    number = orders.identify(sid, "k").order_id
    raw.hset(f"order:{number}", "fp", orders.fingerprint(json.dumps(content).encode()))
    again = shopper.checkout("k", content)
    assert (again.status_code, again.data) == (201, first.data)
    assert shopper.checkout("other", content).status_code == 422


def test_an_older_pod_does_not_bring_its_older_catalog_back(app: Flask, settings: Settings, raw: Any) -> None:
    parts = app.extensions["store"]
    assert settings.catalog_file
    newer = catalog.read(settings.catalog_file)
    newer.products[0].price_cents = 4242
    catalog.apply(parts.db, newer)
    older = create_app(settings, background=False)
    older.extensions["store"].snapshot.refresh()
    assert body(older.test_client().get("/api/v1/products/T-01"))["price_cents"] == 4242
