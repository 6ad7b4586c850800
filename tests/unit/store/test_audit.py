"""Each invariant broken once by hand must be named by the audit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from store import audit, cli
from store.settings import Settings
from tests.unit.store.shop import Assistant, Shopper


def answer_with(raw: Any, order: str, change: Callable[[Any], None]) -> None:
    told = json.loads(raw.hget(f"order:{order}", "answer"))
    change(told)
    raw.hset(f"order:{order}", "answer", json.dumps(told))


def same_owner(raw: Any, order: str, other: str) -> None:
    sid, key = raw.hmget(f"order:{order}", "sid", "key")
    raw.hset(f"order:{other}", mapping={"sid": sid, "key": key})


def placed_again(raw: Any, order: str) -> None:
    ((_, entry),) = [
        (number, entry) for number, entry in raw.xrange("ledger") if entry.get("order") == order
    ][:1]
    raw.xadd("ledger", entry)
    for part in entry["lines"].split(","):
        sku, _, count = part.partition("=")
        raw.hincrby("stock", sku, -int(count))


def restocked_again(raw: Any, order: str) -> None:
    for _ in range(2):
        raw.xadd("ledger", {"type": "cancelled", "order": order, "lines": "T-01=1,T-02=2", "refund": "0"})
        raw.hincrby("stock", "T-01", 1)
        raw.hincrby("stock", "T-02", 2)
    raw.hset(f"order:{order}", "status", "cancelled")


def oversell(raw: Any, order: str) -> None:
    raw.xadd("ledger", {"type": "stock", "lines": "T-06=-100", "reason": "x"})
    raw.hincrby("stock", "T-06", -100)


BREAKS: dict[str, tuple[str, Callable[[Any, str, str], Any]]] = {
    "a piece is gone": ("stock", lambda raw, one, two: raw.hincrby("stock", "T-01", -1)),
    "a SKU's stock is gone": ("stock", lambda raw, one, two: raw.hdel("stock", "T-05")),
    "stock nobody opened": ("stock", lambda raw, one, two: raw.hset("stock", "T-99", 5)),
    "more sold than there was": ("oversold", lambda raw, one, two: oversell(raw, one)),
    "an order is gone": ("order-lost", lambda raw, one, two: raw.delete(f"order:{one}")),
    "an order without an entry": (
        "unknown-order",
        lambda raw, one, two: raw.hset("order:x", "status", "placed"),
    ),
    "an order placed twice": ("placed-twice", lambda raw, one, two: placed_again(raw, one)),
    "two orders of one key": ("one-order-a-key", lambda raw, one, two: same_owner(raw, one, two)),
    "an order under a foreign id": (
        "order-id",
        lambda raw, one, two: raw.hset(f"order:{one}", "key", "0" * 32),
    ),
    "a line was changed": (
        "lines",
        lambda raw, one, two: answer_with(raw, one, lambda told: told["lines"][0].update(quantity=7)),
    ),
    "a line's total is wrong": (
        "line-total",
        lambda raw, one, two: answer_with(raw, one, lambda told: told["lines"][0].update(line_cents=1)),
    ),
    "the total is wrong": (
        "total",
        lambda raw, one, two: answer_with(raw, one, lambda told: told.update(total_cents=1)),
    ),
    "an order that cannot be read": (
        "order-readable",
        lambda raw, one, two: raw.hset(f"order:{one}", "answer", "{"),
    ),
    "a state without an entry": ("status", lambda raw, one, two: raw.hset(f"order:{one}", "status", "paid")),
    "a restock given twice": ("restocked-twice", lambda raw, one, two: restocked_again(raw, one)),
    "an order missing in the list": ("index", lambda raw, one, two: raw.zrem("orders", one)),
    "an entry nobody writes": (
        "ledger-entry",
        lambda raw, one, two: raw.xadd("ledger", {"type": "magic", "order": "x"}),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_invariant_is_named(name: str, app: Flask, raw: Any) -> None:
    one = Shopper(app).order("k", T_01=1, T_02=2)["order_id"]
    two = Shopper(app).order("k", T_03=1)["order_id"]
    db = app.extensions["store"].db
    assert audit.run(db).findings == []
    check, harm = BREAKS[name]
    harm(raw, one, two)
    assert check in {finding.check for finding in audit.run(db).findings}


def test_a_busy_history_is_clean_and_longer_than_one_batch(
    app: Flask, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "BATCH", 2)
    assistant = Assistant(app)
    for number in range(12):
        order = Shopper(app).order("k", T_06=1)["order_id"]
        if number % 2:
            assistant.move(order, "pay")
        if number % 3 == 0:
            assistant.move(order, "cancel")
    assistant.adjust("T-06", 3)
    report = audit.run(app.extensions["store"].db)
    assert report.findings == []
    assert report.orders == 12


def test_what_happens_during_the_audit_is_no_difference(
    app: Flask, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Shopper(app).order("k", T_01=1)["order_id"]
    real = audit._stock

    def meanwhile(*args: Any) -> Any:
        Assistant(app).move(order, "pay")
        Shopper(app).order("k", T_02=1)
        return real(*args)

    monkeypatch.setattr(audit, "_stock", meanwhile)
    assert audit.run(app.extensions["store"].db).findings == []


def test_acknowledgements_are_compared_with_what_is_there(app: Flask, raw: Any, tmp_path: Path) -> None:
    placed = Shopper(app).order("k", T_01=1)
    other = Shopper(app).order("k", T_02=1)
    db = app.extensions["store"].db
    good = {"order_id": placed["order_id"], "total_cents": 100, "shopper": "s", "key": "k", "more": 1}
    path = tmp_path / "acks"
    path.write_text(json.dumps(good) + "\n" + json.dumps(good) + "\n\n")
    assert audit.run(db, path).findings == []
    bad = [
        {**good, "order_id": "lost"},
        {**good, "total_cents": 7, "key": "k1"},
        {**good, "order_id": other["order_id"], "total_cents": 200},
    ]
    path.write_text("".join(json.dumps(ack) + "\n" for ack in [good, *bad]))
    found = [finding.check for finding in audit.run(db, path).findings]
    assert found == ["acknowledged-lost", "acknowledged-twice", "acknowledged-total", "acknowledged-twice"]


def test_the_command_prints_and_fails_on_a_difference(
    app: Flask,
    raw: Any,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORE_REDIS_HOST", settings.redis_host)
    Shopper(app).order("k", T_01=1)
    assert cli.main(["audit"]) == 0
    assert "clean" in capsys.readouterr().out
    raw.hincrby("stock", "T-01", 1)
    assert cli.main(["audit", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["check"] == "stock"
    assert cli.main(["audit"]) == 1
    assert "expected 9, found 10" in capsys.readouterr().out


def test_a_bad_file_of_acknowledgements_is_named_with_its_line(
    app: Flask,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORE_REDIS_HOST", settings.redis_host)
    path = tmp_path / "acks"
    path.write_text('{"order_id":"a","total_cents":1}\n{"order_id":5}\n')
    assert cli.main(["audit", "--acks", str(path)]) == 1
    assert f"error: {path}:2:" in capsys.readouterr().err
    assert cli.main(["audit", "--acks", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
