"""Network policies are enforced: seen from real pods, with the policies lifted as the control."""

import pytest

from kubestore.prove import policies
from kubestore.prove.cluster import Cluster
from tests.e2e.steps import figure, given, then

pytestmark = pytest.mark.e2e


def test_pods_reach_what_a_policy_allows_and_nothing_else(cluster: Cluster) -> None:
    with given("every Application is Synced and Healthy", 120):
        cluster.settled(120)
    with then("flows are as the policies say, and open with the policies lifted", 120):
        took = policies.prove(cluster)
    forbidden = sum(not flow.allowed for flow in policies.FLOWS)
    figure("flows probed from real pods", f"{len(policies.FLOWS) - forbidden} pass, {forbidden} do not", 1)
    figure("policies lifted, until every flow was open", f"{took['lifted_s']:.1f} s", 1, "<= 20 s")
    with then("Argo CD and the store go on", 60):
        cluster.refresh("root")
        cluster.settled(60)
