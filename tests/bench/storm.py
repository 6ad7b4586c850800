"""Customers who want three times what a store can do, for some seconds, and a probe that looks meanwhile."""

import http.client
import itertools
import threading
import time

from tests.bench import client

CART = b"GET /api/v1/cart HTTP/1.1\r\nHost: x\r\nCookie: store_session=aaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"
CUSTOMERS = 1500
TIMES = 3
LIMIT_S = 40


class Storm:
    """What came of it: the capacity (requests/s over 16 connections before), the tally, how long probes took in s."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        closed = client.run(port, itertools.repeat(CART), 1000)
        self.capacity = 1000 / closed.seconds
        self.probes: list[float] = []
        over = threading.Event()
        prober = threading.Thread(target=self._probe, args=(over,))
        prober.start()
        rate, carts = TIMES * self.capacity, itertools.repeat(CART)
        self.tally = client.run(
            port, carts, int(rate * seconds), rate, CUSTOMERS, patient=True, limit_s=LIMIT_S
        )
        over.set()
        prober.join()

    def _probe(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            started = time.monotonic()
            connection = http.client.HTTPConnection(client.ADDRESS, self._port, timeout=10)
            try:
                connection.request("GET", "/livez")
                good = connection.getresponse().status == 200
            except OSError:
                good = False
            finally:
                connection.close()
            self.probes.append(time.monotonic() - started if good else float("inf"))

    @property
    def figures(self) -> dict[str, float]:
        """Per cent of the capacity that is still served, and times in ms."""
        told = self.tally
        return {
            "capacity /s": self.capacity,
            "served % of capacity": len(told.latencies) / told.seconds / self.capacity * 100,
            "served p50 ms": told.quantile(0.5) * 1e3,
            "served p99 ms": told.quantile(0.99) * 1e3,
            "refused p50 ms": client.quantile(told.refusals, 0.5) * 1e3,
            "refused p99 ms": client.quantile(told.refusals, 0.99) * 1e3,
            "slowest probe ms": max(self.probes) * 1e3,
            "requests": len(told.latencies) + told.failed,
            "refused": len(told.refusals),
            "neither": told.others.total(),
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0f}" for name, value in self.figures.items())
