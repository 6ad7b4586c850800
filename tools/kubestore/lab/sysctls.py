"""Host-wide kernel settings that the kubelet writes: remembered before, put back at `down`.

They are one for all instances: the first that comes up keeps them, the others take them from it, and the last
that goes down puts them back.
"""

import json
from pathlib import Path

from kubestore import files
from kubestore.instance import Instance
from kubestore.run import Process

WRITTEN = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
PROC = Path("/proc/sys")
NAME = "sysctls.json"


def remember(instance: Instance) -> None:
    """Keep the values as they were before any instance, unless a run that did not end well has kept them."""
    file = instance.dir / NAME
    if file.exists():
        return
    if others := _others(instance):
        files.write(file, others[0].read_text())
    else:
        files.write(file, json.dumps({name: (PROC / name).read_text().strip() for name in WRITTEN}))


def restore(instance: Instance) -> None:
    """Put the kept values back, unless another instance still runs with what its kubelet wrote."""
    file = instance.dir / NAME
    if not file.exists():
        return
    if not any(_runs(other.parent) for other in _others(instance)):
        for name, value in json.loads(file.read_text()).items():
            (PROC / name).write_text(value)
    file.unlink()


def _others(instance: Instance) -> list[Path]:
    """What other instances keep."""
    return sorted(file for file in instance.dir.parent.glob(f"*/{NAME}") if file.parent != instance.dir)


def _runs(folder: Path) -> bool:
    """Whether an instance has a node that runs."""
    return any(Process.running(file) for file in folder.glob("nodes/*/process.json"))
