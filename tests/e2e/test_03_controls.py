"""The proof of clean roll-outs proves something: with a protection taken away, customers notice."""

import pytest

from kubestore import ui
from kubestore.prove import controls
from kubestore.prove.cluster import Cluster
from tests.e2e.steps import figure, when

pytestmark = pytest.mark.e2e


def test_without_drain_requests_fail_and_with_everything_none_does(cluster: Cluster) -> None:
    cluster.settled(120)
    with when("one protection is taken away at a time", 300):
        outcomes = controls.prove(cluster)
    ui.say(ui.table([controls.row(outcome) for outcome in outcomes], controls.HEADERS))
    for outcome in outcomes:
        goal = {None: "reported", True: "> 0", False: "0"}[outcome.control.fails]
        verdict = outcome.verdict
        figure(f"failed without {outcome.control.name}", verdict.failures, verdict.requests, goal)
    wrong = [
        f"without {outcome.control.name}: {outcome.verdict.line()}" for outcome in outcomes if not outcome.ok
    ]
    assert not wrong, wrong
