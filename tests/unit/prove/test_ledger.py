"""The ledger of what was measured."""

from pathlib import Path

from kubestore.prove import ledger


def test_a_spread_has_n_median_and_p95() -> None:
    found = ledger.spread([float(n) for n in range(1, 101)])
    assert found == {"n": 100, "median": 51.0, "p95": 96.0, "least": 1.0, "most": 100.0}
    assert ledger.spread([]) == {}


def test_each_run_adds_a_line_with_its_commit_and_machine(tmp_path: Path) -> None:
    ledger.record("rollout", True, 10, {"failed": 0}, folder=tmp_path)
    ledger.record("rollout", False, 20, {"failed": 1}, folder=tmp_path)
    with (tmp_path / ledger.FILE).open("a") as file:
        file.write('{"cut off')
    lines = ledger.read(tmp_path)
    assert [line["n"] for line in lines] == [10, 20]
    assert set(lines[0]) == {"at", "proof", "form", "ok", "n", "figures", "commit", "machine"}
    assert lines[0]["machine"]["cores"] >= 1


def test_the_table_shows_the_last_run_of_each_proof_and_its_verdict(tmp_path: Path) -> None:
    ledger.record("rollout", True, 10, {"failed": 0}, folder=tmp_path)
    ledger.record("rollout", False, 20, {"failed": 3, "s": ledger.spread([1.0])}, folder=tmp_path)
    rows = ledger.rows(ledger.latest(ledger.read(tmp_path)))
    assert [row[:5] for row in rows] == [
        ["rollout", "quick", "FAILED", "20", "failed"],
        ["rollout", "quick", "FAILED", "20", "s"],
    ]
    assert rows[1][5] == "1.0 (p95 1.0, 1.0-1.0, N=1)"
    assert ledger.markdown(ledger.read(tmp_path)).startswith("| proof |")


def test_nothing_measured_is_said_to_be_so(tmp_path: Path) -> None:
    assert ledger.text(ledger.read(tmp_path)) == "nothing has been measured yet"
