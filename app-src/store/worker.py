"""gunicorn's gevent worker, whose answers to what is not HTTP look like all the others of the store.

The arbiter imports this module before anything is made cooperative, so it must not import `db`.
"""

import logging
import sys
import time
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import gevent
from gevent.server import StreamServer
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http import errors as http_errors  # type: ignore[import-untyped]
from gunicorn.http import wsgi
from gunicorn.http.wsgi import Response  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from store import settings
from store.errors import SECURITY, Problem, headers_of, status_line
from store.logs import JsonFormatter
from store.settings import MAX_BODY

TURN: Final = 4
"""Requests served before the event loop looks at all connections again."""
PENALTY_S: Final = 1.0
"""A connection that was told to come back later is not read before: refusing who asks at once again would be all that
a full store does."""
BODY_S: Final = 3.0
"""How long a body may take."""
SEND_S: Final = 10.0
"""A client that does not read its answer keeps its place for so long; reading has shorter limits of its own."""
ACCEPTED: Final = 512
"""New connections taken at each look, so that in a rush they can be refused instead of waiting unseen."""
_pause: Any = gevent.sleep
_REFUSED: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (http_errors.LimitRequestLine, 414, "uri-too-long", "the request line is too long"),
    (http_errors.LimitRequestHeaders, 431, "headers-too-large", "the headers are too many or too large"),
    (http_errors.ExpectationFailed, 417, "expectation-failed", "only 100-continue can be expected"),
    (http_errors.UnsupportedTransferCoding, 501, "transfer-coding", "this transfer coding is not understood"),
    (http_errors.ParseException, 400, "malformed", "this is not an HTTP request"),
)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    """A second as the Date header has it."""
    return str(util.http_date(second))


def _send(sock: Any, data: bytes) -> None:
    """All of `data`; gevent's own `sendall` asks the kernel for the buffer's size each time."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


class Broken:
    """A body that cannot be had: says so when it is asked for."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        """Raises what went wrong."""
        raise self._error


def _have_body(environ: dict[str, Any]) -> bool:
    """Wait for a body of a bounded size, so that a slow sender has no place among the requests in flight.

    False when it is not whole: then nobody knows where the next request begins.
    """
    announced = environ.get("CONTENT_LENGTH", "0")
    length = int(announced) if len(announced) < 20 else MAX_BODY + 1
    if "HTTP_TRANSFER_ENCODING" not in environ and not 0 < length <= MAX_BODY:
        return True
    error: Exception = Problem(408, "too-slow", "the body did not arrive in time")
    limit: Any = gevent.Timeout
    with limit(BODY_S, False):
        try:
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(MAX_BODY + 1))
            return True
        except (http_errors.ParseException, http_errors.NoMoreData) as broken:
            error = broken
    environ["wsgi.input"] = Broken(error)
    return False


def problem_of(error: BaseException) -> Problem:
    """What is wrong with a request that could not be read."""
    for kind, status, name, detail in _REFUSED:
        if isinstance(error, kind):
            return Problem(status, name, detail)
    return Problem(500, "internal", "the store made a mistake; it has been written down")


class Fixed:
    """gunicorn's settings as plain attributes: they do not change while a worker lives, and are read some twenty
    times for each request."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self.__dict__.update({name: setting.get() for name, setting in cfg.settings.items()})

    def __getattr__(self, name: str) -> Any:
        """What is worked out of settings, such as `is_ssl`, is worked out once."""
        value = self.__dict__[name] = getattr(self._cfg, name)
        return value


