"""The dashboard *Store* against the real store: two versions of it, a real Redis, a Prometheus that scrapes both."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestore.observe import answers, dashboards, prometheus
from kubestore.observe.dashboards import Question
from kubestore.observe.prometheus import Prometheus
from kubestore.observe.shop import Shop
from tests.unit.store.conftest import RedisServer
from tests.unit.store.served import Served

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CATALOG = Path(__file__).parents[3] / "apps/store/base/catalog.json"
SECONDS = 9.0
# What the store alone tells; the others need a cluster or Redis' exporter.
OWN = [
    question
    for question in dashboards.questions()
    if question.board == "Store" and not re.search(r"\b(kube|container|redis)_\w+\{", question.expr)
]


@pytest.fixture(scope="module")
def span(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, float, float]]:
    """A Prometheus that has watched two versions of the store under a light load, and from when to when."""
    folder = tmp_path_factory.mktemp("watch")
    patch = pytest.MonkeyPatch()
    patch.setattr(prometheus, "EVERY_S", 1)
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    served = [
        Served(redis.socket, CATALOG, tmp_path_factory.mktemp(v), STORE_VERSION=v, STORE_LOG_LEVEL="error")
        for v in ("v1", "v2")
    ]
    jobs = [
        {
            **prometheus.fixed("store", f"127.0.0.1:{one.metrics_port}", namespace="store", pod=f"pod-{n}"),
            "job_name": f"store-{n}",
        }
        for n, one in enumerate(served)
    ]
    server = Prometheus(jobs, folder, folder / "data")
    start = time.time()
    shops = [Shop(f"http://127.0.0.1:{one.port}", SECONDS) for one in served]
    time.sleep(SECONDS)
    for shop in shops:
        shop.stop()
    yield server, start, time.time()
    server.stop()
    for one in served:
        one.process.terminate()
        one.process.wait(20)
    redis.stop()
    patch.undo()


def asked(span: tuple[Prometheus, float, float], question: Question) -> list[answers.Series]:
    """The series of a question."""
    server, start, end = span
    expr = answers.filled(question.expr, 4)
    return answers.series(question, server.series(expr, start, end, 1), start)


@pytest.mark.parametrize("question", OWN, ids=lambda q: f"{q.panel} {q.legend}")
def test_a_query_of_the_store_returns_data(question: Question, span: tuple[Prometheus, float, float]) -> None:
    assert asked(span, question), question.expr


@pytest.mark.parametrize(
    "panel", ["Pods by version", "Requests by version", "Errors by version", "In flight"]
)
def test_both_versions_of_a_roll_out_are_seen(panel: str, span: tuple[Prometheus, float, float]) -> None:
    question = next(one for one in OWN if one.panel == panel)
    assert [one.name for one in asked(span, question)] == ["v1", "v2"]


def test_orders_are_seen_by_outcome(span: tuple[Prometheus, float, float]) -> None:
    question = next(one for one in OWN if one.panel == "Orders by outcome")
    assert {"placed", "replayed"} <= {one.name for one in asked(span, question)}


def test_a_metric_that_is_not_there_is_noticed(span: tuple[Prometheus, float, float]) -> None:
    question = next(one for one in OWN if one.panel == "Requests by version")
    wrong = Question(**{**vars(question), "expr": question.expr.replace("store_requests", "store_request")})
    assert asked(span, wrong) == []
