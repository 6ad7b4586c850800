"""Dashboards, from Python to the committed JSON that Grafana's sidecar loads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from kubestore import paths
from kubestore.observe import cluster_board, store_board

FOLDER = paths.REPO / "apps" / "monitoring" / "base" / "dashboards"
BOARDS = {"cluster-resources.json": cluster_board.build, "store.json": store_board.build}


@dataclass(frozen=True)
class Question:
    """One query of one panel; annotations count as panels."""

    board: str
    panel: str
    kind: str
    unit: str
    expr: str
    legend: str


def texts() -> dict[str, str]:
    """File name -> JSON of every dashboard, as it should be committed."""
    return {
        name: json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(build().build())), indent=1) + "\n"
        for name, build in BOARDS.items()
    }


def differing(folder: Path = FOLDER) -> list[str]:
    """Names of files in `folder` that are not as generated: other, missing, or of no dashboard."""
    wanted = texts()
    there = {file.name: file.read_text() for file in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> list[str]:
    """Write every dashboard; returns the names of the files that changed."""
    changed = differing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = texts()
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name])
        else:
            (folder / name).unlink()
    return changed


def questions(folder: Path = FOLDER) -> list[Question]:
    """Every query of the committed dashboards."""
    return [
        question
        for file in sorted(folder.glob("*.json"))
        for question in _questions(json.loads(file.read_text()))
    ]


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels of a dashboard, those inside rows too, without the rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def _questions(board: dict[str, Any]) -> Iterator[Question]:
    title = board["title"]
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"].get("unit", "none")
        for target in panel["targets"]:
            yield Question(
                title, panel["title"], panel["type"], unit, target["expr"], target.get("legendFormat", "")
            )
    for entry in board.get("annotations", {}).get("list", []):
        if entry.get("expr"):
            yield Question(
                title,
                f"annotation {entry['name']}",
                "annotation",
                "none",
                entry["expr"],
                entry["titleFormat"],
            )
