"""Answers and requests in JSON."""

from typing import Any, TypeVar

import msgspec
from flask import Response

from store.errors import Problem, invalid
from store.settings import MAX_BODY

JSON = "application/json"
MOST_NESTED = 500
T = TypeVar("T")


class Complete(Response):
    """An answer whose headers are all there: werkzeug need not look for what it could add or correct."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        """The headers as they are."""
        return self.headers


def json_response(body: bytes, status: int = 200, **headers: str) -> Response:
    """An answer that no cache may keep unless `headers` say otherwise; `_` in a name stands for `-`."""
    given = [("Content-Type", JSON), ("Content-Length", str(len(body)))]
    if "Cache_Control" not in headers:
        given.append(("Cache-Control", "no-store"))
    given += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Complete(body, status, given)


def encode(value: Any) -> bytes:
    """JSON of a model."""
    return msgspec.json.encode(value)


def json_body(environ: dict[str, Any]) -> bytes:
    """The body of a request, refused unless it is declared as JSON and of a bounded size.

    It is read from the server itself, which has waited for it (`store.worker`): werkzeug's stream around it costs as
    much as reading it.
    """
    declared = environ.get("CONTENT_TYPE", "")
    if declared != JSON and declared.partition(";")[0].strip().lower() != JSON:
        raise Problem(415, "unsupported-media-type", "send application/json")
    length = _length(environ)
    if length > MAX_BODY:
        raise _too_large()
    content: bytes = environ["wsgi.input"].read(length if length >= 0 else MAX_BODY + 1)
    if len(content) > MAX_BODY:
        raise _too_large()
    if len(content) < length:
        raise Problem(400, "malformed", "the body is shorter than its headers announced")
    return content


def _length(environ: dict[str, Any]) -> int:
    """The announced length of a body in bytes; 0 for none, -1 for a chunked one, which ends by itself."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return -1
    announced = environ.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdigit() and len(announced) <= 19):
        raise Problem(400, "malformed", "Content-Length is not a number")
    return int(announced)


def _too_large() -> Problem:
    return Problem(413, "too-large", f"a body has at most {MAX_BODY} bytes")


def decode(content: bytes, model: type[T]) -> T:
    """A request's body as `model`: 400 when it is not JSON, 422 with the field when it is not right."""
    try:
        return msgspec.json.decode(content, type=model)
    except msgspec.ValidationError as error:
        detail, _, where = str(error).partition(" - at `$")
        pointer = where.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise invalid(detail, pointer or _unknown(detail)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed", f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise Problem(400, "malformed", "the body is nested too deeply") from error


def canonical(content: bytes) -> bytes:
    """JSON in its one form: members sorted, no white space. Raises a `Problem` when it is none.

    Newer Pythons let an extension nest 10,000 levels, which takes megabytes of stack: what could do so is not begun.
    """
    if content.count(b"[") + content.count(b"{") > MOST_NESTED:
        raise Problem(400, "malformed", "the body is nested too deeply")
    try:
        return msgspec.json.encode(decode(content, Any), order="sorted")
    except RecursionError as error:
        raise Problem(400, "malformed", "the body is nested too deeply") from error


def _unknown(detail: str) -> str:
    """The field that a message of msgspec names in back ticks."""
    name = detail.split("`")[1] if detail.count("`") >= 2 and "field" in detail else ""
    return f"/{name}" if name else ""
