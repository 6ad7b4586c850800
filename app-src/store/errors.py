"""Every refusal as `application/problem+json` (RFC 9457); a leaf that imports nothing of ours.

`type` is a stable path that never changes once published; clients decide by it, not by the text.
"""

from http import HTTPStatus
from typing import Any, Final

import msgspec

CONTENT_TYPE = "application/problem+json"
TYPES = "/problems/"


SECURITY: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


class Problem(Exception):
    """An answer other than success.

    `kind` is the last part of the problem's type, `extra` are members beside the standard ones (such as
    `field`, the JSON pointer of the offending value), `headers` go into the answer.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra

    @property
    def title(self) -> str:
        """The phrase that belongs to the status."""
        return HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        """The JSON document of RFC 9457, section 3."""
        return msgspec.json.encode(
            {
                "type": TYPES + self.kind,
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                **self.extra,
            }
        )


def status_line(problem: Problem) -> str:
    """The WSGI status of a problem."""
    return f"{problem.status} {problem.title}"


def headers_of(problem: Problem, body: bytes) -> list[tuple[str, str]]:
    """The headers of a problem that is answered without Flask."""
    return [
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *problem.headers.items(),
    ]


def unavailable(detail: str, kind: str = "unavailable", after: int = 1) -> Problem:
    """503 with Retry-After in seconds: the request was not refused for what it said; try again."""
    return Problem(503, kind, detail, headers={"Retry-After": str(after)})


def invalid(detail: str, field: str = "") -> Problem:
    """422: understood, and refused for the value at the JSON pointer `field`."""
    extra: dict[str, Any] = {"field": field} if field else {}
    return Problem(422, "invalid", detail, **extra)


def not_found(detail: str) -> Problem:
    """404, also for what exists but is not the caller's: the two must look the same."""
    return Problem(404, "not-found", detail)


class UnavailableError(Exception):
    """Redis could not be asked, or not within the deadline; nobody knows whether a write was applied."""


class CannotWriteError(UnavailableError):
    """Redis answered that it cannot write now (memory, disk); nothing was applied."""


class CorruptDataError(Exception):
    """A key in Redis has a type or a value that the store never writes; nothing was applied."""
