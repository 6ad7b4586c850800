import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from store import catalog, create_app
from store.parts import Parts
from store.settings import Settings
from tests.unit.store.conftest import RedisServer
from tests.unit.store.shop import Assistant, Shopper, body, etag


def skus(client: FlaskClient, query: str = "") -> list[str]:
    return [item["sku"] for item in body(client.get(f"/api/v1/products{query}"))["items"]]


def test_a_listing_is_in_the_order_of_the_skus_and_complete(client: FlaskClient) -> None:
    page = body(client.get("/api/v1/products"))
    assert [item["sku"] for item in page["items"]] == [f"T-0{number}" for number in range(1, 7)]
    assert page["next"] is None
    assert page["items"][0] == {
        "sku": "T-01",
        "name": "Thing 1",
        "description": "The thing with the number 1",
        "category": "odd",
        "price_cents": 100,
        "currency": "EUR",
        "stock": 10,
        "image": "/static/images/thing.svg",
    }


def test_filters_by_category_and_by_every_word_of_a_text(client: FlaskClient) -> None:
    assert skus(client, "?category=even") == ["T-02", "T-04", "T-06"]
    assert skus(client, "?q=NUMBER+3") == ["T-03"]
    assert skus(client, "?q=thing&category=odd&limit=1") == ["T-01"]
    assert skus(client, "?q=nothing+like+it") == []


def test_a_cursor_goes_through_the_list_once_even_when_products_come_and_go(
    client: FlaskClient, store: Parts
) -> None:
    first = body(client.get("/api/v1/products?limit=2"))
    assert store.settings.catalog_file
    changed = catalog.read(store.settings.catalog_file)
    changed.products = [product for product in changed.products if product.sku != "T-02"]
    catalog.apply(store.db, changed)
    store.snapshot.refresh()
    seen, cursor = [], first["next"]
    while cursor:
        page = body(client.get(f"/api/v1/products?limit=2&cursor={cursor}"))
        seen += [item["sku"] for item in page["items"]]
        cursor = page["next"]
    assert seen == ["T-03", "T-04", "T-05", "T-06"]


def test_the_etag_follows_stock_prices_query_and_version(
    client: FlaskClient, app: Flask, store: Parts, settings: Settings
) -> None:
    first = etag(client.get("/api/v1/products"))
    same = client.get("/api/v1/products", headers={"If-None-Match": first})
    assert (same.status_code, same.data, etag(same)) == (304, b"", first)
    assert etag(client.get("/api/v1/products?limit=3")) != first
    Assistant(app).adjust("T-01", 1)
    store.snapshot.refresh()
    second = etag(client.get("/api/v1/products"))
    assert second != first
    newer = create_app(replace(settings, version="v-next"), background=False)
    newer.extensions["store"].snapshot.refresh()
    assert etag(newer.test_client().get("/api/v1/products")) != second


def test_two_pods_give_the_same_etag_for_the_same_state(client: FlaskClient, settings: Settings) -> None:
    other = create_app(settings, background=False)
    other.extensions["store"].snapshot.refresh()
    assert etag(other.test_client().get("/api/v1/products")) == etag(client.get("/api/v1/products"))


def test_a_page_of_a_product_shows_live_stock_and_a_listing_that_of_the_snapshot(
    client: FlaskClient, app: Flask, store: Parts
) -> None:
    Assistant(app).adjust("T-01", 5)
    assert body(client.get("/api/v1/products/T-01"))["stock"] == 15
    assert body(client.get("/api/v1/products"))["items"][0]["stock"] == 10
    store.snapshot.refresh()
    assert body(client.get("/api/v1/products"))["items"][0]["stock"] == 15


def test_what_is_not_sold_is_not_found(client: FlaskClient, store: Parts) -> None:
    assert client.get("/api/v1/products/NONE").status_code == 404
    assert store.settings.catalog_file
    changed = catalog.read(store.settings.catalog_file)
    changed.products = changed.products[1:]
    catalog.apply(store.db, changed)
    store.snapshot.refresh()
    assert client.get("/api/v1/products/T-01").status_code == 404
    assert "T-01" not in skus(client)


