"""What queries return: filling, naming, what is missing; and the picture that is drawn of it."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from kubestore import http, wait
from kubestore.errors import KubestoreError
from kubestore.observe import answers, dashboards, picture, prometheus, standin
from kubestore.observe.answers import Answer, Series
from kubestore.observe.dashboards import Question

QUESTIONS = dashboards.questions()
ONE = Question("Store", "Requests", "stat", "reqps", 'rate(a{namespace="$namespace"}[$__rate_interval])', "")


def full(question: Question) -> Answer:
    """An answer with one curve."""
    return Answer(question, [Series(question.legend, [(0.0, 1.0), (5.0, 2.0)])])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.board}: {q.panel}")
def test_a_filled_query_has_no_variable_left_and_is_promql(question: Question) -> None:
    filled = answers.filled(question.expr, 20)
    assert "$" not in filled
    promql_parser.parse(filled)


def test_a_series_is_named_by_the_legend_and_loses_what_is_no_number() -> None:
    found = [{"metric": {"pod": "a", "version": "1"}, "values": [[10, "NaN"], [15, "2"], [20, "+Inf"]]}]
    question = Question("Store", "P", "timeseries", "s", "x", "{{version}} of {{pod}}")
    assert answers.series(question, found, 10) == [Series("1 of a", [(5.0, 2.0)])]
    assert answers.series(question, [{"metric": {}, "values": [[10, "NaN"]]}], 10) == []


def test_every_panel_with_data_is_right_but_the_listed_one() -> None:
    listed = set(answers.EMPTY)
    found = [full(q) if (q.board, q.panel) not in listed else Answer(q, []) for q in QUESTIONS]
    assert answers.missing(found) == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.board}: {q.panel}")
def test_a_query_without_data_is_told(question: Question) -> None:
    if (question.board, question.panel) in answers.EMPTY:
        assert "listed as empty" in answers.missing([full(question)])[0]
        return
    found = [Answer(q, []) if q == question else full(q) for q in QUESTIONS]
    assert any(question.panel in text for text in answers.missing(found))


def test_every_listed_panel_exists() -> None:
    assert answers.EMPTY.keys() <= {(q.board, q.panel) for q in QUESTIONS}


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [
        (0.256, "percentunit", "25.6 %"),
        (51.0, "percent", "51 %"),
        (0.0123, "s", "12.3 ms"),
        (2.5, "s", "2.5 s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (2048, "Bps", "2 KiB/s"),
        (250, "reqps", "250/s"),
        (3, "none", "3"),
    ],
)
def test_a_value_is_shown_with_its_unit(value: float, unit: str, wanted: str) -> None:
    assert picture.shown(value, unit) == wanted


def test_stacked_series_lie_on_each_other() -> None:
    piled = picture.stacked([Series("a", [(0, 1), (5, 2)]), Series("b", [(5, 3)])])
    assert piled[1].points == [(5, 5)]


@pytest.mark.parametrize("file", sorted(dashboards.FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_picture_is_xml_with_every_panel_and_says_which_is_empty(file: Any) -> None:
    board = json.loads(file.read_text())
    text = picture.svg(board, [full(q) for q in QUESTIONS if q.panel != "CPU by pod"])
    ET.fromstring(text)
    for panel in dashboards.panels(board):
        assert panel["title"].replace("&", "&amp;") in text
    assert text.count(">no data<") == 1


@pytest.mark.parametrize(
    ("text", "value"), [("100m", 0.1), ("2", 2), ("128Mi", 2**27), ("1Gi", 2**30), ("5k", 5000), ("1M", 1e6)]
)
def test_a_quantity_is_a_number(text: str, value: float) -> None:
    assert standin.amount(text) == pytest.approx(value)


ITEMS: dict[str, list[dict[str, Any]]] = {
    "pods": [
        {
            "metadata": {"namespace": "store", "name": name},
            "status": {"phase": phase},
            "spec": {
                "nodeName": "n",
                "containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}],
            },
        }
        for name, phase in (("a", "Running"), ("done", "Succeeded"))
    ],
    "nodes": [{"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}}],
    "horizontalpodautoscalers": [
        {
            "metadata": {"namespace": "store", "name": "store"},
            "spec": {
                "maxReplicas": 10,
                "metrics": [{"resource": {"name": "cpu", "target": {"averageUtilization": 50}}}],
            },
            "status": {"currentReplicas": 1, "desiredReplicas": 3},
        }
    ],
}


class Fake:
    """The API server, as much as the stand-in asks of it."""

    def json(self, _: str, kind: str, *__: str, timeout: float = 0) -> dict[str, Any]:
        """`kubectl get`."""
        return {"items": ITEMS[kind]}


def test_the_stand_in_tells_prometheus_the_running_pods() -> None:
    found = json.loads(standin.targets(Fake(), "198.18.0.11:6443"))  # type: ignore[arg-type]
    assert [one["labels"]["pod"] for one in found] == ["a"]
    assert found[0]["labels"]["__metrics_path__"].endswith("/pods/a:9100/proxy/metrics")


def test_the_stand_in_tells_what_kube_state_metrics_would() -> None:
    told = standin.page(Fake())  # type: ignore[arg-type]
    name = "kube_pod_container_resource_requests"
    assert (
        f'{name}{{namespace="store",pod="a",container="c",node="n",resource="cpu",unit="core"}} 0.1' in told
    )
    assert "done" not in told
    assert 'kube_pod_info{namespace="store",pod="a",node="n",host_network="false"} 1.0' in told
    where = '{namespace="store",horizontalpodautoscaler="store"}'
    assert f"kube_horizontalpodautoscaler_status_desired_replicas{where} 3.0" in told
    asked = {
        name
        for q in QUESTIONS
        if answers.STAND_IN in q.expr
        for name in re.findall(r"\b(kube_\w+)\{", q.expr)
    }
    served = {line.partition("{")[0] for line in told.splitlines()}
    assert asked - {"kube_pod_container_resource_limits"} <= served


def test_promtool_takes_the_configuration_and_no_other(tmp_path: Path) -> None:
    tls = {"insecure_skip_verify": True}
    jobs = [
        *prometheus.kubelet({"node-1": "198.18.0.11"}, tls),
        prometheus.store("http://127.0.0.1:1/targets", tls),
        prometheus.fixed("node-exporter", "127.0.0.1:2", node="node-1"),
    ]
    assert prometheus.written(jobs, tmp_path).exists()
    with pytest.raises(KubestoreError, match="kubernetes_sd"):
        prometheus.written([*jobs, {"job_name": "x", "kubernetes_sd": 1}], tmp_path)


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KubestoreError) as told:
        prometheus.program("promtool")
    assert "install --no-install-recommends prometheus " in told.value.hint


def test_the_stand_in_serves_the_last_answer_at_once_and_nothing_else() -> None:
    served = standin.StandIn(Fake(), "198.18.0.11:6443")  # type: ignore[arg-type]
    try:
        url = f"http://127.0.0.1:{served.port}"
        wait.until(lambda: "kube_pod_info" in http.get(f"{url}/metrics").text, "the page", 5, 0.05)
        assert json.loads(http.get(f"{url}/targets").text)[0]["targets"] == ["198.18.0.11:6443"]
        assert http.get(f"{url}/other").status == 404
    finally:
        served.close()


def test_a_picture_marks_new_versions_but_not_those_that_were_there() -> None:
    board = json.loads((dashboards.FOLDER / "store.json").read_text())
    mark = next(q for q in QUESTIONS if q.kind == "annotation")
    new = Answer(mark, [Series("v1", [(0.0, 1)]), Series("v2", [(60.0, 1)])])
    others = [full(q) for q in QUESTIONS if q != mark]
    assert picture.versions([new]) == [(60.0, "v2")]
    assert "seen for the first time" in picture.svg(board, [*others, new])
    assert "seen for the first time" not in picture.svg(board, others)


@pytest.mark.parametrize(("value", "level"), [(0.0, "green"), (0.001, "orange"), (0.02, "red")])
def test_a_number_has_the_colour_of_its_threshold(value: float, level: str) -> None:
    board = json.loads((dashboards.FOLDER / "store.json").read_text())
    panel = next(one for one in dashboards.panels(board) if one["title"] == "Errors")
    assert picture.colour_of(panel, value) == picture.LEVELS[level]


def test_a_curve_is_not_drawn_over_a_gap() -> None:
    panel = {"fieldConfig": {"defaults": {"unit": "none"}}}
    series = [Series("a", [(0.0, 1), (5.0, 1), (90.0, 1), (95.0, 1)])]
    drawn = picture.curves(panel, series, (0, 0, 100, 100), 95, [])
    assert next(one for one in drawn if 'fill="none"' in one).split('"')[1].count("M") == 2
