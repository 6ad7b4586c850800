"""The store: a catalog, carts and orders over HTTP, with every fact in Redis."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(*args: Any, **kwargs: Any) -> "Flask":
    """The WSGI application, see `store.app.create_app`; imported late: the command line starts fast."""
    from store.app import create_app as make

    return make(*args, **kwargs)