def test_the_listing_of_every_query_is_not_kept_for_ever(client: FlaskClient, store: Parts) -> None:
    for number in range(600):
        client.get(f"/api/v1/products?q=x{number}")
    assert len(store.snapshot.view.pages) <= 128


def test_without_redis_the_catalog_is_shown_and_says_how_old_it_is(
    own_redis: RedisServer, settings: Settings
) -> None:
    app = create_app(replace(settings, redis_host=str(own_redis.socket), deadline_ms=500), background=False)
    parts: Parts = app.extensions["store"]
    parts.snapshot.refresh()
    shopper = Shopper(app)
    assert shopper.add("T-01").status_code == 200
    own_redis.kill()
    live = shopper.client.get("/api/v1/products/T-01")
    assert live.status_code == 200
    assert live.headers["X-Store-Degraded"].startswith("stock-age=")
    parts.snapshot._fresh -= 5
    listing = shopper.client.get("/api/v1/products")
    assert listing.status_code == 200
    assert float(listing.headers["X-Store-Degraded"].partition("=")[2]) >= 5
    started = time.monotonic()
    assert shopper.client.get("/api/v1/products/T-01").headers["X-Store-Degraded"]
    assert time.monotonic() - started < 0.1
    for answer in (
        shopper.cart(),
        shopper.add("T-01"),
        shopper.checkout("k"),
        shopper.client.get("/api/v1/orders"),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    assert shopper.client.get("/readyz").status_code == 200
    assert shopper.client.get("/livez").status_code == 200
    own_redis.start()
    assert shopper.lines() == {"T-01": 1}


def test_an_emptied_redis_with_a_broken_mounted_file_is_unavailable_not_a_mistake(
    app: Flask, raw: Any, catalog_file: Any
) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    raw.flushall()
    catalog_file.write_text("{")
    assert shopper.cart().status_code == 200
    assert shopper.add("T-01").status_code == 422
    assert shopper.client.get("/api/v1/products").status_code == 200


def test_a_pod_that_starts_without_redis_is_not_ready_and_refuses(settings: Settings) -> None:
    app = create_app(replace(settings, redis_host="/nonexistent", deadline_ms=100), background=False)
    client = app.test_client()
    assert client.get("/livez").status_code == 200
    for path in ("/readyz", "/api/v1/products", "/api/v1/products/T-01", "/api/v1/cart"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert answer.headers["Retry-After"]


def test_the_background_loop_loads_seeds_and_follows(settings: Settings, raw: Any) -> None:
    app = create_app(settings, background=True)
    parts: Parts = app.extensions["store"]
    try:
        wait(lambda: parts.snapshot.loaded)
        Assistant(app).adjust("T-01", 1)
        wait(lambda: parts.snapshot.view.stock["T-01"] == 11)
        raw.flushall()
        wait(lambda: parts.snapshot.view.stock["T-01"] == 10)
        assert not parts.snapshot.degraded
    finally:
        parts.snapshot.stop()


def wait(check: Any, seconds: float = 3) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.02)


@pytest.mark.parametrize("missing", ["no file", "bad file"])
def test_without_any_catalog_a_pod_waits_for_one(
    missing: str, settings: Settings, raw: Any, tmp_path: Any
) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{")
    file = None if missing == "no file" else path
    app = create_app(replace(settings, catalog_file=file), background=True)
    parts: Parts = app.extensions["store"]
    try:
        time.sleep(0.3)
        assert app.test_client().get("/readyz").status_code == 503
        assert settings.catalog_file
        catalog.apply(parts.db, catalog.read(settings.catalog_file))
        wait(lambda: app.test_client().get("/readyz").status_code == 200)
    finally:
        parts.snapshot.stop()
