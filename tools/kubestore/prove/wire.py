"""One HTTP/1.1 connection on a bare socket: it asks once, and what goes wrong is told, never retried."""

import asyncio
from dataclasses import dataclass

from kubestore.prove.target import Target

LIMIT = 4 * 1024 * 1024


class Dropped(Exception):
    """A request that got no whole answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: status, our version header, cookie and whether it ends the connection."""

    status: int
    version: str
    cookie: str
    close: bool
    body: bytes
    head: bytes = b""

    def says(self, name: bytes) -> str:
        """The value of the header with this name in lower case; `""` when it is absent."""
        return header(self.head, self.head.lower(), name)


def header(head: bytes, lower: bytes, name: bytes) -> str:
    """The value of a header in a raw head; `""` when it is absent. `lower` is the head in lower case."""
    at = lower.find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    begin = at + len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].decode("latin-1").strip()


def parse(buffer: bytes, ended: bool) -> Answer | None:
    """The answer in `buffer`, or None while more must come.

    `ended` tells that the server closed: a body without a length is then whole. Raises `Dropped` for
    bytes that are no answer.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end]
    lower = head.lower()
    if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
        raise Dropped(f"not an HTTP answer: {head[:40]!r}")
    status = int(head[9:12])
    length = header(head, lower, b"content-length")
    close = header(head, lower, b"connection").lower() == "close"
    body = buffer[end + 4 :]
    if length.isdigit():
        if len(body) < int(length):
            return None
        body = body[: int(length)]
    elif status in (204, 304):
        body = b""
    elif not close:
        raise Dropped("an answer without Content-Length on a connection that stays open")
    elif not ended:
        return None
    cookie = header(head, lower, b"set-cookie").partition(";")[0]
    return Answer(status, header(head, lower, b"x-store-version"), cookie, close, bytes(body), bytes(head))


class Connection(asyncio.Protocol):
    """A connection that is asked one thing at a time."""

    def __init__(self) -> None:
        self.asked = 0
        self.lost = ""
        self._buffer = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, target: Target, timeout: float) -> "Connection":
        """Connect within `timeout` seconds. Raises `Dropped`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, connection = await loop.create_connection(cls, target.host, target.port)
        except TimeoutError as error:
            raise Dropped(f"connect: no answer in {timeout:.0f} s") from error
        except OSError as error:
            raise Dropped(f"connect: {error.strerror or error}") from error
        return connection

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: nothing has told us that the server closed."""
        return not self.lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes have come."""
        self._buffer += data
        if self._answer is None:
            self.lost = "bytes that nobody asked for"
            self.close()
        elif len(self._buffer) > LIMIT:
            self._fail(f"an answer above {LIMIT} bytes")
        else:
            self._settle(ended=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: closed, by whom ever."""
        why = getattr(exc, "strerror", None) or (str(exc) if exc else "closed by the server")
        self.lost = self.lost or why
        if self._answer is not None:
            self._settle(ended=True)
        if self._answer is not None:
            where = "in the middle of an answer" if self._buffer else "before an answer"
            used = f"after {self.asked - 1} answers" if self.asked > 1 else "on a new connection"
            self._fail(f"{why} {where}, {used}")

    def close(self) -> None:
        """Close from our side."""
        self.lost = self.lost or "closed by us"
        if self._transport is not None:
            self._transport.close()

    def _settle(self, ended: bool) -> None:
        try:
            answer = parse(bytes(self._buffer), ended)
        except Dropped as error:
            self._fail(str(error))
            return
        if answer is not None and self._answer is not None:
            self._buffer.clear()
            waiting, self._answer = self._answer, None
            if not waiting.done():
                waiting.set_result(answer)

    def _fail(self, why: str) -> None:
        waiting, self._answer = self._answer, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(Dropped(why))
        self.close()

    async def ask(self, head: bytes, body: bytes, timeout: float, pause: float = 0.0) -> Answer:
        """Send a request and wait for its answer.

        With `pause`, the body follows the head that many seconds later, as from a phone on a poor network.
        Raises `Dropped` when the whole answer is not here `timeout` seconds after the last byte was sent.
        """
        assert self._transport is not None
        self.asked += 1
        self._answer = answer = asyncio.get_running_loop().create_future()
        if pause:
            self._transport.write(head)
            await asyncio.wait([answer], timeout=pause)
            if not answer.done():
                self._transport.write(body)
        else:
            self._transport.write(head + body)
        try:
            async with asyncio.timeout(timeout):
                got: Answer = await answer
        except TimeoutError as error:
            self._answer = None
            self.close()
            raise Dropped(f"no answer in {timeout:.0f} s") from error
        if got.close:
            self.close()
        return got
