"""A node is drained under load and nobody notices; a node dies and its pods are elsewhere in time."""

import pytest

from kubestore import ui
from kubestore.prove import nodes
from kubestore.prove.cluster import Cluster
from tests.e2e.steps import figure, given, nobody_saw_an_error, then, when

pytestmark = pytest.mark.e2e


def test_nobody_notices_a_drain_and_a_dead_nodes_pods_are_elsewhere_in_time(cluster: Cluster) -> None:
    with given("every Application is Synced and Healthy", 120):
        cluster.settled(120)
    with when("a worker is drained, and dies, under load", 360):
        drain, death = nodes.prove(cluster)
    ui.say(nodes.say(drain, death))
    figure("drain of a node under load: failed requests", drain.verdict.failures, drain.verdict.requests, "0")
    figure("drain of a node under load: pods moved", f"{drain.moved} in {drain.seconds:.1f} s", 1)
    figure("a worker dies: its pods are elsewhere", f"{death.elsewhere_s:.1f} s", 1, "<= 60 s")
    figure("a worker dies: last failed request", f"{death.last_failure_s:.1f} s after", 1)
    assert drain.moved > 0
    nobody_saw_an_error(drain.verdict, 500)
    with then("the death cost requests, so that the drain's silence says something", 1):
        assert death.verdict.failures > 0, death
    assert death.elsewhere_s <= nodes.ELSEWHERE_S, death
    with then("Argo CD and the store go on", 120):
        cluster.settled(120)
