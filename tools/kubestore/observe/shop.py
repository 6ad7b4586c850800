"""A few customers who buy, so that orders, carts and Redis have something to show. Bounded in rate and time."""

import http.client
import itertools
import json
import threading
import time
import uuid

from kubestore.prove import target

RATE = 8.0  # rounds a second at most, each of five or six requests


class Shop:
    """A thread that goes round: look, fill a cart, check out, sometimes check out again with the same key."""

    def __init__(self, url: str, seconds: float) -> None:
        self._target = target.here(url)
        self._until = time.monotonic() + seconds
        self._stop = threading.Event()
        self.answers: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the round that is under way, and no other."""
        self._stop.set()
        self._thread.join(15)

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.wait(1 / RATE) or time.monotonic() > self._until:
                return
            try:
                self._round(number)
            except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError):
                self.answers[0] = self.answers.get(0, 0) + 1

    def _round(self, number: int) -> None:
        connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=5)
        try:
            products = json.loads(self._ask(connection, "GET", "/api/v1/products")[1])
            listed = products["items"]
            sku = listed[number % len(listed)]["sku"]
            self._ask(connection, "GET", f"/api/v1/products/{sku}")
            cookie, _ = self._ask(connection, "POST", "/api/v1/cart/items", {"sku": sku, "quantity": 1})
            key = str(uuid.uuid4())
            for _ in range(2 if number % 5 == 0 else 1):
                self._ask(connection, "POST", "/api/v1/checkout", {}, cookie, key)
            if number % 10 == 0:
                self._ask(connection, "GET", "/api/v1/products/no-such-thing")
        finally:
            connection.close()

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object = None,
        cookie: str = "",
        key: str = "",
    ) -> tuple[str, bytes]:
        """One request; returns the cookie that the answer sets, and its body."""
        headers = {"Content-Type": "application/json", "Host": self._target.netloc}
        headers |= {"Cookie": cookie} if cookie else {}
        headers |= {"Idempotency-Key": key} if key else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        self.answers[reply.status] = self.answers.get(reply.status, 0) + 1
        return (reply.getheader("Set-Cookie") or "").partition(";")[0], text
