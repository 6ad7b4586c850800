"""Answers and requests in JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from flask import Response, request

from store.errors import Problem, invalid

JSON = "application/json"
BODY_S = 3.0
MAX_BODY = 64 * 1024
T = TypeVar("T")


def json_response(body: bytes, status: int = 200, **headers: str) -> Response:
    """An answer that no cache may keep unless `headers` say otherwise; `_` in a name stands for `-`."""
    response = Response(body, status, content_type=JSON)
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def encode(value: Any) -> bytes:
    """JSON of a model."""
    return msgspec.json.encode(value)


def json_body() -> bytes:
    """The body of the current request, refused unless it is declared as JSON."""
    if request.mimetype != JSON:
        raise Problem(415, "unsupported-media-type", "send application/json")
    too_large = Problem(413, "too-large", f"a body has at most {MAX_BODY} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    with _bounded(request.environ):
        content = request.get_data(cache=False)
    if len(content) > MAX_BODY:
        raise too_large
    return content


@contextmanager
def _bounded(environ: dict[str, Any]) -> Iterator[None]:
    """Give a slow sender `BODY_S` seconds for the whole body, so that it cannot keep a place for long.

    Only sockets of clients are read here, never Redis'.
    """
    if "gunicorn.socket" not in environ:
        yield
        return
    from gevent import Timeout

    limit: Any = Timeout
    with limit(BODY_S, Problem(408, "too-slow", "the body did not arrive in time")):
        yield


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


def _unknown(detail: str) -> str:
    """The field that a message of msgspec names in back ticks."""
    name = detail.split("`")[1] if detail.count("`") >= 2 and "field" in detail else ""
    return f"/{name}" if name else ""
