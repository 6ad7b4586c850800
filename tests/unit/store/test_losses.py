"""What happens when Redis, or the way to it, dies at the worst moment."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from store import audit, create_app
from store.audit import Ack
from store.settings import Settings
from tests.unit.store.conftest import RedisServer
from tests.unit.store.proxy import Loss, LossyProxy
from tests.unit.store.shop import Shopper, body


@pytest.fixture
def proxy(redis_server: RedisServer, tmp_path: Path) -> Iterator[LossyProxy]:
    listen = redis_server.folder / f"proxy-{time.monotonic_ns()}.sock"
    made = LossyProxy(listen, redis_server.socket)
    yield made
    made.close()
    listen.unlink()


@pytest.fixture
def far_app(proxy: LossyProxy, settings: Settings, raw: Any) -> Iterator[Flask]:
    app = create_app(replace(settings, redis_host=str(proxy.listen)), background=False)
    app.extensions["store"].snapshot.refresh()
    yield app
    app.extensions["store"].db.close()


def buy(shopper: Shopper, key: str) -> dict[str, Any]:
    """Everything a purchase calls; each answer must be a success."""
    assert shopper.add("T-02", 3).status_code == 200
    assert shopper.set("T-03", 1, shopper.cart().headers["ETag"]).status_code == 200
    placed = shopper.checkout(key)
    assert placed.status_code == 201, placed.data
    number = body(placed)["order_id"]
    assert shopper.client.get(f"/api/v1/orders/{number}").status_code == 200
    assert shopper.client.post(f"/api/v1/orders/{number}/cancel").status_code == 200
    found: dict[str, Any] = body(placed)
    return found


@pytest.mark.parametrize("loss", ["request", "reply"])
def test_a_loss_at_any_call_of_a_purchase_is_neither_seen_nor_applied_twice(
    loss: Loss, far_app: Flask, proxy: LossyProxy, raw: Any
) -> None:
    proxy.lose("nothing", -1)
    buy(Shopper(far_app), "count")
    calls = proxy.calls
    assert calls >= 6
    for at in range(calls):
        proxy.lose(loss, at)
        placed = buy(Shopper(far_app), f"{loss}-{at}")
        assert [(line["sku"], line["quantity"]) for line in placed["lines"]] == [("T-02", 3), ("T-03", 1)]
    assert raw.hget("stock", "T-02") == "20"
    report = audit.run(far_app.extensions["store"].db)
    assert report.findings == []
    assert report.orders == calls + 1
    assert report.entries == 1 + 2 * report.orders


def test_a_redis_that_is_killed_and_comes_back_is_not_seen_by_shoppers(
    own_redis: RedisServer, settings: Settings
) -> None:
    app = create_app(replace(settings, redis_host=str(own_redis.socket), deadline_ms=4000), background=False)
    app.extensions["store"].snapshot.refresh()
    acks: list[Ack] = []
    failures: list[Any] = []
    ended = threading.Event()

    def shop(name: int) -> None:
        shopper = Shopper(app)
        for number in range(10_000):
            if ended.is_set():
                return
            added = shopper.add("T-06", 1)
            done = shopper.checkout(f"k{number}") if added.status_code == 200 else added
            if done.status_code == 201:
                acks.append(Ack(body(done)["order_id"], body(done)["total_cents"], str(name), f"k{number}"))
            elif body(done)["type"] == "/problems/out-of-stock":
                shopper.remove("T-06")
            else:
                failures.append(done.data)

    threads = [threading.Thread(target=shop, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.15)
        own_redis.kill()
        time.sleep(0.4)
        own_redis.start()
    time.sleep(0.2)
    ended.set()
    for thread in threads:
        thread.join(timeout=10)
    assert failures == []
    assert len(acks) > 20
    db = app.extensions["store"].db
    path = own_redis.folder / "acks"
    path.write_text("".join(f'{{"order_id":"{a.order_id}","total_cents":{a.total_cents}}}\n' for a in acks))
    report = audit.run(db, path)
    assert report.findings == []
    assert report.acks == len(acks)
    db.close()
