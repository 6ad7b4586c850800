"""Counting what customers met."""

import json
from pathlib import Path

from kubestore.prove.clients import Record
from kubestore.prove.tally import Tally, quantile, upper


def record(start: float, status: int = 200, version: str = "1", latency: float = 0.01) -> Record:
    """A GET of a busy client."""
    return Record("busy", "GET", start, latency, status, version, "" if status else "closed")


def test_no_failure_gives_the_bound_of_three_over_n() -> None:
    tally = Tally()
    for second in range(300):
        tally.add(record(second))
    verdict = tally.verdict()
    assert verdict.ok
    assert verdict.bound == 3 / 300
    assert "p < 1.0e-02" in verdict.line()


def test_answers_that_are_no_success_and_no_answers_are_failures_with_examples() -> None:
    tally = Tally()
    for status in (200, 503, 0, 404):
        tally.add(record(1.0, status))
    verdict = tally.verdict()
    assert (verdict.requests, verdict.failures, verdict.ok) == (4, 3, False)
    assert verdict.failures_by == {"busy GET 503": 1, "busy GET no answer": 1, "busy GET 404": 1}
    assert "no answer closed" in verdict.examples[1]
    assert verdict.bound > 3 / 4


def test_versions_have_their_first_and_last_answer() -> None:
    tally = Tally()
    for start, version in ((5.0, "2"), (1.0, "1"), (6.0, "1"), (9.0, "2")):
        tally.add(record(start, version=version))
    seen = tally.versions
    assert (seen["1"].first, seen["1"].last, seen["2"].first, seen["2"].last) == (1.0, 6.0, 5.0, 9.0)


def test_latencies_are_told_by_window() -> None:
    tally = Tally()
    for start in range(100):
        tally.add(record(start, latency=0.001 if start < 50 else 0.1))
    before, during = tally.latency(0, 50), tally.latency(50, 100)
    assert before is not None
    assert during is not None
    assert (before.n, before.p99, during.p50) == (50, 1.0, 100.0)
    assert tally.latency(200) is None


def test_an_outage_lasts_to_the_last_failure_after_the_fault() -> None:
    tally = Tally()
    for start, status in ((1.0, 0), (10.5, 503), (12.0, 0), (13.0, 200)):
        tally.add(record(start, status))
    assert tally.outage(10.0) == 2.0
    assert tally.outage(20.0) == 0.0


def test_a_journal_is_read_as_it_grows_whole_lines_only(tmp_path: Path) -> None:
    journal, tally = tmp_path / "j", Tally()
    tally.feed(journal)
    line = json.dumps(["busy", "GET", 1.0, 0.1, 200, "1", ""])
    journal.write_text(line + "\n" + line[:9])
    tally.feed(journal)
    assert tally.requests == 1
    with journal.open("a") as file:
        file.write(line[9:] + "\n" + json.dumps({"end": {"seconds": 2.0, "cpu_seconds": 0.5}}) + "\n")
    tally.feed(journal)
    assert (tally.requests, tally.verdict().rate, tally.verdict().cpu_cores) == (2, 1.0, 0.25)


def test_quantiles_are_of_the_nearest_rank() -> None:
    assert [quantile([4.0, 1.0, 3.0, 2.0], q) for q in (0.0, 0.5, 0.99)] == [1.0, 3.0, 4.0]


def test_the_bound_with_failures_lies_above_their_share() -> None:
    assert 0.01 < upper(10, 1000) < 0.03
    assert upper(5, 5) == 1.0
