"""The verdict on flows: silence where they are allowed is wrong, and so is a refusal where they are not."""

import pytest

from kubestore.prove import policies
from kubestore.prove.policies import FLOWS, Flow, wrong


def as_the_policies_say() -> dict[Flow, str]:
    return {flow: "open" if flow.allowed else "silent" for flow in FLOWS}


def test_every_flow_as_the_policies_say_is_right() -> None:
    assert not wrong(as_the_policies_say(), enforced=True)


def test_with_the_policies_lifted_every_silence_is_wrong() -> None:
    closed = [str(flow) for flow in FLOWS if not flow.allowed]
    assert [line.partition(":")[0] for line in wrong(as_the_policies_say(), enforced=False)] == closed


@pytest.mark.parametrize(
    ("allowed", "word"), [(True, "silent"), (True, "refused"), (False, "open"), (False, "refused")]
)
def test_one_flow_that_meets_what_it_must_not_is_named(allowed: bool, word: str) -> None:
    flow = next(flow for flow in FLOWS if flow.allowed is allowed)
    said = wrong({**as_the_policies_say(), flow: word}, enforced=True)
    assert said == [f"{flow}: {word}, must be {'open' if allowed else 'silent'}"]


def test_every_place_of_a_flow_is_known() -> None:
    places = {flow.target for flow in FLOWS} - {"outside"}
    assert places == set(policies.SERVICES)


def test_a_pod_that_is_made_for_probing_is_never_ready() -> None:
    made = policies.pod("monitoring", "probe-prometheus", {"app.kubernetes.io/name": "prometheus"})
    spec = made["spec"]
    assert isinstance(spec, dict)
    assert spec["readinessGates"]
