"""One JSON object a line on standard output: requests, and everything that uses `logging`.

No line holds an address, a path with an id in it, a cookie or a token.
"""

import logging
import sys
import time
from functools import lru_cache
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _encoder.encode(entry).decode()


class _Stdout(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stdout` is at that time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def configure(level: str) -> None:
    """Send the `store` loggers to standard output as JSON; safe to call again."""
    logger = logging.getLogger("store")
    logger.setLevel(level.upper())
    logger.propagate = False
    if not logger.handlers:
        handler = _Stdout()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)


class _Line(msgspec.Struct):
    time: str
    event: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    degraded: str
    level: str = "info"


def request(request_id: str, method: str, route: str, status: int, seconds: float, degraded: str) -> None:
    """Write the line of one answered request."""
    line = _Line(
        stamp(time.time()), "request", request_id, method, route, status, round(seconds * 1000, 2), degraded
    )
    out = sys.stdout
    out.write(_encoder.encode(line).decode() + "\n")
    out.flush()
