"""Black Friday: quiet, a spike at once, a plateau, calm again. Run by `kubestore load`.

The customers use the standard library's HTTP client on purpose: locust's own clients quietly send a request
again when a kept connection turns out to be closed, and that is the very failure to be seen. The shape and
the limits come as JSON in KUBESTORE_LOAD; the time line goes to the file that it names. It ends early once the file
`enough` is there.
"""

import http.client
import json
import os
import random
import time
from collections import defaultdict
from typing import Any

from locust import LoadTestShape, User, constant_throughput, events, task

from kubestore.prove import target
from kubestore.prove.load import Shape

SETTINGS: dict[str, Any] = json.loads(os.environ.get("KUBESTORE_LOAD", "{}"))
SHAPE = Shape(**SETTINGS.get("shape", {}))
CART_LINES = 40
CALM, HURRIED = constant_throughput(SHAPE.rate_calm), constant_throughput(SHAPE.rate_each)
STATUS: dict[str, float] = {}
BINS: dict[int, list[float]] = defaultdict(list)
FAILED: dict[int, int] = defaultdict(int)


@events.init.add_listener
def refuse_foreign_addresses(environment: Any, **_: object) -> None:
    """Nothing is ever sent to an address that is not ours."""
    target.here(environment.host or "")


@events.request.add_listener
def count(response_time: float, exception: BaseException | None, **_: object) -> None:
    """Keep each request in the second in which it ended."""
    second = int(time.time())
    BINS[second].append(response_time)
    FAILED[second] += exception is not None


@events.quitting.add_listener
def tell(environment: Any, **_: object) -> None:
    """Write the time line, and make the exit code the verdict's."""
    total = environment.stats.total
    bins = [
        {
            "second": second,
            "requests": len(times),
            "failures": FAILED[second],
            "p95_ms": round(sorted(times)[int(0.95 * len(times))], 2),
        }
        for second, times in sorted(BINS.items())
    ]
    errors = [
        f"{error.occurrences}x {error.method} {error.error}" for error in environment.stats.errors.values()
    ]
    facts = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "p95_ms": total.get_response_time_percentile(0.95) or 0,
        "rate": round(total.total_rps, 1),
        "spike_at": STATUS.get("spike_at", 0),
        "errors": errors[:10],
        "bins": bins,
    }
    if "timeline" in SETTINGS:
        with open(SETTINGS["timeline"], "w") as file:
            json.dump(facts, file)
    environment.process_exit_code = 0 if total.num_requests and not total.num_failures else 1


class BlackFriday(LoadTestShape):
    """The stages of `Shape`."""

    def tick(self) -> tuple[int, float] | None:
        """Users wanted now, and how many of them may start a second; None at the end."""
        if os.path.exists(SETTINGS.get("enough", "")):
            return None
        now = self.get_run_time()
        STATUS["busy"] = SHAPE.quiet_s <= now < SHAPE.quiet_s + SHAPE.plateau_s
        if STATUS["busy"]:
            STATUS.setdefault("spike_at", time.time())
            return SHAPE.peak, 100
        if now < SHAPE.total_s:
            return SHAPE.few, 100
        return None


class Customer(User):
    """Looks at the catalog and at products, and now and then puts one into the cart; keeps its connection."""

    def wait_time(self) -> float:
        """Seconds until the next request."""
        return (HURRIED if STATUS.get("busy") else CALM)(self)

    def on_start(self) -> None:
        """Connect and learn what is sold."""
        self._target = target.parse(self.host or "")
        self._connection: http.client.HTTPConnection | None = None
        self._cookie = ""
        self._added = 0
        self._skus = ["?"]
        body = self._ask("GET", "/api/v1/products", None)
        if body:
            self._skus = [item["sku"] for item in json.loads(body)["items"]]

    @task(4)
    def look(self) -> None:
        """The catalog."""
        self._ask("GET", "/api/v1/products", None)

    @task(3)
    def look_at_one(self) -> None:
        """A product's page, which reads its stock live."""
        self._ask("GET", f"/api/v1/products/{random.choice(self._skus)}", None, "/api/v1/products/{sku}")

    @task(3)
    def add(self) -> None:
        """One piece more in the cart; a new session before the cart is full."""
        self._added += 1
        if self._added % CART_LINES == 0:
            self._cookie = ""
        piece = {"sku": random.choice(self._skus), "quantity": 1}
        self._ask("POST", "/api/v1/cart/items", json.dumps(piece).encode())

    def _ask(self, method: str, path: str, body: bytes | None, name: str = "") -> bytes:
        start = time.perf_counter()
        error: Exception | None = None
        answer = b""
        try:
            status, answer = self._exchange(method, path, body)
            if not 200 <= status < 300:
                error = RuntimeError(f"status {status}")
        except (OSError, http.client.HTTPException) as problem:
            error = RuntimeError(f"no answer: {type(problem).__name__}")
            self._connection = None
        self.environment.events.request.fire(
            request_type=method, name=name or path, response_time=(time.perf_counter() - start) * 1000,
            response_length=len(answer), exception=error, context={},
        )  # fmt: skip
        return b"" if error else answer

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=10)
        headers = {"Cookie": self._cookie} if self._cookie else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        data = response.read()
        given = response.getheader("Set-Cookie")
        if given:
            self._cookie = given.partition(";")[0]
        return response.status, data
