"""The catalog: a file in Git, applied to Redis as a whole, known by the hash of its content."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from store.db import Database
from store.errors import CorruptDataError


def exactly(pattern: str) -> str:
    """The whole text matches. Python's `$` also matches before a final line feed, JSON Schema's does not; the
    look-ahead says the same in both."""
    return f"^(?:{pattern})$(?!\\n)"


Sku = Annotated[str, Meta(pattern=exactly(r"[A-Z0-9][A-Z0-9-]{1,31}"), description="Stock keeping unit")]
Text = Annotated[str, Meta(min_length=1, max_length=120)]

ITEMS = "catalog"
META = "catalog:meta"
STOCK = "stock"
LEDGER = "ledger"


class CatalogError(ValueError):
    """The file cannot be applied; the text says where and why."""


class Product(Struct, forbid_unknown_fields=True):
    """One entry of the file. `stock` is what the store opens with; later stock is never touched."""

    sku: Sku
    name: Text
    description: Annotated[str, Meta(min_length=1, max_length=1000)]
    category: Annotated[str, Meta(pattern=exactly(r"[a-z][a-z0-9-]{1,31}"))]
    price_cents: Annotated[int, Meta(ge=1, le=10_000_000)]
    stock: Annotated[int, Meta(ge=0, le=10_000_000)]
    image: Annotated[str, Meta(pattern=exactly(r"/[A-Za-z0-9._/-]{1,200}"))]


class Catalog(Struct, forbid_unknown_fields=True):
    """The whole file: one currency (ISO 4217) and the products."""

    currency: Annotated[str, Meta(pattern=exactly(r"[A-Z]{3}"))]
    products: Annotated[list[Product], Meta(min_length=1, max_length=1000)]

    @property
    def revision(self) -> str:
        """SHA-256 of the content, blind to order and white space: the same catalog, the same revision."""
        ordered = sorted(self.products, key=lambda product: product.sku)
        canonical = msgspec.json.encode([self.currency, ordered], order="sorted")
        return hashlib.sha256(canonical).hexdigest()


class Item(Struct):
    """A product as Redis holds it: no stock, and a mark when it is no longer sold. Unknown fields of a
    later version are ignored."""

    name: str
    description: str
    category: str
    price_cents: int
    image: str
    retired: bool = False


class Applied(Struct):
    """What applying did; `outcome` is applied, unchanged, present or refused."""

    outcome: str
    revision: str
    added: int = 0
    changed: int = 0
    retired: int = 0
    active: int = 0


_item = msgspec.json.Decoder(Item)


def parse(content: bytes, name: str) -> Catalog:
    """A catalog from the bytes of a file called `name`; raises `CatalogError`."""
    try:
        catalog = msgspec.json.decode(content, type=Catalog)
    except msgspec.MsgspecError as error:
        raise CatalogError(f"{name}: {error}") from error
    seen: set[str] = set()
    for product in catalog.products:
        if product.sku in seen:
            raise CatalogError(f"{name}: {product.sku} is there twice")
        seen.add(product.sku)
    return catalog


def read(path: Path) -> Catalog:
    """The catalog in the file at `path`; raises `CatalogError`."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from error


def apply(db: Database, catalog: Catalog, *, only_if_none: bool = False, force: bool = False) -> Applied:
    """Make `catalog` the one that is sold, in one step.

    Names and prices are updated, new SKUs get their opening stock, missing ones are retired, existing stock
    is never touched. Applying the same revision again changes nothing. With `only_if_none` an existing
    catalog wins. More than half retired at once is refused unless `force`.
    """
    products = []
    for product in catalog.products:
        fields: dict[str, Any] = msgspec.structs.asdict(product)
        sku, stock = fields.pop("sku"), fields.pop("stock")
        products += [sku, stock, msgspec.json.encode(fields | {"retired": False}, order="sorted").decode()]
    reply = db.script(
        "catalog_apply",
        [ITEMS, META, STOCK, LEDGER],
        [catalog.revision, catalog.currency, int(only_if_none), int(force), *products],
    )
    outcome, *counts = reply
    return Applied(str(outcome), catalog.revision, *(int(count) for count in counts))


def item(document: str | None) -> Item:
    """One entry of the catalog as Redis holds it."""
    try:
        return _item.decode(document or "")
    except msgspec.MsgspecError as error:
        raise CorruptDataError(f"catalog: {error}") from error


def items(raw: list[str]) -> dict[str, Item]:
    """The flat reply of `HGETALL catalog` as items by SKU, in the order of the SKUs."""
    try:
        return {sku: _item.decode(doc) for sku, doc in sorted(zip(raw[::2], raw[1::2], strict=True))}
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptDataError(f"catalog: {error}") from error
