"""Redis is killed twice under load; what was acknowledged is there afterwards."""

import pytest

from kubestore import ui
from kubestore.prove import chaos, faults
from kubestore.prove.cluster import Cluster
from tests.e2e.steps import figure, then

pytestmark = pytest.mark.e2e

HYPOTHESIS = "Redis is killed twice: nothing acknowledged is lost"
TWICE = chaos.Fault("redis-kill-2", HYPOTHESIS, faults.redis_killed(2), None, 60)


def test_nothing_acknowledged_is_lost_when_redis_is_killed_twice(cluster: Cluster) -> None:
    cluster.settled(120)
    with then("nothing acknowledged is lost", 150):
        result = chaos.run(cluster, TWICE)
    ui.say(chaos.table([result]))
    figure("Redis killed twice: acknowledged writes lost", result.lost, result.writes, "0")
    figure("Redis killed twice: failed requests", result.failed, result.requests)
    figure("Redis killed: until a write is acknowledged", result.note, 2, "<= 3 s p95")
    assert result.ok, result
