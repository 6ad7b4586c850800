"""Where exceptions become answers, and what is refused before any handler sees it."""

import logging
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, Response, request
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException

from store.answers import Complete
from store.errors import CorruptDataError, Problem, UnavailableError, headers_of, unavailable
from store.gate import KEY, RequestInfo
from store.parts import parts

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_KINDS: Final = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    431: "headers-too-large",
}

log = logging.getLogger("store.errors")


class Answered(Exception):
    """Leaves a handler from anywhere with an answer that is already there."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered")
        self.response = response


def info() -> RequestInfo:
    """What is known of the current request."""
    found: RequestInfo = request.environ[KEY]
    return found


def register(app: Flask) -> None:
    """Attach the checks and the one place that makes problem documents."""
    app.before_request(before)
    app.register_error_handler(Exception, answer)


def before() -> None:
    """Name the route for metrics and logs, and refuse writes that another site makes a browser send."""
    environ, rule = request.environ, request.url_rule
    if rule is not None:
        environ[KEY].route = rule.rule
    if environ["REQUEST_METHOD"] not in SAFE:
        _check_origin(environ)


def _check_origin(environ: dict[str, Any]) -> None:
    """Browsers say where a write comes from; other clients say nothing and have no cookie to steal."""
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "cross-site", "a page of another site may not write here")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or origin in parts().settings.origins:
        return
    if origin == "null" or urlsplit(origin).netloc.lower() != request.host.lower():
        raise Problem(403, "cross-site", "the Origin of this request is another site")


def answer(error: Exception) -> Response:
    """Any exception as a problem document; what nobody foresaw is logged and says nothing more."""
    if isinstance(error, Answered):
        return error.response
    problem = _problem(error)
    body = problem.body()
    return Complete(body, problem.status, headers_of(problem, body))


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnavailableError):
        log.warning("request %s: %s", info().id, error)
        return unavailable("the store's data cannot be reached at the moment; nothing is known to be lost")
    if isinstance(error, CorruptDataError):
        log.error("request %s: corrupt data: %s", info().id, error)
        return Problem(500, "corrupt-data", "stored data is not what it should be; nothing was changed")
    if isinstance(error, HTTPException) and error.code and error.code < 500:
        headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Location")}
        kind = _KINDS.get(error.code, "bad-request")
        return Problem(error.code, kind, error.description or kind, headers=headers)
    if isinstance(error, (ParseException, NoMoreData)):
        return Problem(400, "malformed", "the body is not what its headers announced")
    log.error("request %s failed", info().id, exc_info=error)
    return Problem(500, "internal", "the store made a mistake; it has been written down")
