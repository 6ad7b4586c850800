"""A time line as an SVG: panels one below the other over the same seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, PANEL, LEFT, RIGHT, GAP, TOP = 900, 130, 70, 20, 34, 46
INK, GRID = "#24292f", "#d0d7de"


@dataclass(frozen=True)
class Line:
    """One curve: its name, colour, and points (seconds, value)."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    steps: bool = False


@dataclass(frozen=True)
class Panel:
    """One panel: title with unit, and its curves; values start at 0."""

    title: str
    lines: Sequence[Line]


def ticks(most: float, count: int = 4) -> list[float]:
    """Round values from 0 to at least `most`."""
    if most <= 0:
        return [0.0, 1.0]
    size = 1.0
    while most / size > count:
        size *= 2.5 if str(size).lstrip("0.").startswith("2") else 2
    return [size * i for i in range(int(most / size) + 2)]


def path(line: Line, xs: tuple[float, float], ys: tuple[float, float], end: float, most: float) -> str:
    """The `d` of a curve inside the rectangle xs x ys."""
    parts: list[str] = []
    last = 0.0
    for seconds, value in line.points:
        x = xs[0] + (xs[1] - xs[0]) * seconds / end
        y = ys[1] - (ys[1] - ys[0]) * value / most
        if parts and line.steps:
            parts.append(f"L{x:.1f},{last:.1f}")
        parts.append(f"{'L' if parts else 'M'}{x:.1f},{y:.1f}")
        last = y
    return " ".join(parts)


def draw(panel: Panel, top: float, end: float, marks: Sequence[tuple[float, str]]) -> list[str]:
    """The elements of one panel."""
    left, right, bottom = LEFT, WIDTH - RIGHT, top + PANEL
    scale = ticks(max((value for line in panel.lines for _, value in line.points), default=1.0))
    most = scale[-1]
    out = [f'<text x="{left}" y="{top - 8}" font-weight="600">{escape(panel.title)}</text>']
    for value in scale:
        y = bottom - PANEL * value / most
        out.append(f'<path d="M{left},{y:.1f}H{right}" stroke="{GRID}"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for seconds, _ in marks:
        x = left + (right - left) * seconds / end
        out.append(f'<path d="M{x:.1f},{top}V{bottom}" stroke="{INK}" stroke-dasharray="3 3"/>')
    for number, line in enumerate(panel.lines):
        curve = path(line, (left, right), (top, bottom), end, most)
        out.append(f'<path d="{curve}" fill="none" stroke="{line.colour}" stroke-width="1.8"/>')
        x = right - 150 * (len(panel.lines) - number)
        out.append(f'<text x="{x}" y="{top - 8}" fill="{line.colour}">― {escape(line.name)}</text>')
    return out


def svg(title: str, panels: Sequence[Panel], end: float, marks: Sequence[tuple[float, str]] = ()) -> str:
    """The whole picture; `marks` are moments (seconds, name) drawn through every panel."""
    height = TOP + len(panels) * (PANEL + GAP) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" font-size="14" font-weight="600">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        out += draw(panel, TOP + number * (PANEL + GAP), end, marks)
    bottom = TOP + len(panels) * (PANEL + GAP) - GAP
    for value in ticks(end, 8):
        if value <= end:
            x = LEFT + (WIDTH - RIGHT - LEFT) * value / end
            out.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:g} s</text>')
    for seconds, name in marks:
        x = LEFT + (WIDTH - RIGHT - LEFT) * seconds / end
        out.append(f'<text x="{x:.1f}" y="{bottom + 36}" text-anchor="middle">{escape(name)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def write(file: Path, text: str) -> Path:
    """Write a picture and return where."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
