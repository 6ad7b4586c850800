"""Custom resource definitions that our manifests use, read from pinned Go modules; none is committed."""

import json
from pathlib import Path
from typing import Any

import yaml

from kubestore import ui
from kubestore.errors import KubestoreError
from kubestore.lab import gobuild
from kubestore.manifests import yamls
from kubestore.run import run

LISTED = Path(__file__).with_suffix(".yaml")


def all_of_them() -> list[dict[str, Any]]:
    """Every definition that definitions.yaml lists. Raises `KubestoreError` when a module is not what was pinned."""
    found: list[dict[str, Any]] = []
    for entry in yaml.safe_load(LISTED.read_text()):
        folder = _module(entry["module"], entry["version"], entry["sum"])
        for name in entry["files"]:
            found += yamls.load_all((folder / name).read_text())
    return found


def _module(name: str, version: str, checksum: str) -> Path:
    """The folder of a module in Go's own cache, fetched if need be."""
    if not gobuild.GO.exists():
        with ui.step("Go toolchain") as step:
            gobuild.ensure_toolchain(step)
    command = gobuild.go("mod", "download", "-json", f"{name}@{version}")
    done = run(command, cwd=LISTED.parent, env={**gobuild.environment(), "GOFLAGS": "-modcacherw"}, timeout=300)
    answer = json.loads(done.stdout)
    if answer["Sum"] != checksum:
        raise KubestoreError(
            f"{name} {version} is {answer['Sum']}, and {LISTED.name} says {checksum}",
            "do not use it; find out which of the two is wrong",
        )
    return Path(answer["Dir"])
