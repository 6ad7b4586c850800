"""Shoppers that buy and remember what they were told: the acknowledgements that `store audit --acks` compares.

A checkout without a whole answer, or with a 503, is sent again with the same key, as the API asks a client to; a
part of those that were answered is sent again too, after the cart was filled again. With an empty cart a store
that has forgotten the order would refuse by chance what it should have known.
"""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.prove.target import Target
from kubestore.prove.wire import Answer, Connection, Dropped

Journal = Callable[[str], None]
RETRY = 0.1


@dataclass(frozen=True)
class Plan:
    """`checkouts` first ones by `shoppers` shoppers, a share `repeated` of them once more with the same key.

    `scarce` SKUs run out, `plenty` do not; a share `hunted` of the checkouts tries a scarce one first. A shopper
    waits `timeout` seconds for an answer and tries for `patience` seconds; all end after `seconds`.
    """

    target: Target
    scarce: tuple[str, ...]
    plenty: tuple[str, ...]
    checkouts: int = 20_000
    shoppers: int = 64
    repeated: float = 0.3
    hunted: float = 0.3
    timeout: float = 8.0
    patience: float = 60.0
    seconds: float = 240.0
    seed: int = 1


@dataclass
class Sales:
    """What the shoppers met; `acks` are JSON lines as `store audit --acks` reads them."""

    placed: int = 0
    repeats: int = 0
    replayed: int = 0
    sold_out: int = 0
    sent_again: Counter[str] = field(default_factory=Counter)
    acks: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Buyer:
    """One shopper with one session and one connection."""

    def __init__(
        self, number: int, plan: Plan, sales: Sales, left: "itertools.count[int]", end: float
    ) -> None:
        self._name = f"shopper-{number}"
        self._plan = plan
        self._sales = sales
        self._left = left
        self._end = end
        self._random = random.Random(plan.seed * 1_000_003 + number)  # noqa: S311 (a load, no secret)
        self._cookie = ""
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Buy until nothing is left to buy. Raises `KubestoreError` for an answer that should not be."""
        try:
            while (number := next(self._left)) < self._plan.checkouts:
                await self._buy(f"key-{self._name}-{number}")
        finally:
            if self._connection is not None:
                self._connection.close()

    async def _buy(self, key: str) -> None:
        """One purchase, and now and then the same once more."""
        told = ""
        if self._random.random() < self._plan.hunted:
            told = await self._checkout(key, self._random.choice(self._plan.scarce))
        if not told:
            told = await self._checkout(key, self._random.choice(self._plan.plenty))
        if not told:
            raise KubestoreError(f"{key}: what there is plenty of is sold out")
        self._sales.placed += 1
        if self._random.random() < self._plan.repeated:
            self._sales.repeats += 1
            if await self._checkout(key, self._random.choice(self._plan.plenty), again=True) != told:
                raise KubestoreError(f"{key}: another order than at first")

    async def _checkout(self, key: str, sku: str, again: bool = False) -> str:
        """Fill the cart and order; the order's id, or nothing when it is sold out (the cart is empty then)."""
        item = {"sku": sku, "quantity": self._random.randint(1, 2)}
        await self._ask("POST", "/api/v1/cart/items", item, {200})
        answer = await self._ask("POST", "/api/v1/checkout", {}, {201, 409}, key)
        if answer.status == 409:
            return await self._sold_out(answer)
        order = json.loads(answer.body)
        ack = {"order_id": order["order_id"], "total_cents": order["total_cents"]}
        self._sales.acks.append(json.dumps(ack | {"shopper": self._name, "key": key}))
        self._sales.replayed += again and answer.says(b"idempotency-replayed") == "true"
        return str(order["order_id"])

    async def _sold_out(self, answer: Answer) -> str:
        problem = json.loads(answer.body)
        if problem["type"] != "/problems/out-of-stock":
            raise KubestoreError(f"a checkout was refused: {problem}")
        self._sales.sold_out += 1
        for line in problem["lines"]:
            await self._ask("DELETE", f"/api/v1/cart/items/{line['sku']}", None, {200})
        return ""

    async def _ask(self, method: str, path: str, body: Any, wanted: set[int], key: str = "") -> Answer:
        """Send until there is an answer that decides."""
        content = b"" if body is None else json.dumps(body).encode()
        patience = min(time.monotonic() + self._plan.patience, self._end)
        while True:
            try:
                answer = await (await self._connected()).ask(
                    self._head(method, path, len(content), key), content, self._plan.timeout
                )
                self._cookie = answer.cookie or self._cookie
                if answer.status in wanted:
                    return answer
                why = f"status {answer.status}"
                if answer.status != 503:
                    raise KubestoreError(
                        f"{method} {path}: {why}: {answer.body[:300].decode(errors='replace')}"
                    )
            except Dropped as error:
                why = str(error).partition(",")[0]
            self._sales.sent_again[why] += 1
            if time.monotonic() > patience:
                raise KubestoreError(f"{method} {path}: no answer that decides; last: {why}")
            await asyncio.sleep(RETRY * self._random.uniform(0.5, 1.5))

    def _head(self, method: str, path: str, length: int, key: str) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._plan.target.netloc}",
            f"Content-Length: {length}",
        ]
        if length:
            lines.append("Content-Type: application/json")
        if self._cookie:
            lines.append(f"Cookie: {self._cookie}")
        if key:
            lines.append(f"Idempotency-Key: {key}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _connected(self) -> Connection:
        if self._connection is None or not self._connection.usable:
            self._connection = await Connection.open(self._plan.target, self._plan.timeout)
        return self._connection


async def sell(plan: Plan, sales: Sales) -> None:
    """Run every shopper to the end; `sales` can be read meanwhile. Raises what a shopper raises."""
    began = time.monotonic()
    left = itertools.count()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.shoppers):
            group.create_task(Buyer(number, plan, sales, left, began + plan.seconds).run())
    sales.seconds = time.monotonic() - began
