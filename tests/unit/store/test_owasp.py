"""What must be refused, by the numbers of the OWASP API Security Top 10 (2023)."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from store import create_app
from store.settings import Settings
from tests.unit.store.shop import ADMIN, Assistant, Shopper, body

KEY = {"Idempotency-Key": "k-1"}


def refused(answer: TestResponse, status: int, kind: str = "") -> Any:
    """A problem document with this status and type, that no cache keeps."""
    assert answer.status_code == status, answer.data
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = body(answer)
    assert problem["status"] == status
    if kind:
        assert problem["type"] == f"/problems/{kind}"
    return problem


def post(client: FlaskClient, path: str, data: Any, **headers: str) -> TestResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, data=data, headers={"Content-Type": "application/json", **given})


# API1: broken object level authorization --------------------------------------------------------------


def test_api1_an_order_of_another_session_does_not_exist(app: Flask) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    other = Shopper(app)
    other.add("T-01")
    refused(other.client.get(f"/api/v1/orders/{number}"), 404, "not-found")


def test_api1_an_order_is_not_shown_without_a_session(app: Flask, client: FlaskClient) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    refused(client.get(f"/api/v1/orders/{number}"), 404, "not-found")


def test_api1_an_order_of_another_session_cannot_be_cancelled(app: Flask) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    refused(Shopper(app).client.post(f"/api/v1/orders/{number}/cancel"), 404, "not-found")
    assert Assistant(app).stock()["T-01"] == 9


def test_api1_the_link_of_one_order_does_not_open_another(app: Flask, client: FlaskClient) -> None:
    one, two = Shopper(app).order("k", T_01=1), Shopper(app).order("k", T_01=1)
    key = one["link"].partition("key=")[2]
    assert client.get(one["link"]).status_code == 200
    refused(client.get(f"/api/v1/orders/{two['order_id']}?key={key}"), 404, "not-found")


@pytest.mark.parametrize("key", ["", "x", "A" * 22, "%00", "é"])
def test_api1_a_guessed_link_does_not_open_an_order(key: str, app: Flask, client: FlaskClient) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    refused(client.get(f"/api/v1/orders/{number}?key={key}"), 404, "not-found")


def test_api1_an_order_that_is_not_yours_looks_like_one_that_is_not_there(
    app: Flask, client: FlaskClient
) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    assert client.get(f"/api/v1/orders/{number}").data == client.get(f"/api/v1/orders/{'a' * 32}").data


def test_api1_the_same_key_in_another_session_is_another_order(app: Flask) -> None:
    assert Shopper(app).order("k", T_01=1)["order_id"] != Shopper(app).order("k", T_01=1)["order_id"]


def test_api1_a_list_of_orders_has_only_those_of_the_session(app: Flask, client: FlaskClient) -> None:
    Shopper(app).order("k", T_01=1)
    assert body(client.get("/api/v1/orders")) == {"items": [], "next": None}


@pytest.mark.parametrize("number", ["../stock", "order:x", "A" * 32, "a" * 31, "%2e%2e", "*"])
def test_api1_a_number_that_is_none_reaches_no_key(number: str, client: FlaskClient) -> None:
    assert client.get(f"/api/v1/orders/{number}").status_code == 404


# API2: broken authentication --------------------------------------------------------------------------

ADMIN_CALLS = [
    ("GET", "/api/v1/admin/stock"),
    ("PUT", "/api/v1/admin/stock/T-01"),
    ("POST", "/api/v1/admin/stock/T-01/adjust"),
    ("GET", "/api/v1/admin/orders"),
    ("GET", f"/api/v1/admin/orders/{'a' * 32}"),
    ("POST", f"/api/v1/admin/orders/{'a' * 32}/pay"),
    ("POST", f"/api/v1/admin/orders/{'a' * 32}/ship"),
    ("POST", f"/api/v1/admin/orders/{'a' * 32}/cancel"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
def test_api2_nothing_of_the_admin_works_without_a_token(method: str, path: str, client: FlaskClient) -> None:
    answer = client.open(path, method=method, json={} if method != "GET" else None)
    refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer admin-token-for-the-test",
        "Bearer admin-token-for-the-tests2",
        "Basic admin-token-for-the-tests",
        "admin-token-for-the-tests",
        "Bearer ADMIN-TOKEN-FOR-THE-TESTS",
    ],
)
def test_api2_a_wrong_token_is_refused(value: str, client: FlaskClient) -> None:
    refused(client.get("/api/v1/admin/stock", headers={"Authorization": value}), 401, "unauthorized")


def test_api2_without_a_configured_token_there_is_no_admin(settings: Settings, raw: Any) -> None:
    app = create_app(replace(settings, admin_token=""), background=False)
    for token in ("Bearer ", "Bearer x"):
        answer = app.test_client().get("/api/v1/admin/stock", headers={"Authorization": token})
        refused(answer, 404, "not-found")


def test_api2_both_tokens_of_a_rotation_are_valid(settings: Settings, raw: Any) -> None:
    client = create_app(replace(settings, admin_token_next="n" * 24), background=False).test_client()
    for token in (settings.admin_token, "n" * 24):
        answer = client.get("/api/v1/admin/stock", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("token", ["", "x", "A" * 21, "A" * 23, "A" * 21 + "/", "' OR 1=1 --", "{}"])
def test_api2_what_is_no_token_makes_no_session_of_its_name(token: str, app: Flask, raw: Any) -> None:
    shopper = Shopper(app)
    shopper.client.set_cookie("store_session", token)
    assert shopper.cart().status_code == 200
    assert raw.keys("session:*") == []


def test_api2_redis_does_not_know_the_token(app: Flask, raw: Any) -> None:
    shopper = Shopper(app)
    shopper.order("k", T_01=1)
    cookie = shopper.client.get_cookie("store_session")
    assert cookie is not None
    for key in raw.scan_iter():
        assert cookie.value not in key
        assert cookie.value.encode() not in _dump(raw, key)


def _dump(raw: Any, key: str) -> bytes:
    kind = raw.type(key)
    reader = {
        "hash": raw.hgetall,
        "string": raw.get,
        "stream": raw.xrange,
        "zset": lambda name: raw.zrange(name, 0, -1),
    }[kind]
    return repr(reader(key)).encode()


# API3: broken object property level authorization ------------------------------------------------------


@pytest.mark.parametrize("field", ["price_cents", "line_cents", "name", "available", "__class__"])
def test_api3_no_property_but_sku_and_quantity_can_be_put_in_a_cart(field: str, client: FlaskClient) -> None:
    content = json.dumps({"sku": "T-01", "quantity": 1, field: 1})
    problem = refused(post(client, "/api/v1/cart/items", content), 422, "invalid")
    assert problem["field"] == f"/{field}"


@pytest.mark.parametrize("field", ["total_cents", "status", "order_id", "lines", "currency", "discount"])
def test_api3_a_checkout_takes_nothing_but_what_was_seen(field: str, app: Flask) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    refused(shopper.checkout("k", {field: 1}), 422, "invalid")
    assert shopper.lines() == {"T-01": 1}


def test_api3_an_order_tells_the_admin_no_link_and_nobody_the_session(app: Flask, raw: Any) -> None:
    number = Shopper(app).order("k", T_01=1)["order_id"]
    told = body(app.test_client().get(f"/api/v1/admin/orders/{number}", headers=ADMIN))
    assert "link" not in told
    assert not {"sid", "key", "fp"} & told.keys()


@pytest.mark.parametrize(
    "content", [{"stock": 1}, {"stock": 1, "reason": "x", "sku": "T-02"}, {"reason": "x"}]
)
def test_api3_stock_is_set_with_a_reason_and_nothing_else(content: Any, client: FlaskClient) -> None:
    refused(client.put("/api/v1/admin/stock/T-01", json=content, headers=ADMIN), 422, "invalid")


# API4: unrestricted resource consumption ---------------------------------------------------------------


def test_api4_a_body_over_64_kib_is_refused(client: FlaskClient) -> None:
    refused(post(client, "/api/v1/cart/items", b" " * (64 * 1024 + 1)), 413, "too-large")


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e2", "99999999999999999999", "", "٣", "10 "])
def test_api4_a_list_is_at_most_100_long(limit: str, client: FlaskClient) -> None:
    refused(client.get("/api/v1/products", query_string={"limit": limit}), 422, "invalid")


@pytest.mark.parametrize("quantity", [0, -1, 100, 10**30, 1.5, "1", None, True, []])
def test_api4_a_line_is_from_1_to_99(quantity: Any, client: FlaskClient) -> None:
    content = json.dumps({"sku": "T-01", "quantity": quantity})
    problem = refused(post(client, "/api/v1/cart/items", content), 422, "invalid")
    assert problem["field"] == "/quantity"


@pytest.mark.parametrize("path", ["/api/v1/cart/items", "/api/v1/checkout"])
@pytest.mark.parametrize(
    "content", ["[" * 30_000 + "]" * 30_000, '{"a":' * 9_000, "[" * 500 + "]" * 500, "[" * 501]
)
def test_api4_deeply_nested_json_is_refused(path: str, content: str, client: FlaskClient) -> None:
    client.post("/api/v1/cart/items", json={"sku": "T-01"})
    answer = client.post(
        path, data=content, content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code in (400, 422), answer.data


def test_api4_a_long_search_is_refused(client: FlaskClient) -> None:
    refused(client.get("/api/v1/products", query_string={"q": "x" * 101}), 422, "invalid")


@pytest.mark.parametrize("key", ["x" * 129, "a b", "a\tb", "é", ""])
def test_api4_a_key_is_short_and_visible(key: str, app: Flask) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    refused(shopper.checkout(key), 400, "idempotency-key")


def test_api4_a_cursor_of_another_list_is_refused(client: FlaskClient) -> None:
    cursor = body(client.get("/api/v1/products?limit=1"))["next"]
    refused(client.get(f"/api/v1/orders?cursor={cursor}"), 422, "invalid")


@pytest.mark.parametrize("cursor", ["!", "MQ==", "x" * 65, "é", "Mg", "MQoK", "AAAA"])
def test_api4_a_cursor_that_no_list_made_is_refused(cursor: str, client: FlaskClient) -> None:
    refused(client.get("/api/v1/orders", query_string={"cursor": cursor}), 422, "invalid")


def test_api4_a_parameter_that_is_there_twice_is_refused(client: FlaskClient) -> None:
    refused(client.get("/api/v1/products?limit=1&limit=100"), 422, "invalid")


# API5: broken function level authorization -------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
def test_api5_a_shoppers_session_is_no_admin(method: str, path: str, app: Flask) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    answer = shopper.client.open(path, method=method, json={} if method != "GET" else None)
    refused(answer, 401, "unauthorized")


@pytest.mark.parametrize("act", ["pay", "ship"])
def test_api5_a_shopper_cannot_pay_or_ship(act: str, app: Flask) -> None:
    shopper = Shopper(app)
    number = shopper.order("k", T_01=1)["order_id"]
    refused(shopper.client.post(f"/api/v1/orders/{number}/{act}"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/products/T-01"),
        ("PUT", "/api/v1/products"),
        ("PATCH", "/api/v1/cart"),
        ("POST", "/api/v1/orders"),
        ("DELETE", "/api/v1/checkout"),
        ("TRACE", "/api/v1/products"),
    ],
)
def test_api5_a_method_that_is_not_there_is_named_with_those_that_are(
    method: str, path: str, client: FlaskClient
) -> None:
    answer = client.open(path, method=method)
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"]
    assert method not in answer.headers["Allow"]


# API6: unrestricted access to sensitive business flows -------------------------------------------------


def test_api6_a_checkout_without_a_key_is_refused(app: Flask) -> None:
    shopper = Shopper(app)
    shopper.add("T-01")
    refused(shopper.client.post("/api/v1/checkout", json={}), 400, "idempotency-key")
    assert shopper.lines() == {"T-01": 1}


def test_api6_a_flood_of_new_sessions_ends_at_the_bound(settings: Settings, raw: Any) -> None:
    app = create_app(replace(settings, sessions_max=5), background=False)
    app.extensions["store"].snapshot.refresh()
    answers = [Shopper(app).add("T-01").status_code for _ in range(8)]
    assert answers == [200] * 5 + [503] * 3
    assert len(raw.keys("session:*")) == 5


def test_api6_a_session_that_is_never_used_again_ends_soon(app: Flask, raw: Any) -> None:
    Shopper(app).add("T-01")
    (key,) = raw.keys("session:*")
    assert raw.ttl(key) <= 30 * 60


def test_api6_more_than_there_is_cannot_be_bought_in_pieces(app: Flask) -> None:
    first, second = Shopper(app), Shopper(app)
    first.order("k", T_01=6)
    second.add("T-01", 5)
    refused(second.checkout("k"), 409, "out-of-stock")


# API7: server side request forgery ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image", "url", "callback", "next"])
def test_api7_no_field_takes_an_address(name: str, client: FlaskClient) -> None:
    content = json.dumps({"sku": "T-01", name: "http://169.254.169.254/"})
    refused(post(client, "/api/v1/cart/items", content), 422, "invalid")
    refused(client.get("/api/v1/products", query_string={name: "http://localhost"}), 422, "invalid")


def test_api7_a_host_header_is_not_reflected(client: FlaskClient) -> None:
    answer = client.get("/nowhere", headers={"Host": "evil.example"})
    assert b"evil" not in answer.data
    assert "evil" not in str(answer.headers)


# API8: security misconfiguration ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/products", "/api/v1/cart", "/livez", "/nowhere", "/api/v1/docs"]
)
def test_api8_every_answer_has_the_security_headers(path: str, client: FlaskClient) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Store-Version"] == "v-test"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_api8_a_write_from_another_site_is_refused(headers: dict[str, str], app: Flask) -> None:
    shopper = Shopper(app)
    shopper.add("T-01", 1)
    content = {"sku": "T-01", "quantity": 1}
    refused(shopper.client.post("/api/v1/cart/items", json=content, headers=headers), 403, "cross-site")
    refused(shopper.client.post("/api/v1/checkout", json={}, headers={**headers, **KEY}), 403, "cross-site")
    refused(shopper.client.delete("/api/v1/cart/items/T-01", headers=headers), 403, "cross-site")
    assert shopper.lines() == {"T-01": 1}


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {}])
def test_api8_a_write_from_our_own_pages_is_not(headers: dict[str, str], client: FlaskClient) -> None:
    content = {"sku": "T-01", "quantity": 1}
    assert client.post("/api/v1/cart/items", json=content, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/xml"]
)
def test_api8_only_json_is_read(kind: str, client: FlaskClient) -> None:
    answer = client.post("/api/v1/cart/items", data='{"sku":"T-01"}', headers={"Content-Type": kind})
    refused(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"x"', "\xff", '{"sku":"T-01"}}', "{'sku':1}", "NaN"]
)
def test_api8_what_is_no_json_object_is_refused(content: str, client: FlaskClient) -> None:
    answer = post(client, "/api/v1/cart/items", content.encode("latin-1"))
    assert answer.status_code in (400, 422)
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("sku", ["", "t-01", "T-01\n", "T-01\x00", "#REV", "T 01", "../x", "T" * 33, "Ｔ-01"])
def test_api8_a_sku_is_what_a_sku_can_be(sku: str, client: FlaskClient) -> None:
    problem = refused(post(client, "/api/v1/cart/items", json.dumps({"sku": sku})), 422, "invalid")
    assert problem["field"] == "/sku"


@pytest.mark.parametrize("reason", ["", "\n", "a\x00b", "\x7f", "x" * 201])
def test_api8_a_reason_has_no_control_characters(reason: str, client: FlaskClient) -> None:
    content = {"delta": 1, "reason": reason}
    answer = client.post("/api/v1/admin/stock/T-01/adjust", json=content, headers=ADMIN)
    refused(answer, 422, "invalid")


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "/.env", "/metrics"]
)
def test_api8_nothing_but_the_api_is_served(path: str, client: FlaskClient) -> None:
    assert client.get(path).status_code == 404


def test_api8_a_mistake_of_ours_says_nothing_about_itself(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr("store.products.make_page", broken)
    answer = app.test_client().get("/api/v1/products?q=unseen")
    problem = refused(answer, 500, "internal")
    assert b"secret" not in answer.data
    assert set(problem) == {"type", "title", "status", "detail"}


def test_api8_the_cookie_is_secure_where_the_setting_says_so(settings: Settings, raw: Any) -> None:
    app = create_app(replace(settings, cookie_secure=True), background=False)
    app.extensions["store"].snapshot.refresh()
    cookie = Shopper(app).add("T-01").headers["Set-Cookie"]
    assert "; Secure" in cookie
    assert "HttpOnly" in cookie
    assert "Path=/" in cookie


# API9: improper inventory management --------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/v0/products", "/api/v2/products", "/api/products", "/products", "/debug"]
)
def test_api9_there_is_one_version_and_nothing_forgotten(path: str, client: FlaskClient) -> None:
    refused(client.get(path), 404, "not-found")


def test_api9_every_route_is_in_the_document_and_nothing_else(app: Flask, client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    hidden = {"/static/<path:filename>", "/api/v1/openapi.json", "/api/v1/docs"}
    real = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in hidden
    }
    assert described == real


# API10: unsafe consumption of APIs: here, of what Redis holds ---------------------------------------------


def test_api10_a_catalog_with_markup_is_data_not_markup(app: Flask, raw: Any, client: FlaskClient) -> None:
    document = json.loads(raw.hget("catalog", "T-01"))
    raw.hset("catalog", "T-01", json.dumps({**document, "name": "<script>alert(1)</script>"}))
    raw.hset("catalog:meta", "revision", "other")
    app.extensions["store"].snapshot.refresh()
    answer = client.get("/api/v1/products/T-01")
    assert answer.content_type == "application/json"
    assert body(answer)["name"] == "<script>alert(1)</script>"


@pytest.mark.parametrize("value", ["", "{", "[]", '{"order_id":1}', "\x00"])
def test_api10_an_order_that_cannot_be_read_is_not_guessed(value: str, app: Flask, raw: Any) -> None:
    shopper = Shopper(app)
    number = shopper.order("k", T_01=1)["order_id"]
    raw.hset(f"order:{number}", "answer", value)
    refused(shopper.client.get(f"/api/v1/orders/{number}"), 500, "corrupt-data")


def test_api10_a_request_id_that_is_none_is_not_taken_into_the_log(client: FlaskClient) -> None:
    for given in ("short", "x" * 65, "has space in it", 'quote"quote"', "a\tbbbbbbbbbb"):
        assert client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] != given
    good = "abc.DEF_123-456"
    assert client.get("/livez", headers={"X-Request-Id": good}).headers["X-Request-Id"] == good


def test_there_are_at_least_50_of_these() -> None:
    names = re.findall(r"def test_api\d+_", Path(__file__).read_text())
    assert len(names) >= 50
    assert {re.findall(r"\d+", name)[0] for name in names} == {str(number) for number in range(1, 11)}
