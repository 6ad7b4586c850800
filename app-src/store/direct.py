"""The hottest requests without Flask: its contexts and routing cost as much as a whole checkout in the store.

What a handler here raises becomes the same problem document as everywhere, and the same checks come before it. Flask
has a route for each of them too, for their place in the API's document and for other methods.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store.errors import headers_of, status_line
from store.gate import KEY, Answer, StartResponse, WsgiApp
from store.parts import Parts
from store.refusals import check_origin, document

Handler = Callable[[Parts, dict[str, Any]], Answer]


class Direct:
    """Asks the handler of a method and an exact path, and the application for everything else."""

    def __init__(self, app: WsgiApp, store: Parts, handlers: Mapping[tuple[str, str], Handler]) -> None:
        self._app = app
        self._store = store
        self._handlers = handlers

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        handler = self._handlers.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if handler is None:
            return self._app(environ, start_response)
        environ[KEY].route = environ["PATH_INFO"]
        try:
            check_origin(environ, self._store.settings.origins)
            status, headers, body = handler(self._store, environ)
        except Exception as error:
            problem, body = document(error, environ)
            status, headers = status_line(problem), headers_of(problem, body)
        start_response(status, headers)
        return [body]
