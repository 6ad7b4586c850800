"""Dashboards as SVG, from the series that their queries returned: what Grafana would show, drawn plainly."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from kubestore import paths
from kubestore.observe import dashboards
from kubestore.observe.answers import EMPTY, Answer, Series

FOLDER = paths.REPO / "docs" / "pictures"
CELL, LINE, PAD = 50, 26, 8
WIDTH = 24 * CELL
INK, FAINT, GRID, BACK = "#24292f", "#6e7781", "#d8dee4", "#f6f8fa"
COLOURS = ("#2f6fdb", "#d9822b", "#3a9e5c", "#b34da3", "#c83f3f", "#5b6b7f", "#8a6d3b", "#1d9aa5", "#7a5cd6")
LEVELS = {"green": "#2b7a46", "orange": "#b5651d", "red": "#b3261e"}
MOST_POINTS, GAP_S = 48, 20.0
Marks = Sequence[tuple[float, str]]
SCALES: dict[str, tuple[float, tuple[str, ...]]] = {
    "bytes": (1024, ("B", "KiB", "MiB", "GiB", "TiB")),
    "Bps": (1024, ("B/s", "KiB/s", "MiB/s", "GiB/s")),
}
SIGNS = {"reqps": "/s", "ops": "/s", "none": "", "bool": ""}


def shown(value: float, unit: str) -> str:
    """A value with its unit, short: `12.3 MiB`, `4 %`, `2.5 ms`."""
    if unit in ("percentunit", "percent"):
        return f"{value * (100 if unit == 'percentunit' else 1):.3g} %"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    if unit in SCALES:
        base, names = SCALES[unit]
        step = 0
        while abs(value) >= base and step < len(names) - 1:
            value, step = value / base, step + 1
        return f"{value:.3g} {names[step]}"
    return f"{value:.3g}{SIGNS.get(unit, ' ' + unit)}"


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MOST_POINTS` of them, evenly, the last one always."""
    step = max(1, -(-len(points) // MOST_POINTS))
    return list(reversed(list(reversed(points))[::step]))


def text(x: float, y: float, words: str, **style: object) -> str:
    """One line of text."""
    more = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items())
    return f'<text x="{x:.0f}" y="{y:.0f}"{more}>{escape(words)}</text>'


def stacked(series: Sequence[Series]) -> list[Series]:
    """Each series on top of those before it."""
    base: dict[float, float] = {}
    made = []
    for one in series:
        for at, value in one.points:
            base[at] = base.get(at, 0) + value
        made.append(Series(one.name, [(at, base[at]) for at, _ in one.points]))
    return made


def curves(
    panel: dict[str, Any], series: Sequence[Series], box: tuple[float, ...], end: float, marks: Marks
) -> list[str]:
    """The plot of a panel inside `box` (left, top, right, bottom), its scale and its names."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    piled = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    drawn = stacked(series) if piled else list(series)
    left, top, right, bottom = box
    top, bottom, left = top + 14, bottom - 34, left + 74
    most = max((value for one in drawn for _, value in one.points), default=0) * 1.08 or 1.0
    out = []
    for part in (0, 0.5, 1):
        y = bottom - (bottom - top) * part
        out.append(f'<path d="M{left:.0f},{y:.0f}H{right:.0f}" stroke="{GRID}"/>')
        out.append(text(left - 6, y + 4, shown(most * part, unit), text_anchor="end", fill=FAINT))
    for number, one in enumerate(drawn):
        path, last = "", -GAP_S
        for at, value in thinned(one.points):
            x, y = left + (right - left) * at / end, bottom - (bottom - top) * max(value, 0) / most
            path += f"{'L' if at - last < GAP_S else 'M'}{x:.0f},{y:.1f}"
            last = at
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    for at, _ in marks:
        x = left + (right - left) * at / end
        out.append(f'<path d="M{x:.0f},{top:.0f}V{bottom:.0f}" stroke="{FAINT}" stroke-dasharray="3 3"/>')
    return [*out, *names(series, left - 66, bottom + 16, right)]


def names(series: Sequence[Series], left: float, y: float, right: float) -> list[str]:
    """The names of the first series, as many as fit on two lines, and how many more there are."""
    out, x = [], left
    width = (right - left) / 2
    limit = int(width / 6.6) - (4 if len(series) > 4 else 0)
    for number, one in enumerate(series[:4]):
        x = left + width * (number % 2)
        name = one.name or "none"
        name = name if len(name) <= limit else name[: limit - 1] + "…"
        colour = COLOURS[number % len(COLOURS)]
        out.append(text(x, y + 13 * (number // 2), f"― {name}", fill=colour, font_size="10.5"))
    if len(series) > 4:
        out.append(
            text(right, y + 13, f"+{len(series) - 4}", text_anchor="end", fill=FAINT, font_size="10.5")
        )
    return out


def colour_of(panel: dict[str, Any], value: float) -> str:
    """The colour that a panel's thresholds give to a value."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]]
    return LEVELS[reached[-1]] if reached else LEVELS["green"]


def versions(answers: Sequence[Answer]) -> Marks:
    """When a version was seen first, but for those that were there when the recording began."""
    first = [
        (one.points[0][0], one.name) for a in answers if a.question.kind == "annotation" for one in a.series
    ]
    return sorted(mark for mark in first if mark[0] > GAP_S)


def draw(panel: dict[str, Any], board: str, series: Sequence[Series], end: float, marks: Marks) -> list[str]:
    """One panel at its place on the grid."""
    at = panel["gridPos"]
    left, top = at["x"] * CELL + PAD / 2, at["y"] * LINE + PAD / 2
    right, bottom = left + at["w"] * CELL - PAD, top + at["h"] * LINE - PAD
    out = [
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{right - left:.0f}" height="{bottom - top:.0f}" '
        f'rx="3" fill="#ffffff" stroke="{GRID}"/>',
        text(left + 8, top + 17, panel["title"], font_weight="600"),
    ]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if not series:
        why = "no data on the embedded cluster" if (board, panel["title"]) in EMPTY else "no data"
        return [*out, text((left + right) / 2, (top + bottom) / 2 + 6, why, text_anchor="middle", fill=FAINT)]
    if panel["type"] == "stat":
        value = series[0].points[-1][1]
        style = {"text_anchor": "middle", "font_size": "26", "fill": colour_of(panel, value)}
        return [*out, text((left + right) / 2, bottom - 22, shown(value, unit), **style)]
    return [*out, *curves(panel, series, (left, top + 18, right - 10, bottom), end, marks)]


def svg(board: dict[str, Any], answers: Sequence[Answer]) -> str:
    """A whole dashboard."""
    mine = [answer for answer in answers if answer.question.board == board["title"]]
    end = max((s.points[-1][0] for answer in mine for s in answer.series), default=1.0)
    marks = versions(mine)
    out = []
    for panel in board["panels"]:
        at = panel["gridPos"]
        if panel["type"] == "row":
            out.append(text(8, at["y"] * LINE + 19, panel["title"], font_size="14", font_weight="600"))
            continue
        series = [s for answer in mine if answer.question.panel == panel["title"] for s in answer.series]
        out += draw(panel, board["title"], series, end, marks)
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"]) * LINE + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -34 {WIDTH} {height + 34}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">'
        f'<rect y="-34" width="{WIDTH}" height="{height + 34}" fill="{BACK}"/>'
    )
    title = text(8, -10, board["title"], font_size="18", font_weight="600")
    words = f"{end:.0f} s of the embedded cluster under a light load"
    words += "; dashed: a version is seen for the first time" if marks else ""
    told = text(
        WIDTH - 8,
        -10,
        words,
        text_anchor="end",
        fill=FAINT,
    )
    return "\n".join([head, title, told, *out, "</svg>"]) + "\n"


def draw_all(answers: Sequence[Answer]) -> list[Path]:
    """Draw every committed dashboard; returns the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = []
    for source in sorted(dashboards.FOLDER.glob("*.json")):
        file = FOLDER / f"dashboard-{source.stem}.svg"
        file.write_text(svg(json.loads(source.read_text()), answers))
        files.append(file)
    return files
