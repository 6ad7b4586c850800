"""What the shop's own people do: stock and the fate of orders, each act in the ledger."""

import hmac
import secrets
from typing import Annotated, Final

import msgspec
from flask import Blueprint, Response, request

from store import catalog, orders
from store.answers import decode, encode, json_body, json_response
from store.errors import Problem, not_found
from store.pages import cursor_of, paging, parameters
from store.parts import parts
from store.refusals import info

MOST: Final = 10_000_000
Reason = Annotated[
    str, msgspec.Meta(pattern=catalog.exactly(r"[^\x00-\x1f\x7f]{1,200}"), description="Goes into the ledger")
]

blueprint = Blueprint("admin", __name__, url_prefix="/api/v1/admin")


class SetStock(msgspec.Struct, forbid_unknown_fields=True):
    """Pieces counted on the shelf."""

    stock: Annotated[int, msgspec.Meta(ge=0, le=MOST)]
    reason: Reason


class AdjustStock(msgspec.Struct, forbid_unknown_fields=True):
    """Pieces that came in (positive) or went (negative)."""

    delta: Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
    reason: Reason


class StockOut(msgspec.Struct):
    """The stock of one SKU; `retired` when it is no longer sold."""

    sku: str
    stock: int
    name: str
    retired: bool


class StockPage(msgspec.Struct):
    """A part of the list, by SKU."""

    items: list[StockOut]
    next: str | None


@blueprint.before_request
def authorize() -> None:
    """A bearer token that is valid now, compared in constant time; without any, there is no admin."""
    tokens = parts().settings.admin_tokens
    if not tokens:
        raise not_found("there is no such resource")
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    given = sent.strip().encode()
    matches = [hmac.compare_digest(given, token.encode()) for token in tokens]
    if scheme.lower() != "bearer" or not any(matches):
        challenge = {"WWW-Authenticate": 'Bearer realm="store"'}
        raise Problem(401, "unauthorized", "send a valid bearer token", headers=challenge)


@blueprint.get("/stock")
def stock() -> Response:
    """Every SKU that was ever sold, with its stock of this moment."""
    page = paging(number=False)
    raw_items, raw_stock = parts().db.transaction(("HGETALL", catalog.ITEMS), ("HGETALL", catalog.STOCK))
    amounts = dict(zip(raw_stock[::2], raw_stock[1::2], strict=True))
    found = [
        StockOut(sku, int(amounts.get(sku, 0)), item.name, item.retired)
        for sku, item in catalog.items(raw_items).items()
        if sku > page.after
    ]
    shown = found[: page.limit]
    following = cursor_of(shown[-1].sku) if len(found) > len(shown) else None
    return json_response(encode(StockPage(shown, following)))


@blueprint.put("/stock/<sku>")
def set_stock(sku: str) -> Response:
    """Set the stock to what was counted."""
    wanted = decode(json_body(request.environ), SetStock)
    return _change(sku, "set", wanted.stock, wanted.reason)


@blueprint.post("/stock/<sku>/adjust")
def adjust_stock(sku: str) -> Response:
    """Add to the stock or take from it; never below nothing."""
    wanted = decode(json_body(request.environ), AdjustStock)
    return _change(sku, "adjust", wanted.delta, wanted.reason)


def _change(sku: str, mode: str, amount: int, reason: str) -> Response:
    parameters()
    store = parts()
    keys = [f"op:{secrets.token_hex(12)}", catalog.ITEMS, catalog.STOCK, catalog.LEDGER]
    reply = store.db.script("stock_change", keys, [sku, mode, amount, reason, info(request.environ).id])
    if reply[0] == "unknown-sku":
        raise not_found("there is no such product")
    if reply[0] == "out-of-range":
        raise Problem(
            409, "stock-range", f"the stock is {reply[1]} and must stay from 0 to {MOST}", field="/delta"
        )
    item = catalog.item(store.db.call("HGET", catalog.ITEMS, sku))
    return json_response(encode(StockOut(sku, int(reply[1]), item.name, item.retired)))


@blueprint.get("/orders")
def all_orders() -> Response:
    """All orders, newest first."""
    return json_response(encode(orders.listing(parts(), orders.ORDERS, paging(), link=False)))


@blueprint.get("/orders/<number>")
def one_order(number: str) -> Response:
    """Any order."""
    parameters()
    return json_response(encode(orders.present(orders.fetch(parts(), number), link=False)))


@blueprint.post("/orders/<number>/pay")
def pay(number: str) -> Response:
    """The money has come in."""
    return orders.move(parts(), number, "paid", by="admin")


@blueprint.post("/orders/<number>/ship")
def ship(number: str) -> Response:
    """The parcel has gone."""
    return orders.move(parts(), number, "shipped", by="admin")


@blueprint.post("/orders/<number>/cancel")
def cancel(number: str) -> Response:
    """Cancel and put the pieces back."""
    return orders.move(parts(), number, "cancelled", by="admin")
