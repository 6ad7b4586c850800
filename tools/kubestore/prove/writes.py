"""A witness of acknowledged writes: what the store said it kept must be there afterwards.

Each write adds one piece to a cart. At the end every cart holds at least the pieces that were acknowledged
and at most those that were sent: a request without an answer may have been carried out.
"""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.prove import target

MOST_A_LINE = 90


@dataclass
class Cart:
    """One session's cart: what was sent, what was acknowledged."""

    cookie: str = ""
    sent: int = 0
    acknowledged: int = 0


@dataclass
class Account:
    """What a witness saw. Times are seconds since the epoch."""

    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    invented: int = 0
    acks: list[float] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)

    def recovery(self, since: float) -> float:
        """Seconds from `since` to the first acknowledged write that began after it; -1 when there is none.

        The clock of a write that waited counts too: it is the end of the write that is taken.
        """
        return next((at - since for at in self.acks if at > since), -1.0)


class Witness:
    """A thread that writes about `rate` times a second, one connection a write, without retries."""

    def __init__(self, url: str, rate: float = 20.0, timeout: float = 10.0) -> None:
        self.account = Account()
        self._target = target.here(url)
        self._pause = 1 / rate
        self._timeout = timeout
        self._carts: list[Cart] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sku = self._first_sku()

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(self._timeout + 5)

    def close(self, seconds: float = 60) -> Account:
        """Stop, read every cart back within `seconds`, and return the account."""
        self.__exit__()
        deadline = time.monotonic() + seconds
        for cart in self._carts:
            self._check(cart, deadline)
        return self.account

    def _first_sku(self) -> str:
        status, _, body = self._ask("GET", "/api/v1/products", "", None)
        if status != 200:
            raise KubestoreError(f"the store at {self._target.url} gives no products: {status}")
        return str(body["items"][0]["sku"])

    def _ask(self, method: str, path: str, cookie: str, body: Any) -> tuple[int, str, Any]:
        """One request on a connection of its own: status, cookie, answer. Status 0: no answer."""
        connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=self._timeout)
        headers = {"Cookie": cookie} if cookie else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            given = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            return answer.status, given, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, "", {"detail": f"{type(error).__name__} {error}"}
        finally:
            connection.close()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            if not self._carts or self._carts[-1].sent >= MOST_A_LINE:
                self._carts.append(Cart())
            self._write(self._carts[-1])

    def _write(self, cart: Cart) -> None:
        cart.sent += 1
        self.account.sent += 1
        piece = {"sku": self._sku, "quantity": 1}
        status, cookie, body = self._ask("POST", "/api/v1/cart/items", cart.cookie, piece)
        if 200 <= status < 300:
            cart.cookie = cookie or cart.cookie
            cart.acknowledged += 1
            self.account.acknowledged += 1
            self.account.acks.append(time.time())
            return
        why = f"{status or 'no answer'} {(body or {}).get('detail', '')}"[:80]
        self.account.refusals[why] = self.account.refusals.get(why, 0) + 1
        if not cart.cookie:
            self._carts.pop()  # nothing was acknowledged and nobody knows its session

    def _check(self, cart: Cart, deadline: float) -> None:
        if not cart.cookie:
            return
        status: int = 0
        body: Any = None
        while status != 200 and time.monotonic() < deadline:
            status, _, body = self._ask("GET", "/api/v1/cart", cart.cookie, None)
            if status != 200:
                time.sleep(0.3)
        if status != 200:
            raise KubestoreError(f"a cart cannot be read back: {status or 'no answer'}")
        held = sum(line["quantity"] for line in body["items"] if line["sku"] == self._sku)
        self.account.lost += max(cart.acknowledged - held, 0)
        self.account.invented += max(held - cart.sent, 0)
