"""What a run of the pipeline has started: found by what a process cannot lose, and ended.

Act gives each step a session of its own, daemons take another, and some (redis-server) write their title over
their environment. A control group holds them all. Where none can be made (not root, files that are read-only)
a mark in the environment stands in for it.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from kubestore.lab import cgroups
from kubestore.lab.forge.settings import Settings

MARK = "KUBESTORE_RUN"


def _name(settings: Settings) -> str:
    """The group's name; a forge runs one workflow at a time, so it needs one only."""
    return f"kubestore-run-{hashlib.sha256(settings.root.encode()).hexdigest()[:12]}"


def _remembered(settings: Settings) -> Path:
    """The file that says where the group is: below that of the runner which made it."""
    return settings.folder / "run" / "group"


def environment(settings: Settings) -> dict[str, str]:
    """The mark of a run's processes."""
    return {MARK: settings.root}


def held(settings: Settings, command: Sequence[str]) -> list[str]:
    """The command that runs `command` inside the forge's group; `command` itself where there can be no group."""
    try:
        group = cgroups.nested(_name(settings))
    except OSError:
        return list(command)
    _remembered(settings).write_text(str(group))
    return ["sh", "-c", '{ echo 0 >"$0"; } 2>/dev/null; exec "$@"', str(group / "cgroup.procs"), *command]


def _group(settings: Settings) -> Path | None:
    with contextlib.suppress(OSError):
        group = Path(_remembered(settings).read_text())
        return group if group.name == _name(settings) else None
    return None


def found(settings: Settings) -> list[int]:
    """Processes of the forge's run, whoever their parent is by now."""
    group = _group(settings)
    return sorted({*(cgroups.members(group) if group else ()), *_marked(settings)})


def sweep(settings: Settings, limit: float = 10.0) -> list[int]:
    """Kill what a run has started and take its group away; returns what still lives after `limit` seconds."""
    group, deadline = _group(settings), time.monotonic() + limit
    while True:
        left = found(settings)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        busy = cgroups.remove_tree(group) if group else []
        if not left and not busy:
            _remembered(settings).unlink(missing_ok=True)
            return []
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def _marked(settings: Settings) -> list[int]:
    """Processes whose environment has the mark."""
    wanted, pids = f"{MARK}={settings.root}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
    return pids
