"""The hottest requests without Flask: its contexts and routing cost as much as a whole checkout in the store.

What a handler here raises becomes the same problem document as everywhere, and the same checks come before it. Flask
has a route for each of them too, for their place in the API's document and for other methods.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from store.errors import headers_of, status_line
from store.gate import KEY, Answer, StartResponse, WsgiApp
from store.parts import Parts
from store.refusals import check_origin, document

Handler = Callable[[Parts, dict[str, Any], str], Answer]


@dataclass(frozen=True)
class Route:
    """A method and a path, and who answers; one that ends in `/` takes one more part. The handler is given the last.

    `template` is the route's name in metrics and logs, as Flask has it.
    """

    method: str
    path: str
    template: str
    handler: Handler


class Direct:
    """Asks the handler of a route, and the application for everything else."""

    def __init__(self, app: WsgiApp, store: Parts, routes: Iterable[Route]) -> None:
        self._app = app
        self._store = store
        self._routes = {(route.method, route.path): route for route in routes}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        folder, slash, last = path.rpartition("/")
        routes = self._routes
        route = (routes.get((method, path)) or routes.get((method, folder + slash))) if last else None
        if route is None:
            return self._app(environ, start_response)
        environ[KEY].route = route.template
        try:
            check_origin(environ, self._store.settings.origins)
            status, headers, body = route.handler(self._store, environ, last)
        except Exception as error:
            problem, body = document(error, environ)
            status, headers = status_line(problem), headers_of(problem, body)
        start_response(status, headers)
        return [body]
