"""Secrets that slipped into the tree or its history, looked for by gitleaks."""

import json
import tempfile
from pathlib import Path
from typing import Any

from kubestore.lab import programs
from kubestore.manifests.findings import Finding
from kubestore.run import run

FIX = "take it out, and change the secret itself: whoever has the history has it"


def scan(root: Path, *, history: bool) -> list[Finding]:
    """Findings in the files of `root`, and with `history` in every commit, when `root` is a repository."""
    found = _gitleaks("dir", root)
    if history and (root / ".git").exists():
        found += _gitleaks("git", root)
    return [_finding(root, leak) for leak in found]


def _gitleaks(mode: str, root: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="kubestore-leaks-") as scratch:
        report = Path(scratch) / "report.json"
        options = [
            "--no-banner",
            "--redact",
            "--exit-code=0",
            "--report-format=json",
            f"--report-path={report}",
        ]
        if (config := root / ".gitleaks.toml").exists():
            options.append(f"--config={config}")
        run([programs.path("gitleaks"), mode, *options, root], timeout=60)
        return list(json.loads(report.read_text() or "[]") or [])


def _finding(root: Path, leak: dict[str, Any]) -> Finding:
    file = Path(str(leak["File"]))
    name = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
    commit = f" in commit {leak['Commit'][:12]}" if leak.get("Commit") else ""
    return Finding(name, int(leak["StartLine"]), "file", "", f"{leak['Description']}{commit}", "leak", FIX)