class OneWrite(Response):  # type: ignore[misc]
    """An answer whose head leaves together with the first piece of its body: one system call instead of two.

    gunicorn looks at each header with four patterns; here one look at the whole head finds what would split it.
    """

    headers_sent: bool
    headers: list[tuple[str, str]]
    _head = b""

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Keep the application's headers, and none that is between two hops only."""
        for name, value in headers:
            lower = name.lower()
            if lower == "content-length":
                self.response_length = int(value)
            elif lower in util.hop_headers:
                continue
            self.headers.append((name, value))

    def default_headers(self) -> list[str]:
        """The status line and what belongs to the connection."""
        lines = [
            f"HTTP/{self.req.version[0]}.{self.req.version[1]} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def send_headers(self) -> None:
        """Keep the head until there is something to send it with; raises `ValueError` for one that splits."""
        if self.headers_sent:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
        head = "".join(lines)
        if not head.count("\n") == head.count("\r") == len(lines) or "\0" in head:
            raise ValueError("a header holds a line break")
        self._head = f"{head}\r\n".encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            util.write(self.sock, head)
            util.write_chunk(self.sock, data)
        else:
            _send(self.sock, head + data)

    def close(self) -> None:
        """Send the head if no body did, and the end of a chunked body."""
        self.send_headers()
        if self._head:
            util.write(self.sock, self._head)
            self._head = b""
        if self.chunked:
            util.write_chunk(self.sock, b"")


class StoreWorker(GeventWorker):  # type: ignore[misc]
    """One process that serves each connection in a greenlet."""

    cfg: Any
    _open = 0

    def init_process(self) -> None:
        """Before the first request."""
        self.cfg = Fixed(self.cfg)
        StreamServer.max_accept = ACCEPTED
        super().init_process()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        self._open += 1
        try:
            super().handle(listener, client, addr)
        finally:
            self._open -= 1

    @property
    def crowded(self) -> bool:
        """Whether half of the places are taken: then nobody keeps one while idle, or new shoppers would wait for it."""
        return bool(self._open > self.worker_connections // 2)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request; raises `StopIteration` when its connection shall close.

        After some requests the others have their turn: a connection whose next request is there already would
        keep the process to itself.
        """
        sock.settimeout(SEND_S)
        self.cfg.pre_request(self, req)
        self.nr += 1
        if not self.alive or self.crowded:
            req.force_close()
        if self._turned_away(req, sock):
            return
        answer, environ = wsgi.create(req, sock, addr, listener_name, self.cfg, response_class=OneWrite)
        environ["wsgi.multithread"] = True
        if not _have_body(environ):
            req.force_close()
        try:
            pieces = self.wsgi(environ, answer.start_response)
            try:
                for piece in pieces:
                    answer.write(piece)
                answer.close()
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except TimeoutError:
            raise StopIteration from None  # nobody reads the answer
        except OSError:
            raise
        except Exception:
            if not answer.headers_sent:
                raise
            self.log.exception("an answer broke off")
            raise StopIteration from None
        finally:
            if self.nr % TURN == 0:
                _pause(0)
        if answer.should_close():
            raise StopIteration

    def _turned_away(self, req: Any, sock: Any) -> bool:
        """Ask the gate, and answer for it; raises `StopIteration` when the connection shall close."""
        given = next((value for name, value in req.headers if name == "X-REQUEST-ID"), None)
        answer = self.wsgi.wsgi_app.refusal(req.method, req.path, given)
        if answer is None:
            return False
        connection = b"close" if req.should_close() else b"keep-alive"
        util.write(sock, b"HTTP/1.1 503 Service Unavailable\r\nConnection: %b\r\n%b" % (connection, answer))
        if req.should_close():
            raise StopIteration
        _pause(PENALTY_S)
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application, and close."""
        problem = problem_of(exc)
        if problem.status == 500:
            self.log.exception("error outside the application")
        body = problem.body()
        version = settings.load().version
        given = [*headers_of(problem, body), ("X-Store-Version", version), *SECURITY, ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in given)
        try:
            util.write(client, f"HTTP/1.1 {status_line(problem)}\r\n{head}\r\n".encode("latin-1") + body)
        except OSError:
            self.log.debug("the client has gone before it could be told")


class StoreLogger(Logger):  # type: ignore[misc]
    """gunicorn's own messages as JSON; the line of a request is written by the gate."""

    def setup(self, cfg: Any) -> None:
        """Everything to standard output."""
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        for logger in (self.error_log, logging.getLogger("py.warnings")):
            logger.handlers = [handler]
            logger.propagate = False
        self.error_log.setLevel(logging.INFO)
        self.access_log.disabled = True

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: gunicorn would collect some 30 values for each request before it drops them."""
