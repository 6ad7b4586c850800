"""Host-wide kernel settings that the kubelet writes: remembered before, put back at `down`."""

import json
from pathlib import Path

from kubestore.instance import Instance

WRITTEN = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
PROC = Path("/proc/sys")


def remember(instance: Instance) -> None:
    """Keep the values as they are, unless a run that did not end well has kept them already."""
    file = instance.dir / "sysctls.json"
    if not file.exists():
        file.write_text(json.dumps({name: (PROC / name).read_text().strip() for name in WRITTEN}))


def restore(instance: Instance) -> None:
    """Put the kept values back."""
    file = instance.dir / "sysctls.json"
    if file.exists():
        for name, value in json.loads(file.read_text()).items():
            (PROC / name).write_text(value)
        file.unlink()
