"""What the three kinds of customers send."""

import json

from kubestore.prove.clients import CART_LINES, Plan, Shopper
from kubestore.prove.target import Target
from kubestore.prove.wire import Answer

PLAN = Plan(Target("127.0.0.1", 8080), rate=300)


def answer(cookie: str = "") -> Answer:
    """What the store says."""
    return Answer(201, "1", cookie, False, b"{}")


def test_about_thirty_per_cent_are_posts_with_a_whole_body() -> None:
    shopper = Shopper(PLAN, ["A", "B"], 1)
    requests = [shopper.next() for _ in range(2000)]
    posts = [(head, body) for method, head, body in requests if method == "POST"]
    assert 0.26 < len(posts) / len(requests) < 0.34
    for head, body in posts:
        assert f"Content-Length: {len(body)}\r\n".encode() in head
        assert json.loads(body)["sku"] in ("A", "B")


def test_a_shopper_keeps_the_session_and_leaves_it_before_the_cart_is_full() -> None:
    shopper = Shopper(PLAN, ["A"], 1)
    shopper.learn("POST", answer("session=x"))
    for _ in range(CART_LINES - 2):
        shopper.learn("POST", answer())
    assert b"Cookie: session=x" in shopper.next()[1]
    shopper.learn("POST", answer())
    assert b"Cookie" not in shopper.next()[1]


def test_the_rates_of_the_kinds_add_up_to_the_plan() -> None:
    paces = PLAN.paces
    idle = PLAN.idle / 3
    assert abs(PLAN.busy * paces["busy"] + PLAN.fresh * paces["fresh"] + idle - PLAN.rate) < 1
