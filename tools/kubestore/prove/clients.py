"""Three kinds of customers at once, none of which ever sends a request twice.

`busy` keeps a connection and asks all the time, `idle` keeps one and rests 0 to 6 s between requests,
`fresh` makes a new connection for each request. About 30 % of the requests are POSTs to the cart; part of
those are sent slowly (the body 0.2 s after the head), so that at any moment some are in flight.
"""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubestore.prove.target import Target
from kubestore.prove.wire import Answer, Connection, Dropped

KINDS = ("busy", "idle", "fresh")
IDLE_MAX = 6.0
SLOW_BODY = 0.2
CART_LINES = 40  # a cart holds 50 lines of 99: a shopper starts a new session well before


@dataclass(frozen=True)
class Plan:
    """What is sent: `rate` requests/s in all, at most `requests` of them within `seconds` seconds."""

    target: Target
    rate: float = 300.0
    busy: int = 6
    idle: int = 30
    fresh: int = 12
    seconds: float = 60.0
    requests: int = 100_000
    posts: float = 0.3
    timeout: float = 10.0
    seed: int = 0

    @property
    def paces(self) -> dict[str, float]:
        """Requests a second of one client of each kind: idle ones set their own, a quarter is fresh."""
        rest = max(self.rate - self.idle * 2 / IDLE_MAX, 1.0)
        fresh = rest / 4 if self.fresh else 0.0
        return {
            "busy": (rest - fresh) / max(self.busy, 1),
            "fresh": fresh / max(self.fresh, 1),
        }


@dataclass(frozen=True, slots=True)
class Record:
    """One request: `start` in seconds since the epoch, `latency` in seconds, `status` 0 without an answer."""

    kind: str
    method: str
    start: float
    latency: float
    status: int
    version: str
    error: str

    @property
    def failed(self) -> bool:
        """Whether the customer did not get what was asked for."""
        return not 200 <= self.status < 300


Sink = Callable[[Record], None]


class Budget:
    """The bounds of a run, shared by its clients: requests, time, and a stop that may come early."""

    def __init__(self, requests: int, seconds: float) -> None:
        self.left = requests
        self.deadline = time.monotonic() + seconds
        self.stopped = asyncio.Event()

    def take(self) -> bool:
        """Take one request; False when the run is over."""
        if self.left <= 0 or self.stopped.is_set() or time.monotonic() >= self.deadline:
            return False
        self.left -= 1
        return True

    async def rest(self, seconds: float) -> None:
        """Sleep, but not past the end of the run."""
        seconds = min(seconds, self.deadline - time.monotonic())
        if seconds <= 0:
            return
        if seconds < 0.5:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)


class Shopper:
    """One customer: a session, a taste for POSTs, and the requests as bytes."""

    def __init__(self, plan: Plan, skus: list[str], number: int) -> None:
        self._plan = plan
        self._skus = skus
        self._random = random.Random(plan.seed * 1_000_003 + number)  # noqa: S311 (a load, no secret)
        self._cookie = ""
        self._added = 0

    def pause(self) -> float:
        """How long an idle customer rests, in seconds."""
        return self._random.uniform(0, IDLE_MAX)

    def jitter(self, interval: float) -> float:
        """`interval`, 20 % more or less."""
        return interval * self._random.uniform(0.8, 1.2)

    def next(self) -> tuple[str, bytes, bytes]:
        """The next request: method, head, body."""
        if self._random.random() < self._plan.posts:
            body = json.dumps({"sku": self._random.choice(self._skus), "quantity": 1}).encode()
            return "POST", self._head("POST", "/api/v1/cart/items", len(body)), body
        path = "/api/v1/cart" if self._cookie and self._random.random() < 0.2 else "/api/v1/products"
        return "GET", self._head("GET", path, 0), b""

    def _head(self, method: str, path: str, length: int) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._plan.target.netloc}", "Accept: application/json"]
        if length:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        if self._cookie:
            lines.append(f"Cookie: {self._cookie}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def learn(self, method: str, answer: Answer) -> None:
        """Keep the session that the store gave; leave it before its cart is full."""
        self._cookie = answer.cookie or self._cookie
        if method == "POST":
            self._added += 1
            if self._added >= CART_LINES:
                self._cookie, self._added = "", 0


class Client:
    """One client of one kind, from its first request to the end of the budget."""

    def __init__(self, kind: str, plan: Plan, shopper: Shopper, budget: Budget, sink: Sink) -> None:
        self.kind = kind
        self.quiet_closes = 0  # connections that the server closed between two requests, seen in time
        self._plan = plan
        self._shopper = shopper
        self._budget = budget
        self._sink = sink
        self._connection: Connection | None = None

    async def run(self, offset: float) -> None:
        """Start after `offset` seconds and go on until the budget is spent."""
        await self._budget.rest(offset)
        pace = self._plan.paces.get(self.kind, 0.0)
        due = time.monotonic()
        while self._budget.take():
            await self._once()
            if self.kind == "idle":
                await self._budget.rest(self._shopper.pause())
                continue
            due = max(due + self._shopper.jitter(1 / pace), time.monotonic() - 1)
            await self._budget.rest(due - time.monotonic())
        if self._connection is not None:
            self._connection.close()

    async def _once(self) -> None:
        method, head, body = self._shopper.next()
        slow = SLOW_BODY if body and self.kind != "busy" else 0.0
        start = time.time()
        clock = time.perf_counter()
        try:
            connection = await self._connected()
            answer = await connection.ask(head, body, self._plan.timeout, slow)
        except Dropped as error:
            self._connection = None
            self._told(method, start, time.perf_counter() - clock, 0, "", str(error))
            return
        latency = max(time.perf_counter() - clock - slow, 0.0)
        if self.kind == "fresh":
            connection.close()
        why = "" if 200 <= answer.status < 300 else answer.body[:160].decode("utf-8", "replace")
        self._told(method, start, latency, answer.status, answer.version, why)
        self._shopper.learn(method, answer)

    async def _connected(self) -> Connection:
        old = self._connection
        if old is not None and old.usable:
            return old
        if old is not None and old.lost != "closed by us":
            self.quiet_closes += 1
        connection = await Connection.open(self._plan.target, self._plan.timeout)
        self._connection = connection
        return connection

    def _told(self, method: str, start: float, latency: float, status: int, version: str, error: str) -> None:
        self._sink(Record(self.kind, method, start, latency, status, version, error))


async def skus(target: Target, timeout: float) -> list[str]:
    """The SKUs that the store sells, asked once on a connection of its own. Raises `Dropped`."""
    connection = await Connection.open(target, timeout)
    head = f"GET /api/v1/products HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode()
    answer = await connection.ask(head, b"", timeout)
    connection.close()
    if answer.status != 200:
        raise Dropped(f"GET /api/v1/products: status {answer.status}")
    try:
        return [str(item["sku"]) for item in json.loads(answer.body)["items"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Dropped(f"GET /api/v1/products: not a list of products ({error})") from error


async def crowd(plan: Plan, budget: Budget, sink: Sink) -> int:
    """Run all clients to the end of the budget; returns how many connections were closed quietly."""
    known = await skus(plan.target, plan.timeout)
    kinds = ["busy"] * plan.busy + ["idle"] * plan.idle + ["fresh"] * plan.fresh
    numbers = itertools.count(1)
    clients = [Client(kind, plan, Shopper(plan, known, next(numbers)), budget, sink) for kind in kinds]
    await asyncio.gather(*(client.run(i / len(clients)) for i, client in enumerate(clients)))
    return sum(client.quiet_closes for client in clients)
