"""Kernel settings are the machine's: what two instances change, the last one puts back."""

import os
from pathlib import Path

import pytest

from kubestore import paths
from kubestore.instance import Instance
from kubestore.lab import sysctls
from kubestore.run import Process, start_time

ONE, TWO = Instance("one", 0), Instance("two", 1)


@pytest.fixture(autouse=True)
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings as files, all 0, and two instances whose nodes run."""
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    monkeypatch.setattr(sysctls, "PROC", tmp_path / "sys")
    for instance in (ONE, TWO):
        instance.create()
        process = Process(os.getpid(), start_time(os.getpid()) or 0)
        process.save(instance.dir / "nodes" / "1" / "process.json")
    write(tmp_path / "sys", "0\n")
    return tmp_path / "sys"


def write(kernel: Path, value: str) -> None:
    for name in sysctls.WRITTEN:
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).write_text(value)


def values(kernel: Path) -> set[str]:
    return {(kernel / name).read_text().strip() for name in sysctls.WRITTEN}


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)], ids=["first in, first out", "first in, last out"])
def test_the_last_instance_puts_back_what_was_before_the_first(
    order: tuple[Instance, Instance], kernel: Path
) -> None:
    sysctls.remember(ONE)
    write(kernel, "1\n")  # its kubelet
    sysctls.remember(TWO)
    sysctls.restore(order[0])
    assert values(kernel) == {"1"}, "the other one still runs"
    (order[0].dir / "nodes" / "1" / "process.json").unlink()
    sysctls.restore(order[1])
    assert values(kernel) == {"0"}


def test_an_instance_that_died_holds_nobody_up(kernel: Path) -> None:
    sysctls.remember(ONE)
    (ONE.dir / "nodes" / "1" / "process.json").unlink()
    write(kernel, "1\n")
    sysctls.remember(TWO)
    sysctls.restore(TWO)
    assert values(kernel) == {"0"}
