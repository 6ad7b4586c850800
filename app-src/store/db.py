"""The only module that speaks to Redis: connections, deadlines, retries, scripts.

redis-py 8 repeats a command by itself when a reply is lost, which applies a write twice; its retries are off.
This module repeats instead, up to an absolute deadline, and every script that writes carries an operation id
(or is idempotent by its own record), so that a repeat changes nothing. Sockets have time-outs of their own: a
`gevent.Timeout` could leave a connection with somebody else's answer in it.
"""

import hashlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection
from redis.retry import Retry

from store.addresses import Address
from store.errors import CannotWriteError, CorruptDataError, UnavailableError
from store.settings import Settings

CONNECT_TIMEOUT_S: Final = 0.5
SOCKET_TIMEOUT_S: Final = 1.5
HANDSHAKE_S: Final = 0.25
PAUSES_S: Final = (0.0, 0.02, 0.05, 0.1, 0.2)

_NOT_NOW = ("LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "UNBLOCKED")
_FULL = ("OOM", "MISCONF", "NOREPLICAS")
_deadline: ContextVar[float] = ContextVar("deadline")

Command = tuple[Any, ...]
Attempt = Callable[[Any, float], Any]
Observer = Callable[[str, str, float], None]


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Every call inside ends at monotonic time `at` (seconds) at the latest."""
    token = _deadline.set(at)
    try:
        yield
    finally:
        _deadline.reset(token)


@cache
def script(name: str) -> tuple[str, str]:
    """The text of `lua/<name>.lua` and its SHA-1, by which Redis knows it."""
    text = resources.files("store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _pack(command: Command) -> bytes:
    """A command in RESP; redis-py's own packer, for any type and size, takes four times as long."""
    parts = [b"*%d\r\n" % len(command)]
    for value in command:
        text = str(value).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


class _RetryError(Exception):
    """This attempt failed in a way that another attempt may mend."""


class _Place:
    """Somebody who waits for a connection; `connection` is None also for one that is yet to be made."""

    def __init__(self) -> None:
        self.given = threading.Event()
        self.connection: Any = None


def _left(until: float) -> float:
    """Seconds until `until`, more than none."""
    left = until - time.monotonic()
    if left <= 0:
        raise _RetryError("the deadline has passed")
    return left


class Database:
    """A bounded set of connections to one Redis, safe to use from many greenlets or threads."""

    def __init__(self, settings: Settings, observe: Observer | None = None) -> None:
        self._settings = settings
        self._observe = observe or (lambda call, outcome, seconds: None)
        self._address = Address(settings.redis_host, settings.redis_port)
        # The one used last is taken first, and who came first of those who wait is given the next.
        self._free: list[Any] = [None] * settings.redis_connections
        self._line: deque[_Place] = deque()
        self._lock = threading.Lock()

    # -- what the rest of the store calls -------------------------------------------------------------

    def call(self, *command: Any) -> Any:
        """One command; replies are `str`, `int`, `None` or lists of them."""
        return self._run(str(command[0]), lambda connection, wait: self._send(connection, wait, command))

    def transaction(self, *commands: Command) -> list[Any]:
        """Several commands at one instant (MULTI/EXEC); meant for reads, since it may be repeated."""
        replies: list[Any] = self._run(
            "transaction", lambda connection, wait: self._send_multi(connection, wait, commands)
        )
        return replies

    def script(self, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """One Lua script: the unit in which data changes. Safe to repeat, see the module's docstring."""
        text, sha = script(name)
        tail = (len(keys), *keys, *args)

        def attempt(connection: Any, wait: float) -> Any:
            try:
                return self._send(connection, wait, ("EVALSHA", sha, *tail))
            except redis_errors.NoScriptError:
                return self._send(connection, wait, ("EVAL", text, *tail))

        return self._run(name, attempt)

    def close(self) -> None:
        """Drop every idle connection."""
        for connection in self._drain():
            connection.disconnect()
            self._put(None)

    # -- attempts -------------------------------------------------------------------------------------

    def _run(self, name: str, attempt: Attempt) -> Any:
        started = time.monotonic()
        until = _deadline.get(started + self._settings.deadline_ms / 1000)
        outcome, tries = "error", 0
        try:
            while True:
                try:
                    result = self._attempt(attempt, until)
                    outcome = "ok" if tries == 0 else "retried"
                    return result
                except _RetryError as error:
                    tries += 1
                    self._pause(tries, until, error)
        except UnavailableError:
            outcome = "unavailable"
            raise
        finally:
            self._observe(name, outcome, time.monotonic() - started)

    def _pause(self, tries: int, until: float, error: _RetryError) -> None:
        """Wait before the next attempt, or raise when no time is left for one."""
        pause = PAUSES_S[min(tries, len(PAUSES_S)) - 1] * random.uniform(0.7, 1.3)  # noqa: S311
        if time.monotonic() + pause >= until:
            raise UnavailableError(f"Redis did not answer in time: {error}") from error
        time.sleep(pause)

    def _attempt(self, attempt: Attempt, until: float) -> Any:
        connection = self._take(until)
        try:
            self._prepare(connection, _left(until))
            return attempt(connection, min(SOCKET_TIMEOUT_S, _left(until)))
        except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError) as error:
            connection.disconnect()
            if isinstance(error, redis_errors.AuthenticationError):
                raise UnavailableError("Redis refused the password") from error
            self._address.doubt()
            self._forget(connection)
            raise _RetryError(str(error)) from error
        except redis_errors.ResponseError as error:
            raise self._judge(error) from error
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._put(connection)

    @staticmethod
    def _judge(error: Exception) -> Exception:
        """What an error reply means: try again, cannot write now, corrupt data, or a mistake of ours."""
        code = getattr(error, "status_code", None) or str(error).split(" ", 1)[0]
        if code in _NOT_NOW:
            return _RetryError(f"{code} {error}")
        if code in _FULL:
            return CannotWriteError(f"Redis cannot write now: {error}")
        if code in ("WRONGTYPE", "CORRUPT"):
            return CorruptDataError(str(error))
        if code == "NOPERM":
            return UnavailableError(f"Redis refused the call: {error}")
        return error

    # -- connections ----------------------------------------------------------------------------------

    def _take(self, until: float) -> Any:
        with self._lock:
            place = None if self._free else _Place()
            if place:
                self._line.append(place)
            else:
                connection = self._free.pop()
        if place:
            connection = self._wait_in_line(place, until)
        if connection is None or connection.pid != os.getpid():
            return self._connection()
        return connection

    def _wait_in_line(self, place: "_Place", until: float) -> Any:
        if not place.given.wait(max(0.0, until - time.monotonic())):
            with self._lock:
                if place in self._line:
                    self._line.remove(place)
                    raise UnavailableError("no free connection to Redis in time")
        return place.connection

    def _put(self, connection: Any) -> None:
        """Give a connection, or the place of one, to who waits first, or keep it."""
        with self._lock:
            if self._line:
                place = self._line.popleft()
                place.connection = connection
                place.given.set()
            else:
                self._free.append(connection)

    def _connection(self) -> Any:
        common: dict[str, Any] = {
            "password": self._settings.redis_password or None,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": True,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "driver_info": None,
        }
        kind: Any = UnixDomainSocketConnection if self._address.is_path else Connection
        if self._address.is_path:
            return kind(path=self._address.host, **common)
        return kind(host=self._address.host, port=self._address.port, socket_keepalive=True, **common)

    def _prepare(self, connection: Any, left: float) -> None:
        """Connect if needed, and let no single wait be longer than what is left of the deadline."""
        if not connection.is_connected:
            if not self._address.is_path:
                connection.host = self._address.current(left)
            connection.socket_connect_timeout = min(CONNECT_TIMEOUT_S, left)
            connection.socket_timeout = max(HANDSHAKE_S, min(SOCKET_TIMEOUT_S, left))
            connection.connect()
            connection.socket_timeout = SOCKET_TIMEOUT_S

    def _forget(self, failed: Any) -> None:
        """When one connection broke, the idle ones most likely did too: close them instead of trying each."""
        for connection in self._drain():
            if connection is not failed:
                connection.disconnect()
            self._put(None)

    def _drain(self) -> Iterator[Any]:
        with self._lock:
            kept, self._free = self._free, []
        for connection in kept:
            if connection is None:
                self._put(None)
            else:
                yield connection

    # -- the wire -------------------------------------------------------------------------------------

    @staticmethod
    def _send(connection: Any, wait: float, command: Command) -> Any:
        connection.send_packed_command((_pack(command),), check_health=False)
        return connection.read_response(timeout=wait)

    @staticmethod
    def _send_multi(connection: Any, wait: float, commands: tuple[Command, ...]) -> list[Any]:
        everything = [("MULTI",), *commands, ("EXEC",)]
        packed = b"".join(_pack(command) for command in everything)
        connection.send_packed_command((packed,), check_health=False)
        failed: Exception | None = None
        for _ in everything[:-1]:
            try:
                connection.read_response(timeout=wait)
            except redis_errors.ResponseError as error:
                failed = failed or error
        try:
            replies: list[Any] = connection.read_response(timeout=wait)
        except redis_errors.ResponseError as error:
            raise failed or error from None
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies
