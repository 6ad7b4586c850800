"""Wiring: which parts the application has and who gets to know whom."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from store import admin, carts, health, openapi, orders, products, refusals
from store import settings as settings_module
from store.db import Database
from store.direct import Direct, Route
from store.gate import Gate
from store.logs import configure
from store.metrics import Metrics
from store.parts import Parts
from store.settings import Settings
from store.snapshot import Snapshot


class NoSessions(SessionInterface):
    """Flask's sessions are not used; see `store.sessions` for ours."""

    _none: Final = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """The same nothing for everybody; it refuses to be written to."""
        return self._none


class Store(Flask):
    """Flask without what the store has no use for: host matching, redirects of paths, coroutines, sessions,
    signals, hooks after a request. They are a quarter of the time that Flask takes for a request."""

    session_interface = NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match by path and method alone; werkzeug's way takes the Host header apart for every request."""
        if request is None:
            return None
        environ = request.environ
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        return MapAdapter(self.url_map, "localhost", "/", "", "http", path, environ["REQUEST_METHOD"])

    def full_dispatch_request(self) -> Response:
        """What comes before a handler, the handler, and one place for all errors; each gives a `Response`."""
        try:
            early: Any = self.preprocess_request()
            given: Any = self.dispatch_request() if early is None else early
        except Exception as error:
            return refusals.answer(error)
        answer: Response = given
        return answer

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Nothing is left over from a request."""

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Nor from its context."""

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
    store = app.extensions["store"] = Parts(settings, metrics, db, snapshot)
    app.before_request(refusals.before)
    for part in (health, products, carts, orders, admin, openapi):
        app.register_blueprint(part.blueprint)
    hot = (
        Route("POST", orders.CHECKOUT, orders.CHECKOUT, orders.place),
        Route("GET", f"{products.PATH}/", f"{products.PATH}/<sku>", products.live),
    )
    direct = Direct(app.wsgi_app, store, hot)
    gate = Gate(direct, settings, metrics, products.shelf(snapshot))
    app.wsgi_app = gate  # type: ignore[method-assign]
    if background:
        snapshot.start()
        gate.start()
    return app
