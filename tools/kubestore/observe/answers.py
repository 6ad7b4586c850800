"""What the queries of dashboards returned, and which panels may return nothing, with the reason of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubestore.observe.dashboards import Question

# (dashboard, panel) -> why it has no data on the embedded cluster. Such a panel must not have any.
EMPTY = {
    ("Cluster resources", "Writes by pod"): (
        "the blkio cgroups of the machine count no bytes, so cAdvisor has none to tell"
    ),
    ("Cluster resources", "Claims"): (
        "kubelet knows no size of a volume that is a plain folder of its node, as all volumes are there"
    ),
}
STAND_IN = 'job="kube-state-metrics"'
CHOSEN = {'=~"$node"': '=~".*"', '=~"$namespace"': '=~".*"', '="$namespace"': '="store"'}


@dataclass(frozen=True)
class Series:
    """One curve: its name as the legend has it, and points (seconds since the start, value)."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Answer:
    """What one query returned."""

    question: Question
    series: list[Series]

    @property
    def panel(self) -> tuple[str, str]:
        """Dashboard and panel."""
        return self.question.board, self.question.panel


def filled(expr: str, interval_s: int) -> str:
    """A query with every variable chosen: all nodes and namespaces, the store's where one is asked for."""
    for text, value in CHOSEN.items():
        expr = expr.replace(text, value)
    return expr.replace("$__rate_interval", f"{interval_s}s")


def series(question: Question, found: Sequence[dict[str, Any]], start: float) -> list[Series]:
    """Prometheus' answer, named by the question's legend; values that are no number are left out."""
    made = []
    for one in found:
        name = question.legend
        for key, value in one["metric"].items():
            name = name.replace("{{" + key + "}}", value)
        name = re.sub(r"\{\{\w+\}\}", "", name).strip()
        points = [(round(at - start, 1), float(text)) for at, text in one["values"]]
        kept = [(at, value) for at, value in points if value == value and abs(value) != float("inf")]
        if kept:
            made.append(Series(name, kept))
    return sorted(made, key=lambda one: one.name)


def missing(answers: Sequence[Answer]) -> list[str]:
    """What is wrong: panels without data that have no reason, and reasons for panels that have data."""
    full = {answer.panel for answer in answers if answer.series}
    asked = {answer.panel for answer in answers}
    found = [f"{board}: {panel}: no data" for board, panel in sorted(asked - full - EMPTY.keys())]
    found += [
        f"{board}: {panel}: has data, though it is listed as empty"
        for board, panel in sorted(full & EMPTY.keys())
    ]
    partly = {
        f"{answer.question.board}: {answer.question.panel}: no data for {answer.question.expr[:90]}"
        for answer in answers
        if not answer.series and answer.panel in full
    }
    return found + sorted(partly)
