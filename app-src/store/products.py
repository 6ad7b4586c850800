"""What is for sale: listings from memory, one product with live stock."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request

from store.answers import JSON, Complete, encode
from store.catalog import STOCK, Item
from store.db import deadline
from store.errors import CorruptDataError, UnavailableError, invalid, not_found
from store.gate import Answer, RequestInfo, Shortcut
from store.pages import cursor_of, paging
from store.parts import Parts, parts
from store.refusals import info
from store.snapshot import ListPage, Snapshot, View

KEPT_PAGES: Final = 128
LIVE_S: Final = 0.3

PATH: Final = "/api/v1/products"

blueprint = Blueprint("products", __name__, url_prefix=PATH)


class ProductOut(msgspec.Struct):
    """A product as clients see it; `stock` is a number of pieces."""

    sku: str
    name: str
    description: str
    category: str
    price_cents: int
    currency: str
    stock: int
    image: str


class ProductPage(msgspec.Struct):
    """A part of the list; `next` is the cursor of the part after it."""

    items: list[ProductOut]
    next: str | None


@dataclass(frozen=True)
class Query:
    """A checked listing query; `after` is the last SKU of the part before."""

    category: str
    text: str
    limit: int
    after: str


@blueprint.get("")
def listing() -> Response:
    """Products by SKU, filtered; unchanged for the same query, catalog, stock and version."""
    store = parts()
    view = store.snapshot.view
    page = make_page(view, store.settings.version)
    if len(view.pages) < KEPT_PAGES:
        view.pages[request.environ["QUERY_STRING"]] = page
    status, headers, body = answer(page, request.environ, store.snapshot, info(request.environ))
    return Response(body, status, headers)


def shelf(snapshot: Snapshot) -> Shortcut:
    """Answers a listing that has been made from the same state before, without going through Flask."""

    def take(environ: dict[str, Any], about: RequestInfo) -> Answer | None:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "GET" or not snapshot.loaded:
            return None
        page = snapshot.view.pages.get(environ["QUERY_STRING"])
        if page is None:
            return None
        about.route = PATH
        return answer(page, environ, snapshot, about)

    return take


def answer(page: ListPage, environ: dict[str, Any], snapshot: Snapshot, about: RequestInfo) -> Answer:
    """A listing with its validator; 304 without a body when the client has it already."""
    body, etag = page
    headers = [("ETag", etag), ("Cache-Control", "no-cache")]
    if snapshot.degraded:
        headers.append(degraded(snapshot, about))
    if environ.get("HTTP_IF_NONE_MATCH") == etag:
        return "304 NOT MODIFIED", headers, b""
    headers += [("Content-Type", JSON), ("Content-Length", str(len(body)))]
    return "200 OK", headers, body


def make_page(view: View, version: str) -> ListPage:
    """The listing that the current request asks for, encoded, and its ETag."""
    query = _query()
    found = [sku for sku, item in view.items.items() if sku > query.after and _matches(item, query)]
    shown = found[: query.limit]
    following = cursor_of(shown[-1]) if len(found) > len(shown) else None
    body = encode(ProductPage([product(view, sku) for sku in shown], following))
    tag = hashlib.blake2b(digest_size=12)
    for part in (version, view.revision, view.stock_revision, repr(query)):
        tag.update(part.encode() + b"\0")
    return body, f'"{tag.hexdigest()}"'


def product(view: View, sku: str, stock: int | None = None) -> ProductOut:
    """The product `sku` of `view`, with the stock given or the one in memory."""
    item = view.items[sku]
    return ProductOut(
        sku,
        item.name,
        item.description,
        item.category,
        item.price_cents,
        view.currency,
        view.stock.get(sku, 0) if stock is None else stock,
        item.image,
    )


def _matches(item: Item, query: Query) -> bool:
    if item.retired or (query.category and item.category != query.category):
        return False
    text = f"{item.name} {item.description}".lower()
    return all(word in text for word in query.text.split())


def _query() -> Query:
    page = paging("category", "q", number=False)
    text, category = request.args.get("q", ""), request.args.get("category", "")
    if len(text) > 100 or not text.isprintable():
        raise invalid("q must have at most 100 printable characters", "q")
    if len(category) > 32 or not category.isprintable():
        raise invalid("category must have at most 32 printable characters", "category")
    return Query(category, text.lower(), page.limit, page.after)


@blueprint.get("/<sku>")
def one(sku: str) -> Response:
    """One product with the stock of this moment, or of the last snapshot when Redis is away."""
    status, headers, body = live(parts(), request.environ, sku)
    return Complete(body, status, headers)


def live(store: Parts, environ: dict[str, Any], sku: str) -> Answer:
    """The same without anything of Flask, see `store.direct`. Raises a 404 `Problem`."""
    view = store.snapshot.view
    item = view.items.get(sku)
    if item is None or item.retired:
        raise not_found("there is no such product")
    stock = _live_stock(store, sku)
    body = encode(product(view, sku, stock))
    headers = [("Content-Type", JSON), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    if stock is None:
        headers.append(degraded(store.snapshot, info(environ)))
    return "200 OK", headers, body


def _live_stock(store: Parts, sku: str) -> int | None:
    """The stock of this moment; None when Redis is known to be away or does not answer quickly."""
    if store.snapshot.degraded:
        return None
    try:
        with deadline(time.monotonic() + LIVE_S):
            return int(store.db.call("HGET", STOCK, sku) or 0)
    except UnavailableError:
        return None
    except ValueError as error:
        raise CorruptDataError(f"stock of {sku}: {error}") from error


def degraded(snapshot: Snapshot, about: RequestInfo) -> tuple[str, str]:
    """The header that says that what is shown may be older than promised, and by how much."""
    about.degraded = "stock"
    return "X-Store-Degraded", f"stock-age={snapshot.age_s:.1f}"
