"""Random shopping against a model: carts, stock, orders, keys and replays, over HTTP."""

import copy
import json
from typing import Any, ClassVar

import hypothesis.strategies as st
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from store import audit, catalog, create_app
from store.parts import Parts
from store.settings import Settings
from tests.unit.store.shop import Assistant, Shopper, body

SKUS = ("T-01", "T-02", "T-03")
QUANTITY = st.integers(1, 40)


class Shop(RuleBasedStateMachine):
    """Two shoppers, an assistant, and what they must see."""

    store_settings: ClassVar[Any]
    orders = Bundle("orders")

    @initialize()
    def open(self) -> None:
        self.raw = redis.Redis(unix_socket_path=self.store_settings.redis_host, decode_responses=True)
        self.raw.flushall()
        self.app = create_app(self.store_settings, background=False)
        self.parts: Parts = self.app.extensions["store"]
        self.parts.snapshot.refresh()
        self.shoppers = [Shopper(self.app), Shopper(self.app)]
        self.assistant = Assistant(self.app)
        self.carts: list[dict[str, int]] = [{}, {}]
        self.stock = {"T-01": 10, "T-02": 20, "T-03": 30}
        self.prices = {"T-01": 100, "T-02": 200, "T-03": 300}
        self.placed: dict[tuple[int, str], Any] = {}
        self.states: dict[str, str] = {}
        self.lines: dict[str, dict[str, int]] = {}
        self.etags: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "parts"):
            assert audit.run(self.parts.db).findings == []
            self.parts.db.close()
            self.raw.close()

    def seen(self, answer: Any, who: int) -> None:
        """A cart as answered is the model's, under an ETag that nobody has seen."""
        assert answer.status_code == 200, answer.data
        cart = body(answer)
        assert {line["sku"]: line["quantity"] for line in cart["items"]} == self.carts[who]
        assert cart["total_cents"] == sum(self.prices[sku] * n for sku, n in self.carts[who].items())
        assert cart["etag"] not in self.etags
        self.etags.add(cart["etag"])

    @rule(who=st.integers(0, 1), sku=st.sampled_from(SKUS), quantity=QUANTITY)
    def add(self, who: int, sku: str, quantity: int) -> None:
        answer = self.shoppers[who].add(sku, quantity)
        if self.carts[who].get(sku, 0) + quantity > 99:
            assert answer.status_code == 409
            return
        self.carts[who][sku] = self.carts[who].get(sku, 0) + quantity
        self.seen(answer, who)

    @rule(who=st.integers(0, 1), sku=st.sampled_from(SKUS), quantity=QUANTITY)
    def set(self, who: int, sku: str, quantity: int) -> None:
        self.carts[who][sku] = quantity
        self.seen(self.shoppers[who].set(sku, quantity, self.shoppers[who].cart().headers["ETag"]), who)

    @rule(who=st.integers(0, 1), sku=st.sampled_from(SKUS))
    def remove(self, who: int, sku: str) -> None:
        answer = self.shoppers[who].remove(sku)
        self.carts[who].pop(sku, None)
        if answer.status_code != 404:
            self.seen(answer, who)

    @rule(target=orders, who=st.integers(0, 1), key=st.sampled_from("abcdef"), compare=st.booleans())
    def checkout(self, who: int, key: str, compare: bool) -> tuple[int, str]:
        cart = self.carts[who]
        total = sum(self.prices[sku] * count for sku, count in cart.items())
        content = {"expected_total_cents": total} if compare else {}
        known = self.placed.get((who, key))
        answer = self.shoppers[who].checkout(key, content)
        if known:
            first, sent = known
            if sent == content:
                assert (answer.status_code, answer.data) == (201, first)
                assert answer.headers["Idempotency-Replayed"] == "true"
            else:
                assert answer.status_code == 422
        elif not cart:
            assert body(answer)["type"] == "/problems/cart-empty"
        elif short := {sku for sku, count in cart.items() if count > self.stock[sku]}:
            assert answer.status_code == 409
            assert {line["sku"] for line in body(answer)["lines"]} == short
        else:
            assert answer.status_code == 201, answer.data
            order = body(answer)
            assert order["total_cents"] == total
            self.placed[who, key] = (answer.data, content)
            self.states[order["order_id"]] = "placed"
            self.lines[order["order_id"]] = copy.copy(cart)
            for sku, count in cart.items():
                self.stock[sku] -= count
            self.carts[who] = {}
        return who, key

    @rule(which=orders, act=st.sampled_from(("pay", "ship", "cancel")))
    def move(self, which: tuple[int, str], act: str) -> None:
        if which not in self.placed:
            return
        number = json.loads(self.placed[which][0])["order_id"]
        wanted = {"pay": "paid", "ship": "shipped", "cancel": "cancelled"}[act]
        state = self.states[number]
        allowed = {"placed": ("paid", "cancelled"), "paid": ("shipped", "cancelled")}.get(state, ())
        answer = self.assistant.move(number, act)
        if wanted not in (*allowed, state):
            assert answer.status_code == 409
            return
        assert body(answer)["status"] == wanted
        if wanted == "cancelled" and state != "cancelled":
            for sku, count in self.lines[number].items():
                self.stock[sku] += count
        self.states[number] = wanted
        assert body(self.shoppers[which[0]].client.get(f"/api/v1/orders/{number}"))["status"] == wanted

    @rule(sku=st.sampled_from(SKUS), delta=st.integers(-15, 15))
    def deliver(self, sku: str, delta: int) -> None:
        answer = self.assistant.adjust(sku, delta)
        if self.stock[sku] + delta < 0:
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            self.stock[sku] += delta

    @rule(sku=st.sampled_from(SKUS), price=st.integers(1, 500))
    def reprice(self, sku: str, price: int) -> None:
        assert self.parts.settings.catalog_file
        changed = catalog.read(self.parts.settings.catalog_file)
        for product in changed.products:
            if product.sku in self.prices:
                product.price_cents = self.prices[product.sku]
        product = next(product for product in changed.products if product.sku == sku)
        product.price_cents = self.prices[sku] = price
        catalog.apply(self.parts.db, changed)

    @invariant()
    def stock_and_carts_are_as_expected(self) -> None:
        if not hasattr(self, "parts"):
            return
        assert {sku: int(self.raw.hget("stock", sku) or 0) for sku in SKUS} == self.stock
        for shopper, cart in zip(self.shoppers, self.carts, strict=True):
            answer = body(shopper.cart())
            assert {line["sku"]: line["quantity"] for line in answer["items"]} == cart
            assert answer["total_cents"] == sum(self.prices[sku] * count for sku, count in cart.items())


def test_random_shopping_is_what_the_model_says(settings: Settings) -> None:
    Shop.store_settings = settings
    machine = Shop.TestCase
    machine.settings = hypothesis_settings(
        max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine("runTest").runTest()
