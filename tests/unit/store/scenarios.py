"""What must hold for any version of the Lua scripts: run on the real ones, and on mutants that must fail.

Each scenario gets a store with the small catalog and a plain Redis client on the same, fresh data; after it,
the audit must be clean.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask

from store import audit, catalog
from store.parts import Parts
from tests.unit.store.shop import Assistant, Shopper, body, etag

Raw = Any
Scenario = Callable[[Flask, Raw], None]
ALL: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    ALL[function.__name__] = function
    return function


def play(name: str, app: Flask, raw: Raw) -> None:
    """Run one scenario on fresh data, and the audit after it."""
    raw.flushall()
    parts: Parts = app.extensions["store"]
    parts.snapshot.refresh()
    ALL[name](app, raw)
    assert audit.run(parts.db).findings == []


def stock(raw: Raw, sku: str) -> int:
    return int(raw.hget("stock", sku))


def session_of(raw: Raw) -> str:
    (key,) = raw.keys("session:*")
    return str(key).removeprefix("session:")


@scenario
def repeated_key_gets_the_first_answer_though_the_cart_was_filled_again(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-02", 2)
    first = shopper.checkout("k")
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    shopper.add("T-03", 1)
    again = shopper.checkout("k")
    assert again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.data == first.data
    assert shopper.lines() == {"T-03": 1}
    assert stock(raw, "T-02") == 18
    assert raw.xlen("ledger") == 2


@scenario
def a_used_key_with_another_body_is_refused(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.order("k", T_01=1)
    shopper.add("T-01", 1)
    answer = shopper.checkout("k", {"expected_total_cents": 100})
    assert answer.status_code == 422
    assert body(answer)["type"] == "/problems/idempotency-key-reused"
    assert stock(raw, "T-01") == 9


@scenario
def the_layout_of_a_repeated_body_does_not_matter(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 1)
    tag = body(shopper.cart())["etag"]
    send = {"content_type": "application/json", "headers": {"Idempotency-Key": "k"}}
    one = f'{{"expected_total_cents": 100, "cart_etag": "{tag}"}}'
    two = f'{{"cart_etag":"{tag}","expected_total_cents":100}}'
    assert shopper.client.post("/api/v1/checkout", data=one, **send).status_code == 201
    assert shopper.client.post("/api/v1/checkout", data=two, **send).headers["Idempotency-Replayed"] == "true"


@scenario
def a_short_line_refuses_everything_and_keeps_the_cart(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 11)
    shopper.add("T-02", 3)
    answer = shopper.checkout("k")
    assert answer.status_code == 409
    assert body(answer)["lines"] == [{"sku": "T-01", "quantity": 11, "available": 10}]
    assert shopper.lines() == {"T-01": 11, "T-02": 3}
    assert (stock(raw, "T-01"), stock(raw, "T-02")) == (10, 20)
    shopper.set("T-01", 10)
    assert shopper.checkout("k").status_code == 201
    assert stock(raw, "T-01") == 0


@scenario
def the_last_piece_is_sold_once(app: Flask, raw: Raw) -> None:
    Assistant(app).set_stock("T-04", 1)
    first, second = Shopper(app), Shopper(app)
    first.add("T-04")
    second.add("T-04")
    assert first.checkout("k").status_code == 201
    assert second.checkout("k").status_code == 409
    assert stock(raw, "T-04") == 0


@scenario
def an_order_has_the_stores_prices_and_totals(app: Flask, raw: Raw) -> None:
    placed = Shopper(app).order("k", T_03=2, T_01=5)
    assert [(line["sku"], line["quantity"], line["line_cents"]) for line in placed["lines"]] == [
        ("T-01", 5, 500),
        ("T-03", 2, 600),
    ]
    assert placed["total_cents"] == 1100
    assert placed["currency"] == "EUR"
    assert (stock(raw, "T-01"), stock(raw, "T-03")) == (5, 28)


@scenario
def an_order_empties_the_cart_and_changes_its_etag(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    before = etag(shopper.add("T-01", 1))
    assert shopper.checkout("k").status_code == 201
    after = shopper.cart()
    assert body(after)["items"] == []
    assert etag(after) not in (before, '"0"')
    answer = shopper.checkout("other")
    assert answer.status_code == 409
    assert body(answer)["type"] == "/problems/cart-empty"


@scenario
def what_the_shopper_has_seen_is_compared(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-02", 1)
    seen = body(shopper.add("T-01", 1))
    shopper.add("T-01", 1)
    changed = shopper.checkout("k", {"cart_etag": seen["etag"]})
    assert (changed.status_code, body(changed)["type"]) == (409, "/problems/cart-changed")
    priced = shopper.checkout("k", {"expected_total_cents": 300})
    assert (priced.status_code, body(priced)["type"]) == (409, "/problems/price-changed")
    assert body(priced)["total_cents"] == 400
    now = body(shopper.cart())
    good = {"cart_etag": now["etag"], "expected_total_cents": 400}
    assert shopper.checkout("k", good).status_code == 201


@scenario
def what_is_retired_cannot_be_bought(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 2)
    parts: Parts = app.extensions["store"]
    assert parts.settings.catalog_file
    current = catalog.read(parts.settings.catalog_file)
    current.products = [product for product in current.products if product.sku != "T-01"]
    assert catalog.apply(parts.db, current).retired == 1
    answer = shopper.checkout("k")
    assert answer.status_code == 409
    assert body(answer)["lines"] == [{"sku": "T-01", "quantity": 2, "available": 0}]
    assert Shopper(app).add("T-01").status_code == 422


@scenario
def a_cancelled_order_restocks_once(app: Flask, raw: Raw) -> None:
    shopper, assistant = Shopper(app), Assistant(app)
    number = shopper.order("k", T_01=3, T_02=1)["order_id"]
    first = assistant.move(number, "cancel")
    assert (first.status_code, body(first)["status"]) == (200, "cancelled")
    assert "refund_due" not in body(first)
    assert assistant.move(number, "cancel").status_code == 200
    assert (stock(raw, "T-01"), stock(raw, "T-02")) == (10, 20)
    for act in ("pay", "ship"):
        assert assistant.move(number, act).status_code == 409


@scenario
def an_order_moves_only_along_its_path(app: Flask, raw: Raw) -> None:
    shopper, assistant = Shopper(app), Assistant(app)
    number = shopper.order("k", T_01=1)["order_id"]
    assert assistant.move(number, "ship").status_code == 409
    assert body(assistant.move(number, "pay"))["status"] == "paid"
    assert body(assistant.move(number, "ship"))["status"] == "shipped"
    assert assistant.move(number, "cancel").status_code == 409
    assert assistant.move(number, "pay").status_code == 409
    paid = shopper.order("l", T_02=1)["order_id"]
    assistant.move(paid, "pay")
    assert body(assistant.move(paid, "cancel"))["refund_due"] is True
    assert (stock(raw, "T-01"), stock(raw, "T-02")) == (9, 20)


@scenario
def every_change_of_a_cart_has_an_etag_of_its_own(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    seen = [etag(shopper.add("T-01")), etag(shopper.add("T-01")), etag(shopper.set("T-01", 1))]
    seen += [etag(shopper.remove("T-01")), etag(shopper.add("T-01"))]
    shopper.order("k")
    seen.append(etag(shopper.cart()))
    seen.append(etag(shopper.add("T-01")))
    assert len(set(seen)) == len(seen)


@scenario
def a_stale_etag_changes_nothing(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    old = etag(shopper.add("T-01", 2))
    new = etag(shopper.add("T-01", 3))
    answer = shopper.set("T-01", 1, old)
    assert (answer.status_code, body(answer)["type"]) == (412, "/problems/cart-changed")
    assert shopper.lines() == {"T-01": 5}
    assert shopper.set("T-01", 1, new).status_code == 200
    assert shopper.lines() == {"T-01": 1}


@scenario
def a_line_holds_at_most_99_pieces_and_adding_adds(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 60)
    assert body(shopper.add("T-01", 39))["items"][0]["quantity"] == 99
    answer = shopper.add("T-01", 1)
    assert (answer.status_code, body(answer)["type"]) == (409, "/problems/cart-limit")
    assert shopper.lines() == {"T-01": 99}


@scenario
def a_cart_holds_at_most_50_lines(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    raw.hset(f"cart:{session_of(raw)}", mapping={f"X-{number}": 1 for number in range(49)})
    assert shopper.add("T-02").status_code == 409
    assert shopper.add("T-01").status_code == 200


@scenario
def a_repeated_operation_changes_a_cart_once(app: Flask, raw: Raw) -> None:
    db = app.extensions["store"].db
    keys = ["op:o1", "sessions", "catalog", "catalog:meta"]
    for owner in ("none", "made"):
        keys += [f"session:{owner}", f"cart:{owner}", f"session-orders:{owner}"]
    args = [1000, 600_000, 60_000, 10, "none", "made", "o1", "add", "T-01", 2, ""]
    first = db.script("cart_change", keys, args)
    second = db.script("cart_change", keys, args)
    assert [str(part) for part in first] == [str(part) for part in second]
    assert raw.hget("cart:made", "T-01") == "2"


@scenario
def a_repeated_operation_changes_stock_once(app: Flask, raw: Raw) -> None:
    db = app.extensions["store"].db
    keys = ["op:o2", "catalog", "stock", "ledger"]
    for _ in range(2):
        assert db.script("stock_change", keys, ["T-01", "adjust", 5, "found", "r"])[1] == 15
    assert stock(raw, "T-01") == 15


@scenario
def a_repeated_operation_moves_an_order_once(app: Flask, raw: Raw) -> None:
    db = app.extensions["store"].db
    number = Shopper(app).order("k", T_01=2)["order_id"]
    keys = [f"order:{number}", "stock", "ledger"]
    for _ in range(2):
        assert db.script("order_move", keys, [number, "paid", "o3", "now", "r", "admin"])[0] == "ok"
    assert db.script("order_move", keys, [number, "shipped", "o4", "now", "r", "admin"])[0] == "ok"
    assert db.script("order_move", keys, [number, "paid", "o3", "now", "r", "admin"])[0] == "ok"
    assert raw.hget(f"order:{number}", "status") == "shipped"
    assert raw.xlen("ledger") == 4


@scenario
def stock_never_goes_below_nothing(app: Flask, raw: Raw) -> None:
    assistant = Assistant(app)
    assert assistant.adjust("T-01", -11).status_code == 409
    assert assistant.adjust("T-01", -10).status_code == 200
    assert assistant.set_stock("T-01", 7).status_code == 200
    assert assistant.set_stock("NOT-THERE", 7).status_code == 404
    assert stock(raw, "T-01") == 7


@scenario
def a_session_and_its_cart_end_together_and_are_renewed_together(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    sid = session_of(raw)
    names = (f"session:{sid}", f"cart:{sid}")
    trial, full = 30 * 60 * 1000, 7 * 24 * 3600 * 1000
    for name in names:
        assert trial - 5000 < raw.pttl(name) <= trial
    shopper.cart()
    for name in names:
        assert full - 5000 < raw.pttl(name) <= full
    for name in names:
        raw.pexpire(name, int(full * 0.95))
    shopper.cart()
    assert raw.pttl(names[0]) <= full * 0.95
    shopper.order("k")
    for name in (*names, f"session-orders:{sid}"):
        raw.pexpire(name, int(full * 0.5))
    shopper.add("T-02")
    for name in (*names, f"session-orders:{sid}"):
        assert raw.pttl(name) > full * 0.99
    assert raw.zscore("sessions", sid) > 0


@scenario
def a_token_that_was_not_given_out_is_not_taken_up(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    shopper.client.set_cookie("store_session", "A" * 22)
    answer = shopper.add("T-01")
    assert "Set-Cookie" in answer.headers
    assert shopper.lines() == {"T-01": 1}
    assert len(raw.keys("session:*")) == 1
    cookie = shopper.client.get_cookie("store_session")
    assert cookie is not None
    assert cookie.value != "A" * 22


@scenario
def removing_makes_no_session(app: Flask, raw: Raw) -> None:
    shopper = Shopper(app)
    assert shopper.remove("T-01").status_code == 404
    shopper.client.set_cookie("store_session", "A" * 22)
    assert shopper.remove("T-01").status_code == 404
    assert raw.keys("session:*") == []


@scenario
def sessions_are_bounded_and_free_places_are_found(app: Flask, raw: Raw) -> None:
    most = app.extensions["store"].settings.sessions_max
    raw.zadd("sessions", {f"s{number}": 10**15 for number in range(most - 1)})
    assert Shopper(app).add("T-01").status_code == 200
    answer = Shopper(app).add("T-01")
    assert (answer.status_code, body(answer)["type"]) == (503, "/problems/too-many-sessions")
    assert int(answer.headers["Retry-After"]) > 0
    raw.zadd("sessions", {"s1": 1})
    assert Shopper(app).add("T-01").status_code == 200


@scenario
def orders_are_listed_newest_first(app: Flask, raw: Raw) -> None:
    shopper, other = Shopper(app), Shopper(app)
    mine = [shopper.order(f"k{number}", T_01=1)["order_id"] for number in range(3)]
    other.order("k0", T_02=1)
    first = body(shopper.client.get("/api/v1/orders?limit=2"))
    assert [order["order_id"] for order in first["items"]] == [mine[2], mine[1]]
    rest = body(shopper.client.get(f"/api/v1/orders?limit=2&cursor={first['next']}"))
    assert [order["order_id"] for order in rest["items"]] == [mine[0]]
    assert rest["next"] is None


@scenario
def a_catalog_is_applied_without_touching_stock(app: Flask, raw: Raw) -> None:
    parts: Parts = app.extensions["store"]
    assert parts.settings.catalog_file
    current = catalog.read(parts.settings.catalog_file)
    Shopper(app).order("k", T_01=4)
    current.products[0].price_cents = 777
    current.products[0].stock = 9999
    current.products[5].sku = "T-NEW"
    done = catalog.apply(parts.db, current)
    assert (done.outcome, done.added, done.changed, done.retired) == ("applied", 1, 1, 1)
    assert (stock(raw, "T-01"), stock(raw, "T-NEW"), stock(raw, "T-06")) == (6, 60, 60)
    assert catalog.apply(parts.db, current).outcome == "unchanged"
    assert raw.xlen("ledger") == 3
    few = catalog.Catalog("EUR", current.products[:2])
    assert catalog.apply(parts.db, few).outcome == "refused"
    assert catalog.apply(parts.db, few, only_if_none=True).outcome == "present"
    assert catalog.apply(parts.db, few, force=True).retired == 4
    back = catalog.read(parts.settings.catalog_file)
    assert catalog.apply(parts.db, back).outcome == "applied"
    assert (stock(raw, "T-01"), stock(raw, "T-06")) == (6, 60)
    assert Shopper(app).add("T-06").status_code == 200
