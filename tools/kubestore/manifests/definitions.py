"""Custom resource definitions that our manifests use, read from pinned Go modules; none is committed."""

import json
import re
from functools import cache
from pathlib import Path

import yaml

from kubestore import ui
from kubestore.errors import KubestoreError
from kubestore.lab import gobuild
from kubestore.run import run

LISTED = Path(__file__).with_suffix(".yaml")


def files(kinds: set[str] | None = None) -> list[Path]:
    """The files that definitions.yaml lists, or those that define one of `kinds`.

    Raises `KubestoreError` when a module is not what was pinned.
    """
    listed = [
        _module(entry["module"], entry["version"], entry["sum"]) / name
        for entry in yaml.safe_load(LISTED.read_text())
        for name in entry["files"]
    ]
    return [file for file in listed if kinds is None or _kind(file) in kinds]


def _kind(file: Path) -> str:
    """The kind that a definition defines, without reading the whole of it as YAML."""
    found = re.search(r"^    kind: (\w+)$", file.read_text(), re.M)
    return found[1] if found else ""


@cache
def _module(name: str, version: str, checksum: str) -> Path:
    """The folder of a module in Go's own cache, fetched if need be."""
    if not gobuild.GO.exists():
        with ui.step("Go toolchain") as step:
            gobuild.ensure_toolchain(step)
    command = gobuild.go("mod", "download", "-json", f"{name}@{version}")
    done = run(
        command, cwd=LISTED.parent, env={**gobuild.environment(), "GOFLAGS": "-modcacherw"}, timeout=300
    )
    answer = json.loads(done.stdout)
    if answer["Sum"] != checksum:
        raise KubestoreError(
            f"{name} {version} is {answer['Sum']}, and {LISTED.name} says {checksum}",
            "do not use it; find out which of the two is wrong",
        )
    return Path(answer["Dir"])
