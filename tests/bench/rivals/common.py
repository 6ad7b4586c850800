"""What the rivals share: names of keys, the script, and how an answer is made of its reply."""

import hashlib
import os
from pathlib import Path
from typing import Any

SOCKET = os.environ["BENCH_REDIS"]
SCRIPT = Path(os.environ["BENCH_LUA"]).read_text()
LIMIT = 20


def page(raw: dict[str, str], stock: dict[str, str]) -> dict[str, Any]:
    """A listing from the two hashes, as the store's has it."""
    import json

    items = []
    for sku in sorted(raw)[:LIMIT]:
        item = json.loads(raw[sku])
        item.pop("retired", None)
        items.append({"sku": sku, **item, "currency": "EUR", "stock": int(stock.get(sku, 0))})
    return {"items": items, "next": None}


def checkout(token: str, key: str, body: bytes, now: str) -> tuple[list[str], list[str]]:
    """Keys and arguments of the checkout script for a session's token."""
    number = hashlib.sha256(f"{token}{key}".encode()).hexdigest()[:32]
    keys = [f"order:{number}", f"cart:{token}", "catalog", "catalog:meta", "stock", "ledger", "orders"]
    digest = hashlib.sha256(body).hexdigest()
    args = [number, token, key, digest, now, "", "", f"/orders/{number}", "604800000", "r"]
    return [*keys, f"session-orders:{token}"], args
