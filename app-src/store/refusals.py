"""Where exceptions become answers, and what is refused before any handler sees it."""

import logging
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, request
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_host

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


def info(environ: dict[str, Any]) -> RequestInfo:
    """What is known of a request."""
    found: RequestInfo = environ[KEY]
    return found


def before() -> None:
    """Name the route for metrics and logs, and refuse writes that another site makes a browser send."""
    rule = request.url_rule
    if rule is not None:
        request.environ[KEY].route = rule.rule
    check_origin(request.environ, parts().settings.origins)


def check_origin(environ: dict[str, Any], origins: frozenset[str]) -> None:
    """Browsers say where a write comes from; other clients say nothing and have no cookie to steal."""
    if environ["REQUEST_METHOD"] in SAFE:
        return
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "cross-site", "a page of another site may not write here")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or origin in origins:
        return
    place = urlsplit(origin).netloc.lower()
    if not place or place != get_host(environ).lower():
        raise Problem(403, "cross-site", "the Origin of this request is another site")


def answer(error: Exception) -> Response:
    """Any exception as a problem document, as Flask takes it."""
    problem, body = document(error, request.environ)
    return Complete(body, problem.status, headers_of(problem, body))


def document(error: Exception, environ: dict[str, Any]) -> tuple[Problem, bytes]:
    """Any exception as a problem and its body; what nobody foresaw is logged and says nothing more."""
    problem = _problem(error, environ)
    return problem, problem.body()


def _problem(error: Exception, environ: dict[str, Any]) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnavailableError):
        log.warning("request %s: %s", info(environ).id, error)
        return unavailable("the store's data cannot be reached at the moment; nothing is known to be lost")
    if isinstance(error, CorruptDataError):
        log.error("request %s: corrupt data: %s", info(environ).id, error)
        return Problem(500, "corrupt-data", "stored data is not what it should be; nothing was changed")
    if isinstance(error, HTTPException) and error.code and error.code < 500:
        headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Location")}
        kind = _KINDS.get(error.code, "bad-request")
        return Problem(error.code, kind, error.description or kind, headers=headers)
    if isinstance(error, (ParseException, NoMoreData)):
        return Problem(400, "malformed", "the body is not what its headers announced")
    log.error("request %s failed", info(environ).id, exc_info=error)
    return Problem(500, "internal", "the store made a mistake; it has been written down")
