"""The outermost WSGI layer: bounds, request ids, common headers, metrics and the log line of each request.

Two bounds keep a pod answering when more comes than it can do. `inflight_limit` counts requests that have been read
and not yet answered: each gives way once before it is worked on, so that all that others have sent is read first,
and a queue is here, where it is counted, not in sockets that nobody looks at. Requests that need Redis may fill three
quarters of the limit, so that the catalog still answers while carts wait for a dead one. `queue_limit_ms` is about
turns of the event loop: one long turn may be a process that got no CPU; only when turns stay long is it a queue.
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
BEAT_S: Final = 0.1
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
        self._overload = unavailable("the store is full for the moment", "overload")
        self._overload_body = self._overload.body()
        self._overload_headers = headers_of(self._overload, self._overload_body)
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
        info = RequestInfo(_request_id(environ.get("HTTP_X_REQUEST_ID")), time.monotonic())
        environ[KEY] = info
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        headers = [("X-Request-Id", info.id), *self._common]

        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            info.status = int(status[:3])
            return start_response(status, given + headers, exc_info)

        reason = self._full(path, info.started)
        if reason:
            start(status_line(self._overload), self._overload_headers)
            self._refused(method, path, info, reason)
            return [] if method == "HEAD" else [self._overload_body]
        quick = self._shortcut(environ, info)
        if quick:
            start(quick[0], quick[1])
            self._tell(method, path, info)
            return [quick[2]]
        self._inflight += 1
        try:
            time.sleep(0)
            with deadline(info.started + self._deadline_s):
                return self._app(environ, start)
        finally:
            self._inflight -= 1
            self._tell(method, path, info)

    def refusal(self, method: str, path: str, given_id: str | None) -> bytes | None:
        """Headers and body for a request over a bound, for a server that asks before it makes an environ.

        Refusing must cost a fraction of serving, or a full store would do nothing but refuse. None: let it in.
        """
        now = time.monotonic()
        reason = self._full(path, now)
        if not reason:
            return None
        info = RequestInfo(_request_id(given_id), now)
        info.status = self._overload.status
        self._refused(method, path, info, reason)
        headers = [*self._overload_headers, ("X-Request-Id", info.id), *self._common]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return head.encode("latin-1") + b"\r\n" + (b"" if method == "HEAD" else self._overload_body)

    def _full(self, path: str, now: float) -> str:
        """Why this request must be refused, or nothing."""
        if path in PROBES:
            return ""
        if now - self._turn > self._queue_s and now - self._late_since > SUSTAINED_S:
            return "queue"
        limit = self._limit if path.startswith(FROM_MEMORY) else self._data_limit
        return "in-flight" if self._inflight >= limit else ""

    def _refused(self, method: str, path: str, info: RequestInfo, reason: str) -> None:
        self._metrics.overload.labels(reason).inc()
        info.route = "refused"
        self._tell(method, path, info)

    def _tell(self, method: str, path: str, info: RequestInfo) -> None:
        seconds = time.monotonic() - info.started
        if method not in _METHODS:
            method = "other"
        self._metrics.request(method, info.route, info.status, seconds)
        level = logging.DEBUG if path in PROBES else logging.INFO
        if self._log.isEnabledFor(level):
            logs.request(info.id, method, info.route, info.status, seconds, info.degraded)


_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


def _request_id(given: str | None) -> str:
    """The id the caller sent, when it looks like one, or a new one of 128 bits."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return os.urandom(16).hex()
