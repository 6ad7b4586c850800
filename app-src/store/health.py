"""Whether the process runs, whether it can serve, and which version it is."""

from flask import Blueprint, Response

from store.answers import json_response
from store.errors import unavailable
from store.parts import parts

blueprint = Blueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> Response:
    """The process answers; nothing else is asked."""
    return json_response(b'{"status":"ok"}')


@blueprint.get("/readyz")
def readyz() -> Response:
    """The catalog has been loaded once. A later outage of Redis, or draining, does not change the answer."""
    if not parts().snapshot.loaded:
        raise unavailable("the catalog has not been loaded yet", "not-ready")
    return json_response(b'{"status":"ready"}')


@blueprint.get("/version")
def version() -> Response:
    """The build that answers."""
    return json_response(b'{"version":"%s"}' % parts().settings.version.encode())
