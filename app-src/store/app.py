"""Wiring: which parts the application has and who gets to know whom."""

from flask import Flask

from store import admin, answers, carts, health, openapi, orders, products, refusals
from store import settings as settings_module
from store.db import Database
from store.gate import Gate
from store.logs import configure
from store.metrics import Metrics
from store.parts import Parts
from store.settings import Settings
from store.snapshot import Snapshot


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

    app = Flask("store", static_folder="web/static", static_url_path="/static")
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
