"""Guests' sessions: an opaque token in a cookie; Redis knows only its hash."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from flask import Response

from store.settings import Settings

COOKIE: Final = "store_session"
SESSIONS: Final = "sessions"
_SENT: Final = re.compile(rf"(?:^|;) *{COOKIE}=([A-Za-z0-9_-]{{22}}) *(?:;|$)")


@dataclass(frozen=True)
class Token:
    """A session's secret (128 random bits) and the id under which Redis keeps it."""

    secret: str
    sid: str


def new() -> Token:
    """A token nobody has."""
    return token(secrets.token_urlsafe(16))


def sent(environ: dict[str, Any]) -> Token | None:
    """The token in a request's cookie, whether or not such a session exists."""
    found = _SENT.search(environ.get("HTTP_COOKIE", ""))
    return token(found[1]) if found else None


def token(secret: str) -> Token:
    """The token with this secret."""
    digest = hashlib.sha256(b"session\0" + secret.encode()).digest()
    return Token(secret, base64.urlsafe_b64encode(digest).decode()[:32])


def session_key(sid: str) -> str:
    """The hash that says the session exists; its time to live is the session's."""
    return f"session:{sid}"


def orders_key(sid: str) -> str:
    """The sorted set of a session's orders; it lives as long as the session, the orders do not end."""
    return f"session-orders:{sid}"


def set_cookie(response: Response, token: Token, settings: Settings) -> None:
    """Hand a new session to the browser; scripts cannot read it and other sites do not send it."""
    response.set_cookie(
        COOKIE,
        token.secret,
        max_age=settings.session_ttl_s,
        path="/",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )
