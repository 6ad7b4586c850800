"""The same manifests seen by checkov, which is installed apart: its packages are many and none of ours needs them."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.manifests.objects import Obj, World
from kubestore.run import run, tail

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
        options = ["--config-file", str(CONFIG)] if ours else []
        words = ["--framework", "kubernetes", "--quiet", "-o", "json", *options]
        result = _read(run([program, "-f", file, *words], check=False, timeout=120))
    summary = result.get("summary", result)
    if summary.get("parsing_errors"):
        raise KubestoreError(f"checkov could not read {name}", "is it the version that `--program` means?")
    failed = {check["check_id"] for check in result.get("results", {}).get("failed_checks", [])}
    return Verdict(name, ours, summary["passed"], summary["failed"], tuple(sorted(failed)))


def _read(done: CompletedProcess[str]) -> dict[str, Any]:
    """checkov's answer: 0 and 1 are verdicts. Raises `KubestoreError` for anything else, never "0 failed"."""
    try:
        said = json.loads(done.stdout)
        result: dict[str, Any] = said[0] if isinstance(said, list) else said
        if done.returncode in (0, 1) and "passed" in result.get("summary", result):
            return result
    except (ValueError, IndexError, AttributeError):
        pass
    raise KubestoreError(
        f"checkov gave no verdict (exit code {done.returncode}): {tail(done.stdout + done.stderr, 3)}",
        "pip install checkov into an environment of its own, and name it by --program",
    )
