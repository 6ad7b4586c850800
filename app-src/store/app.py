"""Wiring: which parts the application has and who gets to know whom."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.routing import MapAdapter

from store import admin, answers, carts, health, openapi, orders, products, refusals
from store import settings as settings_module
from store.db import Database
from store.gate import Gate
from store.logs import configure
from store.metrics import Metrics
from store.parts import Parts
from store.settings import Settings
from store.snapshot import Snapshot


class Store(Flask):
    """Flask without what the store has no use for: host matching, redirects of paths, coroutines."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match by path and method alone; werkzeug's way takes the Host header apart for every request."""
        if request is None:
            return None
        environ = request.environ
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        return MapAdapter(self.url_map, "localhost", "/", "", "http", path, environ["REQUEST_METHOD"])

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Every handler is an ordinary function."""
        return func


def create_app(settings: Settings | None = None, *, background: bool = True) -> Flask:
    """Build the application from `settings` (the environment's by default).

    `background=False` starts no refresh loop: tests refresh the snapshot themselves. Raises `SettingsError`.
    """
    settings = settings or settings_module.load()
    configure(settings.log_level)
    metrics = Metrics(settings.version)
    db = Database(settings, metrics.redis_call)
    snapshot = Snapshot(db, settings)
    metrics.watch_snapshot(lambda: snapshot.age_s)

    app = Store("store", static_folder="web/static", static_url_path="/static")
    app.url_map.merge_slashes = False
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.config["MAX_CONTENT_LENGTH"] = answers.MAX_BODY + 1  # a chunked body is cut there, and refused
    app.extensions["store"] = Parts(settings, metrics, db, snapshot)
    refusals.register(app)
    for part in (health, products, carts, orders, admin, openapi):
        app.register_blueprint(part.blueprint)
    gate = Gate(app.wsgi_app, settings, metrics, products.shelf(snapshot))
    app.wsgi_app = gate  # type: ignore[method-assign]
    if background:
        snapshot.start()
        gate.start()
    return app
