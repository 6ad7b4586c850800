"""What a run has started ends with it: also what renames itself, and what outlives a runner that was killed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestore.lab import cgroups
from kubestore.lab.forge import daemons, leftovers
from kubestore.lab.forge.settings import Settings
from kubestore.run import merged, start_time

from .conftest import absent, free_port

REDIS = "redis-server --port {port} --daemonize yes --save '' --dir {folder} --pidfile {folder}/redis.pid"


def await_pid(folder: Path) -> int:
    """The id of the redis-server that has cut itself loose in `folder`."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if text := (folder / "redis.pid").read_text().strip() if (folder / "redis.pid").exists() else "":
            return int(text)
        time.sleep(0.02)
    raise AssertionError("no redis-server")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Settings]:
    """A forge of which only the folders matter; what its redis-server leaves is ended."""
    if subprocess.run(["which", "redis-server"], capture_output=True, check=False).returncode:
        absent("redis-server is not installed")
    root = tmp_path / "forge"
    (root / "run").mkdir(parents=True)
    names = (
        "code",
        "python",
        "act",
        "registry_program",
        "registry_data",
        "secrets",
        "gitconfig",
        "cache",
        "state",
    )
    yield Settings(
        root=str(root), address="127.0.0.1", git_port=1, registry_port=2, instance="test",
        webhook_url="", **dict.fromkeys(names, ""),
    )  # fmt: skip
    pid_file = tmp_path / "redis.pid"
    if pid_file.exists() and (pid := int(pid_file.read_text())) and start_time(pid):
        os.kill(pid, signal.SIGKILL)


def start(settings: Settings, *, grouped: bool = True) -> int:
    """Have a step of a run leave a redis-server behind, and return its id."""
    folder = settings.folder.parent
    command = ["setsid", "sh", "-c", REDIS.format(port=free_port(), folder=folder)]
    words = leftovers.held(settings, command) if grouped else command
    subprocess.run(words, env=merged(leftovers.environment(settings)), check=True, capture_output=True)
    return await_pid(folder)


def grouped_or_skip(settings: Settings) -> None:
    if leftovers.held(settings, ["true"]) == ["true"]:
        pytest.skip("no control group can be made here")


def test_a_daemon_that_renames_itself_ends_with_its_run(plain: Settings) -> None:
    grouped_or_skip(plain)
    pid = start(plain)
    group = leftovers._group(plain)
    assert group
    assert pid in leftovers.found(plain)
    assert leftovers.sweep(plain) == []
    assert start_time(pid) is None
    assert not group.exists()


def test_without_the_group_its_mark_alone_would_not_find_it(plain: Settings) -> None:
    pid = start(plain, grouped=False)
    assert pid not in leftovers.found(plain)
    assert leftovers.sweep(plain, 0.2) == []
    assert start_time(pid)


def test_where_no_group_can_be_made_the_mark_finds_what_keeps_it(
    plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str) -> Path:
        raise PermissionError(name)

    monkeypatch.setattr(cgroups, "nested", refused)
    words = leftovers.held(plain, ["setsid", "sleep", "60"])
    child = subprocess.Popen(words, env=merged(leftovers.environment(plain)))
    while child.pid not in leftovers.found(plain):  # between fork and exec it has our environment
        assert child.poll() is None
    assert leftovers.sweep(plain) == []
    assert child.wait(5) == -signal.SIGKILL


def test_stopping_the_forge_ends_what_the_run_of_a_killed_runner_left(
    plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped_or_skip(plain)
    monkeypatch.setattr(daemons, "daemons", lambda _: [daemons.Daemon("runner", ["runner"])])
    pid = start(plain)
    daemons.stop(plain)
    assert start_time(pid) is None


def test_what_cannot_be_ended_is_named(plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "daemons", lambda _: [daemons.Daemon("runner", ["runner"])])
    monkeypatch.setattr(leftovers, "sweep", lambda _: [4711])
    with pytest.raises(daemons.KubestoreError, match="4711"):
        daemons.stop(plain)


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_the_group_lies_below_our_own_in_either_layout(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    known = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    top, key = (tmp_path, "") if layout == "v2" else (tmp_path / "pids", "pids")
    own = top / known.get(key, "/").lstrip("/")
    own.mkdir(parents=True, exist_ok=True)
    if layout == "v2":
        (tmp_path / "cgroup.controllers").write_text("pids\n")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    group = cgroups.nested("run")
    assert group == own / "run"
    (group / "cgroup.procs").write_text("12\n34\n")
    (group / "inner").mkdir()
    (group / "inner" / "cgroup.procs").write_text("56\n")
    assert sorted(cgroups.members(group)) == [12, 34, 56]
