from flask.testing import FlaskClient

from store.sessions import COOKIE


def test_reading_makes_no_session(client: FlaskClient) -> None:
    assert client.get("/api/v1/cart").json == {"items": [], "total_cents": 0, "currency": "EUR", "etag": "0"}
    client.get("/api/v1/products")
    assert client.get_cookie(COOKIE) is None


def test_the_first_write_makes_a_session_with_a_cookie_no_script_can_read(client: FlaskClient) -> None:
    answer = client.post("/api/v1/cart/items", json={"sku": "T-01", "quantity": 2})
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    again = client.post("/api/v1/cart/items", json={"sku": "T-01"})
    assert "Set-Cookie" not in again.headers
    assert again.json is not None
    assert again.json["items"][0]["quantity"] == 3
    assert again.json["total_cents"] == 300
