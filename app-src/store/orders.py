"""Orders: made from a cart once per key, read by who made them, moved from state to state."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from flask import Blueprint, Response, request

from store import carts, catalog, sessions
from store.answers import JSON, Complete, canonical, decode, encode, json_body, json_response
from store.errors import CorruptDataError, Problem, UnavailableError, not_found
from store.gate import Answer
from store.logs import stamp
from store.pages import Page, cursor_of, paging, parameters
from store.parts import Parts, parts
from store.refusals import info

ORDERS: Final = "orders"
CHECKOUT: Final = "/api/v1/checkout"
Status = Literal["placed", "paid", "shipped", "cancelled"]
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")
_ID: Final = re.compile(r"[0-9a-f]{32}")

blueprint = Blueprint("orders", __name__, url_prefix="/api/v1")


class Checkout(msgspec.Struct, forbid_unknown_fields=True):
    """What the shopper has seen, if it shall be compared; an empty object is enough."""

    expected_total_cents: Annotated[int, msgspec.Meta(ge=0, le=10**12)] | msgspec.UnsetType = msgspec.UNSET
    cart_etag: (
        Annotated[str, msgspec.Meta(pattern=catalog.exactly(r"[A-Za-z0-9.]{1,40}"))] | msgspec.UnsetType
    ) = msgspec.UNSET


class OrderLine(msgspec.Struct):
    """A line with the price it was sold at."""

    sku: str
    name: str
    quantity: int
    price_cents: int
    line_cents: int


class OrderOut(msgspec.Struct, omit_defaults=True):
    """An order; `link` reads it without a session. Times are RFC 3339."""

    order_id: str
    status: Status
    placed_at: str
    currency: str
    lines: list[OrderLine]
    total_cents: int
    link: str = ""
    paid_at: str = ""
    shipped_at: str = ""
    cancelled_at: str = ""
    refund_due: bool = False


class OrderPage(msgspec.Struct):
    """A part of the list, newest first."""

    items: list[OrderOut]
    next: str | None


class _Told(msgspec.Struct):
    order_id: str


_told: Final = msgspec.json.Decoder(_Told)


@dataclass(frozen=True)
class Identity:
    """Everything about an order that follows from the session and the Idempotency-Key."""

    sid: str
    key_hash: str

    @property
    def order_id(self) -> str:
        """128 bits that only the owner of the session can make."""
        return order_id(self.sid, self.key_hash)


def identify(sid: str, key: str) -> Identity:
    """The order that `key` names within a session."""
    return Identity(sid, hashlib.sha256(key.encode()).hexdigest()[:32])


def order_id(sid: str, key_hash: str) -> str:
    """The id of the order of a session and a key, see `docs/adr/0021-the-order-is-the-record.md`."""
    return hashlib.sha256(f"order\0{sid}\0{key_hash}".encode()).hexdigest()[:32]


def link_key(sid: str, number: str) -> str:
    """The secret part of an order's own link."""
    digest = hashlib.sha256(f"link\0{sid}\0{number}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:22]


def order_key(number: str) -> str:
    """The hash that is the order, and the record of its key."""
    return f"order:{number}"


def fingerprint(content: bytes) -> str:
    """SHA-256 of the key-sorted JSON as it was sent: blind to layout, and to defaults of any version."""
    return hashlib.sha256(canonical(content)).hexdigest()


@blueprint.post("/checkout")
def checkout() -> Response:
    """Order what is in the cart. The same key and body get the first answer again, whatever has changed."""
    status, headers, body = place(parts(), request.environ)
    return Complete(body, status, headers)


def place(store: Parts, environ: dict[str, Any], _last: str = "") -> Answer:
    """A checkout without anything of Flask, see `store.direct`. Raises `Problem`."""
    key = environ.get("HTTP_IDEMPOTENCY_KEY", "")
    if not _KEY.fullmatch(key):
        raise Problem(400, "idempotency-key", "send an Idempotency-Key of 1 to 128 visible ASCII characters")
    content = json_body(environ)
    token = sessions.sent(environ)
    print_ = fingerprint(content)
    if token is None:
        decode(content, Checkout)
        raise Problem(409, "cart-empty", "there is nothing in the cart")
    who = identify(token.sid, key)
    try:
        wanted = decode(content, Checkout)
    except Problem:
        known = _known(store, who, print_)
        if known is None:
            raise
        return known
    try:
        reply = store.db.script("checkout", *_call(store, who, print_, wanted, info(environ).id))
    except UnavailableError:
        store.metrics.orders.labels("unavailable").inc()
        raise
    return _outcome(store, reply)


def _call(
    store: Parts, who: Identity, print_: str, wanted: Checkout, request_id: str
) -> tuple[list[str], list[str | int]]:
    number = who.order_id
    keys = [order_key(number), carts.cart_key(who.sid), catalog.ITEMS, catalog.META, catalog.STOCK]
    keys += [catalog.LEDGER, ORDERS, sessions.orders_key(who.sid)]
    total = "" if wanted.expected_total_cents is msgspec.UNSET else str(wanted.expected_total_cents)
    etag = "" if wanted.cart_etag is msgspec.UNSET else wanted.cart_etag
    link = f"/api/v1/orders/{number}?key={link_key(who.sid, number)}"
    ttl = store.settings.session_ttl_s * 1000
    args: list[str | int] = [
        number,
        who.sid,
        who.key_hash,
        print_,
        stamp(time.time()),
        total,
        etag,
        link,
        ttl,
        request_id,
    ]
    return keys, args


def _known(store: Parts, who: Identity, print_: str) -> Answer | None:
    """What another version answered to a body that it accepted, though this one would refuse it."""
    known, answer = store.db.call("HMGET", order_key(who.order_id), "fp", "answer")
    return _replayed(store, answer) if known == print_ else None


def _replayed(store: Parts, answer: str) -> Answer:
    store.metrics.replays.inc()
    store.metrics.orders.labels("replayed").inc()
    return _created(answer, ("Idempotency-Replayed", "true"))


def _created(answer: str, *more: tuple[str, str]) -> Answer:
    body = answer.encode()
    number = _told.decode(body).order_id
    headers = [("Content-Type", JSON), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    return "201 CREATED", [*headers, ("Location", f"/api/v1/orders/{number}"), *more], body


def _outcome(store: Parts, reply: list[Any]) -> Answer:
    outcome = str(reply[0])
    if outcome == "replayed":
        return _replayed(store, reply[1])
    store.metrics.orders.labels(outcome).inc()
    if outcome == "placed":
        return _created(reply[1])
    if outcome == "short":
        store.metrics.stock_outs.inc(len(reply) // 3)
        raise _short(reply[1:])
    refusals = {
        "key-reused": (422, "idempotency-key-reused", "this Idempotency-Key was used with another body"),
        "empty": (409, "cart-empty", "there is nothing in the cart"),
        "cart-changed": (409, "cart-changed", "the cart is not the one that was seen"),
        "price-changed": (409, "price-changed", "the total is not the one that was expected"),
    }
    extra = {"cart-changed": "cart_etag", "price-changed": "total_cents"}
    status, kind, detail = refusals[outcome]
    known: dict[str, Any] = {}
    if outcome in extra:
        known[extra[outcome]] = reply[1] if outcome == "cart-changed" else int(reply[1])
    raise Problem(status, kind, detail, **known)


def _short(lines: list[Any]) -> Problem:
    named = [
        {"sku": sku, "quantity": int(wanted), "available": max(0, int(left))}
        for sku, wanted, left in zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    ]
    return Problem(409, "out-of-stock", "there is not enough of some lines; the cart is kept", lines=named)


@blueprint.get("/orders")
def mine() -> Response:
    """The orders of this session, newest first."""
    page = paging()
    token = sessions.sent(request.environ)
    if token is None:
        return json_response(encode(OrderPage([], None)))
    return json_response(encode(listing(parts(), sessions.orders_key(token.sid), page)))


@blueprint.get("/orders/<number>")
def one(number: str) -> Response:
    """An order, for its session or with the key of its link; for anybody else it does not exist."""
    return json_response(encode(present(_mine(number))))


@blueprint.post("/orders/<number>/cancel")
def cancel(number: str) -> Response:
    """Cancel an order that has not been shipped; a paid one is marked for refund."""
    _mine(number)
    return move(parts(), number, "cancelled", by="shopper")


def _mine(number: str) -> dict[str, str]:
    parameters("key")
    fields = fetch(parts(), number)
    token, owner = sessions.sent(request.environ), fields.get("sid", "")
    by_session = token is not None and hmac.compare_digest(token.sid, owner)
    key = request.args.get("key", "")
    by_link = hmac.compare_digest(key.encode(), link_key(owner, number).encode())
    if not by_session and not by_link:
        raise not_found("there is no such order")
    return fields


def fetch(store: Parts, number: str) -> dict[str, str]:
    """An order's fields; raises a 404 `Problem`."""
    raw = store.db.call("HGETALL", order_key(number)) if _ID.fullmatch(number) else None
    if not raw:
        raise not_found("there is no such order")
    return dict(zip(raw[::2], raw[1::2], strict=True))


def present(fields: dict[str, str], *, link: bool = True) -> OrderOut:
    """The order as it is now, from the answer that was given first and what happened since."""
    try:
        order = msgspec.json.decode(fields["answer"].encode(), type=OrderOut)
        order.status = msgspec.convert(fields["status"], Status)
    except (msgspec.MsgspecError, KeyError) as error:
        raise CorruptDataError(f"order: {error}") from error
    order.paid_at = fields.get("paid_at", "")
    order.shipped_at = fields.get("shipped_at", "")
    order.cancelled_at = fields.get("cancelled_at", "")
    order.refund_due = fields.get("refund_due") == "1"
    if not link:
        order.link = ""
    return order


def listing(store: Parts, index: str, page: Page, *, link: bool = True) -> OrderPage:
    """One part of an index of orders (a sorted set of ids by their number in the ledger)."""
    newest = f"({page.after}" if page.after else "+inf"
    found = store.db.call("ZREVRANGEBYSCORE", index, newest, "-inf", "WITHSCORES", "LIMIT", 0, page.limit + 1)
    numbers, scores = found[::2], found[1::2]
    shown = numbers[: page.limit]
    orders = []
    if shown:
        for raw in store.db.transaction(*(("HGETALL", order_key(number)) for number in shown)):
            if raw:
                orders.append(present(dict(zip(raw[::2], raw[1::2], strict=True)), link=link))
    following = cursor_of(scores[len(shown) - 1]) if len(numbers) > len(shown) else None
    return OrderPage(orders, following)


def move(store: Parts, number: str, status: Status, *, by: str) -> Response:
    """Bring an order into `status`; asking twice changes nothing the second time."""
    if not _ID.fullmatch(number):
        raise not_found("there is no such order")
    reply = store.db.script(
        "order_move",
        [order_key(number), catalog.STOCK, catalog.LEDGER],
        [number, status, secrets.token_hex(12), stamp(time.time()), info(request.environ).id, by],
    )
    outcome = reply[0]
    if outcome == "missing":
        raise not_found("there is no such order")
    order = present(dict(zip(reply[1::2], reply[2::2], strict=True)), link=by == "shopper")
    if outcome == "refused":
        raise Problem(409, "order-state", f"an order that is {order.status} cannot become {status}")
    if outcome == "ok":
        store.metrics.orders.labels(status).inc()
    return json_response(encode(order))
