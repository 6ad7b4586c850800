"""Instances keep apart: names, slots, addresses, locks."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.instance import SLOTS, Instance
from kubestore.lab import lifecycle


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "STATE", tmp_path)
    return tmp_path


def named(monkeypatch: pytest.MonkeyPatch, name: str) -> Instance:
    monkeypatch.setenv("KUBESTORE_INSTANCE", name)
    return Instance.current()


def test_two_instances_share_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    first = named(monkeypatch, "one")
    first.create()
    second = named(monkeypatch, "two")
    assert not first.network.overlaps(second.network)
    assert first.bridge != second.bridge


def test_an_instance_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "one").create()
    named(monkeypatch, "two").create()
    assert named(monkeypatch, "two").slot == 1


@pytest.mark.parametrize("slot", range(SLOTS))
def test_every_range_lies_in_the_instances_own_network(slot: int) -> None:
    instance = Instance("x", slot)
    ranges = [instance.node_network, instance.services, instance.pods]
    assert all(part.subnet_of(instance.network) for part in ranges)
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert instance.network.subnet_of(IPv4Network("198.18.0.0/15"))


@pytest.mark.parametrize("name", ["Up", "a/b", "..", "1st", "x" * 17])
def test_a_name_that_is_none_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KubestoreError, match="not a name"):
        named(monkeypatch, name)


def test_a_folder_of_another_version_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "old").mkdir()
    (state / "old" / "instance.json").write_text('{"format": 0, "slot": 3}')
    with pytest.raises(KubestoreError, match="another version") as caught:
        named(monkeypatch, "old")
    assert "make purge" in caught.value.hint


def test_the_second_holder_is_told_who_the_first_is(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = named(monkeypatch, "one")
    with instance.lock("up"), pytest.raises(KubestoreError, match="kubestore up"), instance.lock("down"):
        pass


def test_two_that_come_up_at_once_do_not_share_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = named(monkeypatch, "one"), named(monkeypatch, "two")
    assert first.slot == second.slot
    first.create()
    first.create()
    with pytest.raises(KubestoreError, match="one has just taken") as caught:
        second.create()
    assert "run it again" in caught.value.hint
    again = named(monkeypatch, "two")
    again.create()
    assert again.slot != first.slot


def test_what_was_never_made_is_stopped_and_forgotten_without_a_trace(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = named(monkeypatch, "nobody")
    lifecycle.down(nobody)
    lifecycle.purge(nobody)
    assert list(state.iterdir()) == []
