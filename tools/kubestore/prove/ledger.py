"""The ledger: each run of a proof appends one JSON line to `results/`, which Git ignores.

A line: `{"at", "proof", "form", "ok", "n", "figures", "commit", "machine"}`. A figure is a number, a text,
or a spread `{"n", "median", "p95", "least", "most"}`.
"""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kubestore import paths, ui
from kubestore.prove import machine
from kubestore.prove.tally import quantile

FOLDER = paths.REPO / "results"
FILE = "results.jsonl"


def spread(samples: Sequence[float], digits: int = 2) -> dict[str, float]:
    """N, median, p95 (nearest rank), least and most of samples; empty for no samples."""
    if not samples:
        return {}
    values = list(samples)
    return {
        "n": len(values),
        "median": round(quantile(values, 0.5), digits),
        "p95": round(quantile(values, 0.95), digits),
        "least": round(min(values), digits),
        "most": round(max(values), digits),
    }


def record(
    proof: str, ok: bool, n: int, figures: dict[str, Any], form: str = "quick", folder: Path | None = None
) -> dict[str, Any]:
    """Append one run and return its line. `n` is what the figures count: requests, trials, faults."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "proof": proof,
        "form": form,
        "ok": ok,
        "n": n,
        "figures": figures,
        "commit": machine.commit(),
        "machine": machine.describe(),
    }
    with (folder / FILE).open("a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return line


def read(folder: Path | None = None) -> list[dict[str, Any]]:
    """Every line, oldest first; a line that was cut off by a kill is left out."""
    path = (folder or FOLDER) / FILE
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def latest(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last run of each proof and form, in order of their names."""
    kept = {(line["proof"], line["form"]): line for line in lines}
    return [kept[key] for key in sorted(kept)]


def shown(value: Any) -> str:
    """A figure as a person reads it."""
    if isinstance(value, dict) and "median" in value:
        return f"{value['median']} (p95 {value['p95']}, {value['least']}-{value['most']}, N={value['n']})"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
    return str(value)


def rows(lines: Iterable[dict[str, Any]]) -> list[list[str]]:
    """One row a figure: proof, form, verdict, N, figure, value, commit, when."""
    table = []
    for line in lines:
        head = [line["proof"], line["form"], "ok" if line["ok"] else "FAILED", f"{line['n']}"]
        tail = [line["commit"], line["at"]]
        for name, value in line["figures"].items():
            table.append([*head, name, shown(value), *tail])
    return table


HEADERS = ("proof", "form", "verdict", "N", "figure", "value", "commit", "when")


def text(lines: Sequence[dict[str, Any]]) -> str:
    """The table for a terminal, with the machine below."""
    if not lines:
        return "nothing has been measured yet"
    facts = lines[-1]["machine"]
    below = f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, kernel {facts['kernel']}"
    return ui.table(rows(lines), HEADERS) + f"\n\n{below}"


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """The same as a table for docs/results.md."""
    cells = [HEADERS, ["---"] * len(HEADERS), *rows(lines)]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in cells)
