"""What Prometheus is told, in a registry of its own; served on a port of its own by `gunicorn_conf`."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters and histograms; routes are templates, so the number of series is bounded by the code."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "store_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.latency = Histogram(
            "store_request_seconds", "Time to answer", ["route"], buckets=SECONDS, registry=registry
        )
        self.in_flight = Gauge("store_requests_in_flight", "Requests being handled", registry=registry)
        self.overload = Counter(
            "store_overload", "Requests refused because the pod is full", ["reason"], registry=registry
        )
        self._calls = Counter(
            "store_redis_calls", "Calls to Redis by outcome", ["call", "outcome"], registry=registry
        )
        self._call_seconds = Histogram(
            "store_redis_call_seconds",
            "Time of a call to Redis, repeats included",
            ["call"],
            buckets=SECONDS,
            registry=registry,
        )
        self.orders = Counter("store_orders", "Checkouts and order changes", ["outcome"], registry=registry)
        self.replays = Counter("store_checkout_replays", "Checkouts answered again", registry=registry)
        self.stock_outs = Counter(
            "store_stock_outs", "Checkout lines refused for lack of stock", registry=registry
        )
        self._age = Gauge(
            "store_snapshot_age_seconds",
            "Age of the catalog in memory; -1 before the first",
            registry=registry,
        )
        build = Gauge("store_build_info", "The version that runs", ["version"], registry=registry)
        build.labels(version).set(1)
        self._request_children: dict[tuple[str, str, int], Counter] = {}
        self._latency_children: dict[str, Histogram] = {}
        self._call_children: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def watch_snapshot(self, age: Callable[[], float]) -> None:
        """`age` in seconds is asked at each scrape."""

        def seconds() -> float:
            value = age()
            return value if value != float("inf") else -1.0

        self._age.set_function(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        key = (method, route, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self.requests.labels(method, route, str(status))
        child.inc()
        timer = self._latency_children.get(route)
        if timer is None:
            timer = self._latency_children[route] = self.latency.labels(route)
        timer.observe(seconds)

    def redis_call(self, call: str, outcome: str, seconds: float) -> None:
        """One call to Redis, with all its repeats."""
        key = (call, outcome)
        child = self._call_children.get(key)
        if child is None:
            child = (self._calls.labels(call, outcome), self._call_seconds.labels(call))
            self._call_children[key] = child
        child[0].inc()
        child[1].observe(seconds)
