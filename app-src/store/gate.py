"""The outermost WSGI layer: bounds, request ids, common headers, metrics and the log line of each request.

Two bounds keep a pod answering when more comes than it can do. `inflight_limit` counts requests that wait for
Redis; those that need Redis may fill three quarters of it, so that the catalog still answers while carts wait
for a dead one. `queue_limit_ms` is about requests that nobody has looked at yet: one loop turn serves all
connections that have sent something, so the time since the turn began is how long the rest has waited. One long
turn may be a process that got no CPU; only when turns stay long is it a queue.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from store import logs
from store.db import deadline
from store.errors import SECURITY, headers_of, status_line, unavailable
from store.metrics import Metrics
from store.settings import Settings

KEY: Final = "store.request"
PROBES: Final = frozenset(("/livez", "/readyz"))
FROM_MEMORY: Final = ("/api/v1/products", "/static/", "/version")
BEAT_S: Final = 0.025
SUSTAINED_S: Final = 0.5
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Answer = tuple[str, list[tuple[str, str]], bytes]
"""Status line, headers, body."""


class RequestInfo:
    """What is known of a request while it is handled; the blueprints add to it."""

    __slots__ = ("degraded", "id", "route", "started", "status")

    def __init__(self, request_id: str, started: float) -> None:
        self.id = request_id
        self.started = started
        self.route = "unmatched"
        self.status = 500
        self.degraded = ""


Shortcut = Callable[[dict[str, Any], RequestInfo], Answer | None]
"""Answers some requests before the application is asked, and leaves all others to it."""


class Gate:
    """Wraps the application: refuses at once what is over a bound, and tells about everything."""

    def __init__(
        self, app: WsgiApp, settings: Settings, metrics: Metrics, shortcut: Shortcut | None = None
    ) -> None:
        self._app = app
        self._shortcut = shortcut or (lambda environ, info: None)
        self._metrics = metrics
        self._limit = settings.inflight_limit
        self._data_limit = settings.inflight_limit - settings.inflight_limit // 4
        self._queue_s = settings.queue_limit_ms / 1000 + BEAT_S
        self._deadline_s = settings.deadline_ms / 1000
        self._common = [("X-Store-Version", settings.version), *SECURITY]
        self._inflight = 0
        self._turn = self._late_since = float("inf")
        metrics.in_flight.set_function(lambda: self._inflight)
        self._log = logging.getLogger("store.request")

    def start(self) -> None:
        """Begin to watch how long a turn of the event loop takes."""
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            self._next_turn(time.monotonic())
            time.sleep(BEAT_S)

    def _next_turn(self, now: float) -> None:
        late = now - self._turn > self._queue_s
        self._late_since = min(self._late_since, now) if late else float("inf")
        self._turn = now

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        info = RequestInfo(_request_id(environ), time.monotonic())
        environ[KEY] = info
        headers = [("X-Request-Id", info.id), *self._common]

        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            info.status = int(status[:3])
            return start_response(status, given + headers, exc_info)

        reason = self._full(environ["PATH_INFO"], info.started)
        if reason:
            return self._refuse(environ, start, info, reason)
        quick = self._shortcut(environ, info)
        if quick:
            start(quick[0], quick[1])
            self._tell(environ, info)
            return [quick[2]]
        self._inflight += 1
        try:
            with deadline(info.started + self._deadline_s):
                return self._app(environ, start)
        finally:
            self._inflight -= 1
            self._tell(environ, info)

    def _full(self, path: str, now: float) -> str:
        """Why this request must be refused, or nothing."""
        if path in PROBES:
            return ""
        if now - self._turn > self._queue_s and now - self._late_since > SUSTAINED_S:
            return "queue"
        limit = self._limit if path.startswith(FROM_MEMORY) else self._data_limit
        return "in-flight" if self._inflight >= limit else ""

    def _refuse(
        self, environ: dict[str, Any], start: StartResponse, info: RequestInfo, reason: str
    ) -> Iterable[bytes]:
        self._metrics.overload.labels(reason).inc()
        problem = unavailable("the store is full for the moment", "overload")
        body = problem.body()
        start(status_line(problem), headers_of(problem, body))
        info.route = "refused"
        self._tell(environ, info)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _tell(self, environ: dict[str, Any], info: RequestInfo) -> None:
        seconds = time.monotonic() - info.started
        method = environ["REQUEST_METHOD"]
        if method not in _METHODS:
            method = "other"
        self._metrics.request(method, info.route, info.status, seconds)
        level = logging.DEBUG if environ["PATH_INFO"] in PROBES else logging.INFO
        if self._log.isEnabledFor(level):
            logs.request(info.id, method, info.route, info.status, seconds, info.degraded)


_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


def _request_id(environ: dict[str, Any]) -> str:
    """The id the caller sent, when it looks like one, or a new one of 128 bits."""
    given = environ.get("HTTP_X_REQUEST_ID")
    if given and _REQUEST_ID.fullmatch(given):
        return str(given)
    return os.urandom(16).hex()
