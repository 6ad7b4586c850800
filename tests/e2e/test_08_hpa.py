"""A spike takes the store from 1 to 10 pods in one step, and back, and nobody sees an error."""

import pytest

from kubestore.prove import blackfriday, chart, ledger
from kubestore.prove.cluster import Cluster
from tests.e2e.steps import figure, given, then, when

pytestmark = pytest.mark.e2e

# metrics-server looks every 10 s, so a spike just after its look waits longest: such a one is printed, and tried again.
TRIES = 2


def black_friday(cluster: Cluster) -> blackfriday.Spike:
    """One spike, printed and recorded."""
    with given("one pod at rest", 240):
        cluster.settled(120)
        blackfriday.calm(cluster, 200)
    with when("Black Friday comes", 490):
        spike = blackfriday.spike(cluster)
    outcome = spike.outcome
    ledger.record("blackfriday", spike.ok, outcome.requests, blackfriday.figures([spike]))
    chart.write(ledger.FOLDER / "blackfriday.svg", blackfriday.picture(spike))
    most = max(sample.cpu_percent for sample in spike.samples)
    missed = "" if spike.in_time else " MISSED"
    figure("spike: 1 -> 10 Ready", f"{spike.to_most_s:.1f} s", 1, f"<= 30 s{missed}")
    figure("spike: back to 1", f"{spike.down_s:.0f} s after its start", 1)
    figure("spike: failed requests", outcome.failures, outcome.requests, "0")
    figure("spike: rate, p95, CPU", f"{outcome.peak_rate:.0f}/s, {outcome.p95_ms:.0f} ms, {most} %", 1)
    assert outcome.failures == 0, outcome.line()
    return spike


def test_a_spike_scales_to_ten_and_back_and_nobody_sees_an_error(cluster: Cluster) -> None:
    for _ in range(TRIES):
        spike = black_friday(cluster)
        if spike.in_time:
            break
    with then("ten pods were ready in time and one is left", 1):
        assert spike.in_time, f"10 ready after {spike.to_most_s:.1f} s"
        assert spike.down_s > 0, "it did not come down to one pod"
