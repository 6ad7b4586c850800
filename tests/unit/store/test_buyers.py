"""The shoppers of the order proof, against a store on this machine: what they are told is what the audit finds."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

import store
from kubestore.prove import buyers, orders, target
from store import audit
from store.db import Database
from store.settings import Settings
from tests.unit.store.conftest import RedisServer
from tests.unit.store.mutants import CONTROLS, control
from tests.unit.store.served import Served

TOKEN = {"Authorization": "Bearer admin-token-for-the-tests"}


def test_shoppers_buy_repeat_and_meet_empty_shelves(
    own_redis: RedisServer, catalog_file: Path, tmp_path: Path
) -> None:
    served = Served(own_redis.socket, catalog_file, tmp_path, STORE_ADMIN_TOKEN="admin-token-for-the-tests")
    sales = buyers.Sales()
    try:
        for sku, stock in (("T-01", 5), ("T-02", 100_000)):
            served.send("PUT", f"/api/v1/admin/stock/{sku}", {"stock": stock, "reason": "test"}, TOKEN)
        where = target.here(f"http://127.0.0.1:{served.port}")
        plan = buyers.Plan(where, ("T-01",), ("T-02",), checkouts=200, shoppers=8, seconds=60)
        asyncio.run(buyers.sell(plan, sales))
    finally:
        served.stop()
    acks = tmp_path / "acks"
    acks.write_text("\n".join(sales.acks))
    db = Database(Settings(redis_host=str(own_redis.socket)))
    report = audit.run(db, acks)
    stock = int(db.call("HGET", "stock", "T-01"))
    db.close()
    assert report.findings == []
    assert sales.placed == report.orders == 200
    assert sales.replayed == sales.repeats > 20
    assert report.acks == sales.placed + sales.repeats
    assert sales.sold_out > 0
    assert 0 <= stock <= 1
    assert not sales.sent_again


@pytest.mark.parametrize("name", CONTROLS)
def test_a_store_without_one_protection_is_found_out(
    name: str, own_redis: RedisServer, catalog_file: Path, tmp_path: Path
) -> None:
    shutil.copytree(Path(store.__file__).parent, tmp_path / "app/store")
    (tmp_path / "app/store/lua/checkout.lua").write_text(control(name))
    served = Served(
        own_redis.socket, catalog_file, tmp_path,
        STORE_ADMIN_TOKEN="admin-token-for-the-tests", PYTHONPATH=str(tmp_path / "app"),
    )  # fmt: skip
    sales = buyers.Sales()
    try:
        for sku, stock in (("T-01", 20), ("T-03", 20), ("T-02", 100_000)):
            served.send("PUT", f"/api/v1/admin/stock/{sku}", {"stock": stock, "reason": "test"}, TOKEN)
        where = target.here(f"http://127.0.0.1:{served.port}")
        plan = buyers.Plan(where, ("T-01", "T-03"), ("T-02",), 200, shoppers=32, hunted=1.0, seconds=60)
        asyncio.run(buyers.sell(plan, sales))
    finally:
        served.stop()
    acks = tmp_path / "acks"
    acks.write_text("\n".join(sales.acks))
    db = Database(Settings(redis_host=str(own_redis.socket)))
    findings = audit.run(db, acks).findings
    db.close()
    outcome = orders.Outcome(sales, {"acks": 0, "findings": [{"check": found.check} for found in findings]})
    assert outcome.figures[name] > 0, outcome.found
    others = {"oversold", "acknowledged_lost", "duplicates"} - {name}
    assert all(outcome.figures[other] == 0 for other in others), outcome.found


def test_findings_are_counted_by_what_they_mean() -> None:
    kinds = ("oversold", "stock", "acknowledged-lost", "order-lost", "placed-twice", "placed-twice")
    report = {"acks": 7, "findings": [{"check": kind} for kind in kinds]}
    figures = orders.Outcome(buyers.Sales(), json.loads(json.dumps(report))).figures
    assert (figures["oversold"], figures["acknowledged_lost"], figures["duplicates"]) == (1, 2, 2)
    assert figures["findings"]["stock"] == 1
