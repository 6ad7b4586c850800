"""The same manifests seen by checkov, which is installed apart: its packages are many and none of ours needs them."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubestore.manifests.objects import Obj, World
from kubestore.run import run

CONFIG = Path(__file__).with_name("checkov.yaml")


@dataclass(frozen=True)
class Verdict:
    """What checkov says of one build: our objects, or those of a remote base in it."""

    build: str
    ours: bool
    passed: int
    failed: int
    checks: tuple[str, ...]


def verdicts(world: World, program: Path) -> list[Verdict]:
    """Every build that holds objects, ours and upstream's apart."""
    found = []
    for build in world.builds:
        group = world.group(build)
        for ours in (True, False):
            chosen = [obj for obj in group if obj.ours is ours]
            if chosen and not build.name.endswith("bootstrap"):
                found.append(_verdict(build.name, ours, chosen, program))
    return found


def _verdict(name: str, ours: bool, chosen: list[Obj], program: Path) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="kubestore-checkov-") as scratch:
        file = Path(scratch) / "objects.json"
        file.write_text(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [obj.data for obj in chosen]})
        )
        command: list[str | Path] = [
            program,
            "-f",
            file,
            "--framework",
            "kubernetes",
            "--quiet",
            "-o",
            "json",
        ]
        options = ["--config-file", str(CONFIG)] if ours else []
        said = json.loads(run([*command, *options], check=False, timeout=120).stdout or "{}")
    result: dict[str, Any] = said[0] if isinstance(said, list) else said
    summary = result.get("summary", result)
    failed = tuple(
        sorted({check["check_id"] for check in result.get("results", {}).get("failed_checks", [])})
    )
    return Verdict(name, ours, summary.get("passed", 0), summary.get("failed", 0), failed)
