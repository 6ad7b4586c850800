"""The queue: whole or not there, releases first, the newest check only."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kubestore.errors import KubestoreError
from kubestore.lab.forge.runs import Runs


def test_rivals_that_queue_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda n: runs.queue("check", f"{n:040x}", "x").number, range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert [run.number for run in runs.all()] == list(range(1, 25))


def test_a_release_goes_before_a_check_that_was_queued_earlier(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.queue("check", "a" * 40, "x")
    first, _ = runs.queue("release", "b" * 40, "x"), runs.queue("release", "c" * 40, "x")
    assert runs.next() == first


def test_a_state_survives_in_its_file(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    run = runs.queue("release", "a" * 40, "feat: x")
    runs.finish(run, "failed", "a test failed")
    found = Runs(tmp_path).get(run.number)
    assert (found.state, found.reason, found.over) == ("failed", "a test failed", True)


def test_a_half_written_run_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "00001").mkdir()
    (tmp_path / "00001" / "run.json").write_text('{"number": 1')
    assert Runs(tmp_path).all() == []


def test_an_unknown_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KubestoreError, match="no run 7"):
        Runs(tmp_path).get(7)
