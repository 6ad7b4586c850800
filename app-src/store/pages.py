"""Parts of long lists: `limit`, and a cursor that clients need not understand."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from flask import request

from store.errors import invalid

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100


@dataclass(frozen=True)
class Page:
    """How many, and after which entry (as the list that made the cursor knows it)."""

    limit: int
    after: str


def parameters(*allowed: str) -> None:
    """Refuse query parameters that mean nothing here, and any that is there twice."""
    for name, values in request.args.lists():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise invalid(f"there is no parameter {name[:40]!r} here; known: {known}", name[:40])
        if len(values) > 1:
            raise invalid(f"{name} is there twice", name)


def paging(*others: str, number: bool = True) -> Page:
    """`limit` and `cursor` of the request; `number` says that this list's cursors hold a number."""
    parameters("limit", "cursor", *others)
    limit = request.args.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MAX_LIMIT):
        raise invalid(f"limit must be a whole number from 1 to {MAX_LIMIT}", "limit")
    after = _read(request.args.get("cursor", ""))
    if number and after and not (after.isdigit() and len(after) <= 15):
        raise _bad()
    return Page(int(limit), after)


def cursor_of(entry: str) -> str:
    """The cursor for what comes after `entry`; the leading digit is the format's version."""
    return base64.urlsafe_b64encode(b"1" + entry.encode()).decode().rstrip("=")


def _read(cursor: str) -> str:
    if not cursor:
        return ""
    try:
        if not cursor.isascii() or len(cursor) > 64 or "=" in cursor:
            raise _bad()
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        raise _bad() from None
    if len(raw) < 2 or raw[0] != "1" or not raw.isprintable():
        raise _bad()
    return raw[1:]


def _bad() -> Exception:
    return invalid("this cursor was not made by this list", "cursor")
