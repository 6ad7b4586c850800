"""The API's description (OpenAPI 3.1), made from the models that validate, and a page that shows it."""

import html
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from flask import Blueprint, Response

from store import admin, carts, orders, products
from store.answers import JSON, json_response
from store.errors import CONTENT_TYPE
from store.parts import parts

blueprint = Blueprint("openapi", __name__, url_prefix="/api/v1")


class ProblemOut(msgspec.Struct):
    """RFC 9457; `field` is the JSON pointer of the value that was refused, or the parameter's name."""

    type: str
    title: str
    status: int
    detail: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class VersionOut(msgspec.Struct):
    """The build that answers."""

    version: str


class StatusOut(msgspec.Struct):
    """Why a probe is content."""

    status: str


@dataclass(frozen=True)
class Operation:
    """One method of one path: what goes in and what may come out."""

    method: str
    path: str
    summary: str
    answer: type
    status: int = 200
    body: type | None = None
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    secured: str = ""


PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "cursor": {"type": "string", "maxLength": 64},
    "q": {"type": "string", "maxLength": 100},
    "category": {"type": "string", "maxLength": 32},
    "key": {"type": "string", "maxLength": 64},
    "If-Match": {"type": "string"},
    "Idempotency-Key": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
    "sku": {"type": "string", "pattern": "^[A-Z0-9][A-Z0-9-]{1,31}$"},
    "number": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
REQUIRED_HEADERS: Final = frozenset(("Idempotency-Key",))
PAGED: Final = ("limit", "cursor")
WRITE: Final = (400, 403, 413, 415, 422)

OPERATIONS: Final = (
    Operation("get", "/livez", "Whether the process runs", StatusOut),
    Operation("get", "/readyz", "Whether the catalog has been loaded", StatusOut),
    Operation("get", "/version", "The build that answers", VersionOut),
    Operation("get", "/api/v1/products", "Products by SKU", products.ProductPage,
              query=("category", "q", *PAGED), headers=("If-None-Match",), refused=(304, 422)),
    Operation("get", "/api/v1/products/{sku}", "One product", products.ProductOut, refused=(404,)),
    Operation("get", "/api/v1/cart", "The session's cart", carts.CartOut, secured="session"),
    Operation("post", "/api/v1/cart/items", "Add to the cart", carts.CartOut, body=carts.AddItem,
              refused=(*WRITE, 409), secured="session"),
    Operation("put", "/api/v1/cart/items/{sku}", "Set a line's quantity", carts.CartOut, body=carts.SetItem,
              headers=("If-Match",), refused=(*WRITE, 404, 409, 412, 428), secured="session"),
    Operation("delete", "/api/v1/cart/items/{sku}", "Remove a line", carts.CartOut, headers=("If-Match",),
              refused=(403, 404, 412), secured="session"),
    Operation("post", "/api/v1/checkout", "Order what is in the cart", orders.OrderOut, 201,
              body=orders.Checkout, headers=("Idempotency-Key",), refused=(*WRITE, 409), secured="session"),
    Operation("get", "/api/v1/orders", "The session's orders, newest first", orders.OrderPage, query=PAGED,
              refused=(422,), secured="session"),
    Operation("get", "/api/v1/orders/{number}", "One order", orders.OrderOut, query=("key",),
              refused=(404, 422), secured="session"),
    Operation("post", "/api/v1/orders/{number}/cancel", "Cancel an order", orders.OrderOut, query=("key",),
              refused=(403, 404, 409, 422), secured="session"),
    Operation("get", "/api/v1/admin/stock", "Stock of every SKU", admin.StockPage, query=PAGED,
              refused=(401, 404, 422), secured="admin"),
    Operation("put", "/api/v1/admin/stock/{sku}", "Set the stock", admin.StockOut, body=admin.SetStock,
              refused=(*WRITE, 401, 404, 409), secured="admin"),
    Operation("post", "/api/v1/admin/stock/{sku}/adjust", "Add to the stock or take from it", admin.StockOut,
              body=admin.AdjustStock, refused=(*WRITE, 401, 404, 409), secured="admin"),
    Operation("get", "/api/v1/admin/orders", "All orders, newest first", orders.OrderPage, query=PAGED,
              refused=(401, 404, 422), secured="admin"),
    Operation("get", "/api/v1/admin/orders/{number}", "Any order", orders.OrderOut, refused=(401, 404, 422),
              secured="admin"),
    Operation("post", "/api/v1/admin/orders/{number}/pay", "The money has come in", orders.OrderOut,
              refused=(401, 403, 404, 409), secured="admin"),
    Operation("post", "/api/v1/admin/orders/{number}/ship", "The parcel has gone",
              orders.OrderOut, refused=(401, 403, 404, 409), secured="admin"),
    Operation("post", "/api/v1/admin/orders/{number}/cancel", "Cancel and put the pieces back",
              orders.OrderOut, refused=(401, 403, 404, 409), secured="admin"),
)  # fmt: skip

