"""The catalog and its stock in memory, so that reading the store needs no Redis.

One background loop asks more than twice a second; a listing therefore shows stock that is at most a second old, or says
so with `X-Store-Degraded`.
"""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from store import catalog
from store.db import Database, deadline
from store.errors import CorruptDataError, UnavailableError
from store.settings import Settings

INTERVAL_S: Final = 0.4
STALE_S: Final = 1.0
CALL_S: Final = 2.0

log = logging.getLogger("store.snapshot")


ListPage = tuple[bytes, str]
"""A listing as JSON, and its ETag."""


@dataclass(frozen=True)
class View:
    """One state of the catalog; never changed, only replaced."""

    revision: str
    currency: str
    items: dict[str, catalog.Item]
    stock: dict[str, int]
    stock_revision: str
    pages: dict[str, ListPage] = field(default_factory=dict)
    """Listings that have been made of this state, by their query string."""


class Snapshot:
    """Holds the latest `View` and refreshes it."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._view: View | None = None
        self._fresh = 0.0
        self._stop = threading.Event()
        self._last_error = ""

    @property
    def loaded(self) -> bool:
        """True from the first successful refresh on, for good."""
        return self._view is not None

    @property
    def view(self) -> View:
        """The latest state; raises `UnavailableError` before the first."""
        if self._view is None:
            raise UnavailableError("the catalog has not been loaded yet")
        return self._view

    @property
    def age_s(self) -> float:
        """Seconds since Redis last confirmed the view."""
        return time.monotonic() - self._fresh if self._fresh else float("inf")

    @property
    def degraded(self) -> bool:
        """Whether the view may be older than a listing promises."""
        return self.age_s > STALE_S

    def start(self) -> None:
        """Begin to refresh in the background (a greenlet under gevent)."""
        threading.Thread(target=self._run, name="snapshot", daemon=True).start()

    def stop(self) -> None:
        """End the background loop."""
        self._stop.set()

    def refresh(self) -> View:
        """Ask Redis once, applying the mounted file when there is no catalog at all."""
        asked = time.monotonic()
        known = self._view.revision if self._view else ""
        revision, currency, stock = self._read_stock()
        if not revision and self._settings.catalog_file:
            self._seed()
            revision, currency, stock = self._read_stock()
        if not revision:
            raise UnavailableError("there is no catalog yet: run `store catalog apply FILE`")
        items = self._view.items if self._view and revision == known else None
        if items is None:
            revision, currency, stock, items = self._read_all()
        self._replace(View(revision, currency, items, stock, _stock_revision(stock)), asked)
        return self.view

    def _replace(self, view: View, asked: float) -> None:
        """Take `view`, unless an answer to a later question came first."""
        if asked < self._fresh:
            return
        old = self._view
        same = old and (old.revision, old.stock_revision) == (view.revision, view.stock_revision)
        if not same:
            self._view = view
        self._fresh = asked

    def _read_stock(self) -> tuple[str, str, dict[str, int]]:
        meta, stock = self._db.transaction(
            ("HMGET", catalog.META, "revision", "currency"), ("HGETALL", catalog.STOCK)
        )
        return meta[0] or "", meta[1] or "", _stock(stock)

    def _read_all(self) -> tuple[str, str, dict[str, int], dict[str, catalog.Item]]:
        meta, stock, items = self._db.transaction(
            ("HMGET", catalog.META, "revision", "currency"),
            ("HGETALL", catalog.STOCK),
            ("HGETALL", catalog.ITEMS),
        )
        return meta[0] or "", meta[1] or "", _stock(stock), catalog.items(items)

    def _seed(self) -> None:
        path = self._settings.catalog_file
        assert path is not None
        try:
            done = catalog.apply(self._db, catalog.read(path), only_if_none=True)
        except catalog.CatalogError as error:
            raise UnavailableError(f"there is no catalog, and the mounted one is wrong: {error}") from error
        log.info("no catalog found: %s of %s, revision %s", done.outcome, path, done.revision[:12])

    def _run(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                with deadline(started + CALL_S):
                    self.refresh()
                self._tell("")
            except (UnavailableError, CorruptDataError) as error:
                self._tell(str(error))
            except Exception:
                log.exception("the snapshot could not be refreshed")
            pause = INTERVAL_S if self.loaded else 0.1
            self._stop.wait(max(0.0, pause - (time.monotonic() - started)))

    def _tell(self, error: str) -> None:
        """Log a change of mind only, not every attempt."""
        if bool(error) != bool(self._last_error):
            if error:
                log.warning("the catalog cannot be refreshed: %s", error)
            else:
                log.info("the catalog is fresh again")
        self._last_error = error


def _stock(raw: list[str]) -> dict[str, int]:
    try:
        return {sku: int(amount) for sku, amount in zip(raw[::2], raw[1::2], strict=True)}
    except ValueError as error:
        raise CorruptDataError(f"stock: {error}") from error


def _stock_revision(stock: dict[str, int]) -> str:
    text = ",".join(f"{sku}={amount}" for sku, amount in sorted(stock.items()))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
