"""A file is whole or as it was before, also when the disk is full while it is written."""

import errno
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from kubestore import files, paths
from kubestore.instance import Instance
from kubestore.lab import secrets
from kubestore.run import Process


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(paths, "STATE", tmp_path)
    made = Instance("one", 3)
    made.create()
    return made


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every file can be opened (and so emptied) but not written."""

    def write_text(self: Path, *_: object, **__: object) -> NoReturn:
        self.open("w").close()
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", write_text)


def test_a_file_gets_its_text_and_its_mode(tmp_path: Path) -> None:
    files.write(tmp_path / "a", "old")
    files.write(tmp_path / "a", "new", 0o600)
    assert (tmp_path / "a").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "a", "old")
    with monkeypatch.context() as full:
        fill(full)
        with pytest.raises(OSError, match="No space"):
            files.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_makes_no_empty_password(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        fill(full)
        with pytest.raises(OSError, match="No space"):
            secrets.value(instance, "admin")
    made = secrets.value(instance, "admin")
    assert len(made) > 20
    assert secrets.value(instance, "admin") == made
    assert stat.S_IMODE((instance.dir / "secrets" / "admin").stat().st_mode) == 0o600


def test_a_full_disk_forgets_neither_instances_nor_processes(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    Process(1, 2).save(instance.dir / "process.json")
    with monkeypatch.context() as full:
        fill(full)
        with pytest.raises(OSError, match="No space"):
            instance.create()
        with pytest.raises(OSError, match="No space"):
            Process(3, 4).save(instance.dir / "process.json")
    monkeypatch.setenv("KUBESTORE_INSTANCE", "one")
    assert Instance.current() == instance
    assert Process.load(instance.dir / "process.json") == Process(1, 2)
