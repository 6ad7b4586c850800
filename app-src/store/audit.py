"""Does everything add up? The ledger against stock and orders, at one position of the ledger."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from store import catalog, orders
from store.db import Database
from store.errors import CorruptDataError

BATCH: Final = 500
MOVES: Final = frozenset(("paid", "shipped", "cancelled"))


class Finding(msgspec.Struct):
    """One thing that does not add up."""

    check: str
    subject: str
    expected: str
    found: str


class Ack(msgspec.Struct):
    """What a client was told by a 201: one line of the file given with `--acks`."""

    order_id: str
    total_cents: int
    shopper: str = ""
    key: str = ""


class Report(msgspec.Struct):
    """What was looked at and what was wrong with it."""

    position: str
    entries: int
    orders: int
    skus: int
    acks: int
    findings: list[Finding]


@dataclass
class Books:
    """What the ledger says, up to a position."""

    position: str = "0-0"
    entries: int = 0
    stock: Counter[str] = field(default_factory=Counter)
    placed: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Order id -> its lines as text, total in cents."""
    twice: list[str] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    restocked: Counter[str] = field(default_factory=Counter)
    wrong: list[Finding] = field(default_factory=list)


def run(db: Database, acks: Path | None = None) -> Report:
    """Read everything and compare; raises `UnavailableError` or `CorruptDataError`."""
    last, raw = db.transaction(
        ("XREVRANGE", catalog.LEDGER, "+", "-", "COUNT", 1), ("HGETALL", catalog.STOCK)
    )
    position = str(last[0][0]) if last else "0-0"
    books = Books()
    _read_ledger(db, books, "-", position)
    findings = [*books.wrong, *_stock(books, raw)]
    later = Books()
    findings += _orders(db, books, later, position)
    told = list(_acks(acks)) if acks else []
    findings += _told(told, {**later.placed, **books.placed})
    return Report(position, books.entries, len(books.placed), len(raw) // 2, len(told), findings)


def _read_ledger(db: Database, books: Books, start: str, end: str) -> None:
    """Add the entries from `start` to `end` to `books`."""
    while True:
        entries = db.call("XRANGE", catalog.LEDGER, start, end, "COUNT", BATCH * 4)
        for number, flat in entries:
            books.position = number
            books.entries += 1
            try:
                _book(books, dict(zip(flat[::2], flat[1::2], strict=True)))
            except (KeyError, ValueError) as error:
                books.wrong.append(Finding("ledger-entry", number, "a readable entry", repr(error)))
        if len(entries) < BATCH * 4:
            return
        start = f"({entries[-1][0]}"


def _book(books: Books, entry: dict[str, str]) -> None:
    kind = entry["type"]
    lines = lines_map(entry.get("lines", ""))
    if kind in ("catalog", "stock"):
        books.stock.update(lines)
        return
    order = entry["order"]
    if kind == "placed":
        books.stock.subtract(lines)
        if order in books.placed:
            books.twice.append(order)
        books.placed[order] = (entry["lines"], int(entry["total"]))
        books.status[order] = "placed"
    elif kind in MOVES:
        books.status[order] = kind
        if kind == "cancelled":
            books.stock.update(lines)
            books.restocked[order] += 1
            if entry["lines"] != books.placed.get(order, (entry["lines"], 0))[0]:
                books.wrong.append(Finding("restock", order, books.placed[order][0], entry["lines"]))
    else:
        raise ValueError(f"type {kind}")


def _lines(text: str) -> Iterator[tuple[str, int]]:
    for part in filter(None, text.split(",")):
        sku, _, amount = part.partition("=")
        yield sku, int(amount)


def lines_map(text: str) -> dict[str, int]:
    """The lines of a ledger entry (`SKU=2,OTHER=1`) as pieces by SKU."""
    return dict(_lines(text))


def _stock(books: Books, raw: list[str]) -> Iterator[Finding]:
    """Opening + restocked + adjusted - sold = stock, and never below nothing."""
    held = dict(zip(raw[::2], raw[1::2], strict=True))
    for sku in sorted(held.keys() | books.stock.keys()):
        expected, found = books.stock.get(sku), held.get(sku)
        if found is None or expected is None or str(expected) != found:
            yield Finding("stock", sku, str(expected), str(found))
        if expected is not None and expected < 0:
            yield Finding("oversold", sku, ">= 0", str(expected))


def _orders(db: Database, books: Books, later: Books, position: str) -> Iterator[Finding]:
    """Each order of the ledger exists once, says the same, and there are no others."""
    for order in books.twice:
        yield Finding("placed-twice", order, "1 ledger entry", "more")
    for order, count in books.restocked.items():
        if count > 1:
            yield Finding("restocked-twice", order, "1", str(count))
    owners: dict[tuple[str, str], str] = {}
    kept: list[tuple[str, dict[str, str], bool]] = []
    for order, fields, indexed in _fetch(db, books.placed):
        yield from _order(order, fields, *books.placed[order])
        if fields:
            owner = (fields.get("sid", ""), fields.get("key", ""))
            if owners.setdefault(owner, order) != order:
                yield Finding("one-order-a-key", order, owners[owner], order)
            if fields.get("status") != books.status[order]:
                kept.append((order, fields, indexed))
        if not indexed:
            yield Finding("index", order, f"in {orders.ORDERS}", "missing")
    present = set(_scan(db))
    _read_ledger(db, later, f"({position}", "+")
    for order, fields, _ in kept:
        if fields.get("status") != later.status.get(order):
            yield Finding("status", order, books.status[order], fields.get("status", ""))
    for order in sorted(present - books.placed.keys() - later.placed.keys()):
        yield Finding("unknown-order", order, "a ledger entry", "none")


def _fetch(db: Database, placed: Iterable[str]) -> Iterator[tuple[str, dict[str, str], bool]]:
    ids = list(placed)
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        hashes = db.transaction(*(("HGETALL", orders.order_key(order)) for order in batch))
        ranks = db.transaction(*(("ZSCORE", orders.ORDERS, order) for order in batch))
        for order, raw, rank in zip(batch, hashes, ranks, strict=True):
            yield order, dict(zip(raw[::2], raw[1::2], strict=True)), rank is not None


def _order(order: str, fields: dict[str, str], lines: str, total: int) -> Iterator[Finding]:
    if not fields:
        yield Finding("order-lost", order, "the order", "nothing")
        return
    derived = orders.order_id(fields.get("sid", ""), fields.get("key", ""))
    if derived != order:
        yield Finding("order-id", order, derived, order)
    try:
        told = orders.present(fields)
    except CorruptDataError as error:
        yield Finding("order-readable", order, "an order", str(error))
        return
    sold = {line.sku: line.quantity for line in told.lines}
    if sold != lines_map(lines):
        yield Finding("lines", order, lines, ",".join(f"{sku}={count}" for sku, count in sold.items()))
    for line in told.lines:
        if line.line_cents != line.price_cents * line.quantity:
            yield Finding("line-total", order, str(line.price_cents * line.quantity), str(line.line_cents))
    counted = sum(line.line_cents for line in told.lines)
    if not counted == told.total_cents == total:
        yield Finding("total", order, str(counted), f"{told.total_cents} told, {total} in the ledger")


def _scan(db: Database) -> Iterator[str]:
    cursor: Any = "0"
    while True:
        cursor, keys = db.call("SCAN", cursor, "MATCH", "order:*", "COUNT", 1000)
        yield from (key.removeprefix("order:") for key in keys)
        if cursor == "0":
            return


def _acks(path: Path) -> Iterator[Ack]:
    """The lines of the file, or of standard input for `-`; raises `AcksError` with the line's number."""
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        for number, line in enumerate(content.splitlines(), 1):
            if line.strip():
                try:
                    yield msgspec.json.decode(line, type=Ack)
                except msgspec.MsgspecError as error:
                    raise AcksError(f"{path}:{number}: {error}") from error
    except OSError as error:
        raise AcksError(f"{path}: {error.strerror}") from error


class AcksError(ValueError):
    """The file of acknowledgements cannot be read."""


def _told(acks: list[Ack], placed: dict[str, tuple[str, int]]) -> Iterator[Finding]:
    """What clients were told is there, once for each key."""
    by_key: dict[tuple[str, str], str] = {}
    for ack in acks:
        if ack.order_id not in placed:
            yield Finding("acknowledged-lost", ack.order_id, "the order", "nothing")
        elif placed[ack.order_id][1] != ack.total_cents:
            yield Finding(
                "acknowledged-total", ack.order_id, str(ack.total_cents), str(placed[ack.order_id][1])
            )
        if ack.key:
            first = by_key.setdefault((ack.shopper, ack.key), ack.order_id)
            if first != ack.order_id:
                yield Finding("acknowledged-twice", ack.order_id, first, ack.order_id)
