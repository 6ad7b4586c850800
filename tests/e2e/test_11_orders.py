"""Shoppers buy while pods and Redis die: nothing oversold, nothing acknowledged lost, nothing twice (G4).

The controls take one protection each out of the checkout script, and the figure that it guards must fail.
"""

import pytest

from kubestore.prove import ledger, orders
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.twin import Twin, two_pods
from kubestore.prove.workcopy import Workcopy
from tests.e2e.steps import figure, given, then, when
from tests.unit.store.mutants import control

pytestmark = pytest.mark.e2e

NAMESPACE = orders.NAMESPACE
CHECKOUTS = 20_000
IN_A_CONTROL = 1_000


def test_no_order_is_lost_doubled_or_oversold_while_pods_and_redis_die(cluster: Cluster) -> None:
    cluster.settled(120)
    twin = Twin(cluster, Workcopy.clone(cluster.instance.forge_url).folder, NAMESPACE)
    orders.on_disk(twin)
    with given("a copy of the store", 90):
        twin.__enter__()
    try:
        with given("two API pods", 60):
            twin.become(two_pods)
        with when(f"64 shoppers buy {CHECKOUTS} times, and each API pod and twice Redis are killed", 200):
            outcome = orders.trade(twin, CHECKOUTS, orders.BLOWS)
        told(outcome)
        with then("an emptied Redis is filled again by the pods, and none of them crashes", 40):
            refilled(cluster, twin)
        for name in ("duplicates", "oversold"):
            broken(cluster, twin, name)
    finally:
        twin.__exit__()


def told(outcome: orders.Outcome) -> None:
    """The figures of the real script; all findings must be none."""
    sales, figures = outcome.sales, outcome.figures
    ledger.record("orders", not outcome.found, outcome.report["acks"], figures)
    for name in ("oversold", "acknowledged_lost", "duplicates"):
        figure(f"orders: {name.replace('_', ' ')}", figures[name], outcome.report["acks"], "0")
    figure("orders: repeated keys answered again", sales.replayed, sales.repeats, "all")
    figure("orders: sent again by clients", sum(sales.sent_again.values()), sales.placed)
    with then("the audit is clean", 1):
        assert not outcome.found, (outcome.found, outcome.report["findings"][:20])
        assert sales.placed == CHECKOUTS
        assert sales.replayed == sales.repeats > 0.25 * CHECKOUTS
        assert outcome.report["acks"] == sales.placed + sales.repeats
        assert outcome.report["orders"] == sales.placed
        assert sales.sold_out > 0, "nothing was scarce, so nothing could be oversold"
        assert len(outcome.kills) == len(orders.BLOWS), outcome.kills


def refilled(cluster: Cluster, twin: Twin) -> None:
    """No push is needed: a pod that finds no catalog at all applies its own file."""
    before = {pod.name: pod.restarts for pod in cluster.pods(NAMESPACE)}
    orders.emptied(twin)
    scarce, plenty = orders.stocked(twin, 1)
    assert len(scarce) + len(plenty) >= 60
    assert {pod.name: pod.restarts for pod in cluster.pods(NAMESPACE)} == before


def broken(cluster: Cluster, twin: Twin, name: str) -> None:
    """The same with one protection taken away: the figure of its name must not be 0."""
    with when(f"the protection against {name} is taken away (control)", 75):
        orders.mutated(twin, control(name))
        orders.emptied(twin)
        cluster.rolled_out(30, STORE, NAMESPACE)
        outcome = orders.trade(twin, IN_A_CONTROL, seconds=60, hunted=1.0)
    count = outcome.figures[name]
    figure(f"orders, control: {name}", count, outcome.report["acks"], "> 0")
    ledger.record(f"orders-control-{name}", count > 0, outcome.report["acks"], outcome.figures)
    assert count > 0, outcome.found