MEANING: Final = {
    304: "Unchanged since the ETag that was sent",
    400: "Malformed, or a header is missing",
    401: "No valid bearer token",
    403: "Sent by a page of another site",
    404: "Not there, or not yours",
    409: "Does not fit the state of the data",
    412: "The cart has changed since",
    413: "The body is larger than 64 KiB",
    415: "Not application/json",
    422: "A value is refused; `field` names it",
    428: "If-Match is missing",
    503: "Full, or the data cannot be reached; try again after Retry-After",
}


@cache
def document(version: str) -> dict[str, Any]:
    """The whole description as a JSON value."""
    models = {operation.answer for operation in OPERATIONS} | {ProblemOut}
    models |= {operation.body for operation in OPERATIONS if operation.body}
    ordered = sorted(models, key=lambda model: model.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    refs = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "KubeStore", "version": version, "description": "A catalog, carts and orders."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "store_session"},
                "admin": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(operation: Operation, refs: dict[type, Any]) -> dict[str, Any]:
    name = "_".join(part.strip("{}") for part in (operation.method, *operation.path.split("/")[1:]))
    content = {JSON: {"schema": refs[operation.answer]}}
    answers: dict[str, Any] = {str(operation.status): {"description": "Done", "content": content}}
    for status in sorted({*operation.refused, 503}):
        answers[str(status)] = {"description": MEANING[status]}
        if status != 304:
            answers[str(status)]["content"] = {CONTENT_TYPE: {"schema": refs[ProblemOut]}}
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": answers,
    }
    if operation.secured:
        optional: list[dict[str, Any]] = [{}] if operation.secured == "session" else []
        described["security"] = [*optional, {operation.secured: []}]
    if operation.body:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": refs[operation.body]}}}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    inside = [part.strip("{}") for part in operation.path.split("/") if part.startswith("{")]
    found = [{"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]} for name in inside]
    found += [{"name": name, "in": "query", "schema": PARAMETERS[name]} for name in operation.query]
    found += [
        {"name": name, "in": "header", "required": name in REQUIRED_HEADERS,
         "schema": PARAMETERS.get(name, {"type": "string"})}
        for name in operation.headers
    ]  # fmt: skip
    return found


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The description, for machines."""
    return json_response(msgspec.json.encode(document(parts().settings.version)))


@blueprint.get("/docs")
def docs() -> Response:
    """The description, for people: one page without scripts."""
    response = Response(page(parts().settings.version), content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@cache
def page(version: str) -> str:
    """The HTML of the description."""
    rows = []
    for operation in OPERATIONS:
        answers = ", ".join(str(status) for status in (operation.status, *sorted({*operation.refused, 503})))
        takes = [*operation.query, *operation.headers]
        if operation.body:
            takes.insert(0, operation.body.__name__)
        cells = (operation.method.upper(), operation.path, operation.summary, ", ".join(takes), answers)
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    schemas = "".join(
        f"<h3 id='{name}'>{name}</h3><pre>{html.escape(_pretty(schema))}</pre>"
        for name, schema in document(version)["components"]["schemas"].items()
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>KubeStore API</title>"
        "<meta name='viewport' content='width=device-width'><link rel='stylesheet' href='/static/api.css'>"
        f"<h1>KubeStore API <small>{html.escape(version)}</small></h1>"
        "<p>The same for machines: <a href='/api/v1/openapi.json'>openapi.json</a></p>"
        "<table><tr><th>Method<th>Path<th>What it does<th>Takes<th>Answers</tr>"
        f"{''.join(rows)}</table><h2>Models</h2>{schemas}</html>"
    )


def _pretty(schema: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
