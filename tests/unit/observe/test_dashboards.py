"""Dashboards: Git holds what is generated, every panel says what it shows, every query is PromQL."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from kubestore.errors import KubestoreError
from kubestore.observe import dashboards, verbs
from store.metrics import Metrics

BOARDS = {name: json.loads(text) for name, text in dashboards.texts().items()}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in dashboards.panels(board)]
QUESTIONS = dashboards.questions()


def test_the_committed_dashboards_are_the_generated_ones() -> None:
    assert dashboards.differing() == [], "run `kubestore dashboards`"


def test_a_changed_a_missing_and_a_stray_file_are_told_and_mended(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(dashboards.FOLDER, tmp_path / "boards"))
    (folder / "store.json").write_text("{}")
    (folder / "cluster-resources.json").unlink()
    (folder / "old.json").write_text("{}")
    assert dashboards.differing(folder) == ["cluster-resources.json", "old.json", "store.json"]
    dashboards.write(folder)
    assert dashboards.differing(folder) == []


def test_check_fails_when_git_holds_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verbs.boards, "differing", lambda: ["store.json"])
    done = CliRunner().invoke(verbs.dashboards, ["--check"])
    assert isinstance(done.exception, KubestoreError)
    assert "store.json" in done.exception.what


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda value: str(value)[:40])
def test_a_panel_has_title_description_unit_and_a_source_that_can_be_chosen(
    name: str, panel: dict[str, Any]
) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert 1 <= len(panel["targets"]) <= 3


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_a_dashboard_has_its_own_uid_a_link_to_the_others_and_no_panel_over_another(
    board: dict[str, Any],
) -> None:
    assert board["uid"].startswith("kubestore-")
    assert board["links"][0]["tags"] == ["kubestore"]
    assert "kubestore" in board["tags"]
    assert board["templating"]["list"][0]["name"] == "datasource"
    taken: set[tuple[int, int]] = set()
    for panel in dashboards.panels(board):
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_dashboards_do_not_share_a_uid() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.board}: {q.panel}")
def test_every_query_is_promql(question: dashboards.Question) -> None:
    promql_parser.parse(question.expr.replace("$__rate_interval", "1m"))


def test_a_query_that_is_none_would_be_noticed() -> None:
    with pytest.raises(ValueError):
        promql_parser.parse("sum by (pod (up)")


def test_every_metric_of_the_store_that_a_panel_asks_for_is_one() -> None:
    metrics = Metrics("v1")
    metrics.request("GET", "/", 200, 0.1)
    metrics.redis_call("x", "ok", 0.1)
    metrics.orders.labels("placed").inc()
    metrics.overload.labels("queue").inc()
    served = set(re.findall(r"^(store_\w+)", generate_latest(metrics.registry).decode(), re.M))
    asked = {name for q in QUESTIONS for name in re.findall(r"\b(store_\w+)\{", q.expr)}
    assert len(asked) >= 10
    assert asked <= served


def test_variables_that_queries_use_are_there() -> None:
    for board in BOARDS.values():
        known = {one["name"] for one in board["templating"]["list"]} | {"__rate_interval"}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
        assert used <= known
