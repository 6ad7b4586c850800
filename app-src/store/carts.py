"""A session's cart: lines of SKU and quantity, priced by the store at every reading."""

import re
import secrets
import time
from typing import Annotated, Any, Final

import msgspec
from flask import Blueprint, Response, request

from store import catalog, sessions
from store.answers import decode, encode, json_body, json_response
from store.errors import Problem, UnavailableError, invalid, not_found, unavailable
from store.parts import Parts, parts
from store.snapshot import View

NO_CART: Final = "0"
_SKU: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{1,31}")
_ETAG: Final = re.compile(r'(?:W/)?"([A-Za-z0-9.]{1,40})"')

blueprint = Blueprint("carts", __name__, url_prefix="/api/v1/cart")

Quantity = Annotated[int, msgspec.Meta(ge=1, le=99)]


class AddItem(msgspec.Struct, forbid_unknown_fields=True):
    """A line to add; the quantity is added to what the cart holds already."""

    sku: catalog.Sku
    quantity: Quantity = 1


class SetItem(msgspec.Struct, forbid_unknown_fields=True):
    """The quantity that a line shall have."""

    quantity: Quantity


class LineOut(msgspec.Struct):
    """A line with the price of now; `available` says whether a checkout would get this many."""

    sku: str
    name: str
    quantity: int
    price_cents: int
    line_cents: int
    available: bool


class CartOut(msgspec.Struct):
    """A cart; `etag` is the value of its ETag header without quotes."""

    items: list[LineOut]
    total_cents: int
    currency: str
    etag: str


@blueprint.get("")
def show() -> Response:
    """The cart; an empty one for who has no session, without making one."""
    token = sessions.sent(request.environ)
    if token is None:
        return _answer({}, NO_CART, parts().snapshot.view)
    lines, revision, view = read(parts(), token.sid)
    return _answer(lines, revision, view)


@blueprint.post("/items")
def add() -> Response:
    """Add a quantity of a product."""
    item = decode(json_body(request.environ), AddItem)
    return _change("add", item.sku, item.quantity, "")


@blueprint.put("/items/<sku>")
def set_quantity(sku: str) -> Response:
    """Set a line's quantity; needs the ETag that the client has seen, or `*`, so that no change is lost."""
    item = decode(json_body(request.environ), SetItem)
    expected = if_match()
    if not expected:
        raise Problem(428, "precondition-required", "send If-Match with the cart's ETag, or with *")
    return _change("set", sku, item.quantity, expected)


@blueprint.delete("/items/<sku>")
def remove(sku: str) -> Response:
    """Remove a line; a line that is not there stays away."""
    if sessions.sent(request.environ) is None:
        raise not_found("there is no cart")
    return _change("remove", sku, 0, if_match())


def if_match() -> str:
    """The revision in If-Match, `*`, or nothing; raises a `Problem` when it is neither."""
    sent: str = request.environ.get("HTTP_IF_MATCH", "").strip()
    if sent in ("", "*"):
        return sent
    found = _ETAG.fullmatch(sent)
    if not found:
        raise Problem(412, "cart-changed", "If-Match is not an ETag of this cart")
    return found[1]


def read(store: Parts, sid: str) -> tuple[dict[str, int], str, View]:
    """Lines, revision, and the catalog that is valid at that moment."""
    reply = store.db.script(
        "cart_read",
        [sessions.session_key(sid), cart_key(sid), sessions.SESSIONS, catalog.META, sessions.orders_key(sid)],
        [int(time.time() * 1000), store.settings.session_ttl_s * 1000, sid],
    )
    view = _view(store, reply[1])
    fields = dict(zip(reply[2::2], reply[3::2], strict=True))
    revision = fields.pop("#rev", NO_CART)
    return {sku: int(count) for sku, count in fields.items() if sku[:1] != "#"}, revision, view


def _view(store: Parts, revision: str) -> View:
    """The catalog as it was applied when a script ran, so that no cart shows yesterday's prices."""
    view = store.snapshot.view
    if view.revision == revision:
        return view
    try:
        return store.snapshot.refresh()
    except UnavailableError:
        return view


def cart_key(sid: str) -> str:
    """The hash of SKU and quantity; fields that begin with # are about the cart."""
    return f"cart:{sid}"


def _change(mode: str, sku: str, quantity: int, expected: str) -> Response:
    if not _SKU.fullmatch(sku):
        raise not_found("there is no such product")
    store = parts()
    claimed, made = sessions.sent(request.environ), sessions.new()
    sid = claimed.sid if claimed else made.sid
    operation = secrets.token_hex(12)
    settings = store.settings
    keys = [f"op:{operation}", sessions.SESSIONS, catalog.ITEMS, catalog.META]
    for owner in (sid, made.sid):
        keys += [sessions.session_key(owner), cart_key(owner), sessions.orders_key(owner)]
    limits = (settings.session_ttl_s * 1000, settings.session_trial_s * 1000, settings.sessions_max)
    change = (sid, made.sid, operation, mode, sku, quantity, expected)
    reply = store.db.script("cart_change", keys, [int(time.time() * 1000), *limits, *change])
    if reply[0] != "ok":
        raise _refusal(reply[0])
    lines = {str(name): int(count) for name, count in zip(reply[5::2], reply[6::2], strict=True)}
    response = _answer(lines, reply[3], _view(store, reply[4]))
    if int(reply[2]):
        sessions.set_cookie(response, made, settings)
    return response


def _refusal(outcome: str) -> Problem:
    refusals: dict[str, Problem] = {
        "changed": Problem(412, "cart-changed", "the cart has changed since; read it again"),
        "no-cart": not_found("there is no cart"),
        "unknown-sku": invalid("there is no such product", "/sku"),
        "quantity": Problem(409, "cart-limit", "a line holds at most 99 pieces", field="/quantity"),
        "lines": Problem(409, "cart-limit", "a cart holds at most 50 lines", field="/sku"),
        "sessions": unavailable("too many shoppers at the moment", "too-many-sessions", after=30),
    }
    return refusals[outcome]


def _answer(lines: dict[str, int], revision: str, view: View) -> Response:
    return json_response(encode(priced(lines, revision, view)), ETag=f'"{revision}"')


def priced(lines: dict[str, int], revision: str, view: View) -> CartOut:
    """The cart with the prices of `view`, lines in the order of the SKUs."""
    out: list[LineOut] = []
    for sku, quantity in sorted(lines.items()):
        item: Any = view.items.get(sku)
        if item is None:
            continue
        available = not item.retired and view.stock.get(sku, 0) >= quantity
        price = item.price_cents
        out.append(LineOut(sku, item.name, quantity, price, price * quantity, available))
    return CartOut(out, sum(line.line_cents for line in out), view.currency, revision)
