"""The fault matrix and the picture of a spike."""

import pytest

from kubestore.errors import KubestoreError
from kubestore.prove import chaos, chart
from kubestore.prove.writes import Account


def test_a_row_that_was_not_run_is_named_and_never_counts_as_held() -> None:
    result = chaos.Result(chaos.MATRIX[0], None, note="no second node")
    assert chaos.said(result) == "not run"
    assert "not run" in chaos.table([result])
    assert "no second node" in chaos.table([result])


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KubestoreError, match="nonsense: no such fault") as error:
        chaos.prove(None, ["nonsense"])  # type: ignore[arg-type]
    assert "redis-kill" in error.value.hint


def test_names_of_faults_are_unique_and_each_has_a_hypothesis() -> None:
    names = [fault.name for fault in chaos.MATRIX]
    assert len(set(names)) == len(names) >= 12
    assert all(fault.hypothesis for fault in chaos.MATRIX)


def test_recovery_is_the_first_acknowledged_write_after_the_fault() -> None:
    account = Account(acks=[1.0, 2.0, 5.5])
    assert account.recovery(2.0) == 3.5
    assert account.recovery(6.0) == -1.0


def test_a_picture_has_its_panels_curves_and_marks() -> None:
    line = chart.Line("ready & <able>", "#000", [(0, 1), (10, 10)], steps=True)
    text = chart.svg("spike", [chart.Panel("pods", [line])], 20, [(10, "spike")])
    assert text.startswith("<svg")
    assert "ready &amp; &lt;able&gt;" in text
    assert text.count("<path") > 3


@pytest.mark.parametrize("most", [0.0, 0.4, 1.0, 9.9, 10.0, 437.0, 2200.0])
def test_ticks_reach_above_the_greatest_value(most: float) -> None:
    values = chart.ticks(most)
    assert values[0] == 0
    assert values[-1] >= most
    assert len(values) <= 7
