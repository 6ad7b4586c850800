"""`kubestore charts`: what charts of Applications come to with our values, where helm and the charts are."""

import sys
from pathlib import Path

import click

from kubestore.manifests import charted, findings, objects, remotes, render
from kubestore.manifests import charts as inflation
from kubestore.manifests.verbs import ROOT, tree
from kubestore.ui import say, table


@click.command()
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder with the charts, such as `charts` of a checkout; else they are fetched.",
)
@click.option("--helm", "program", default="", help="Where helm is, when it is not on PATH.")
@click.option("--live", "ask", is_flag=True, help="Ask a throw-away API server as well.")
@click.option("--changes", is_flag=True, help="Show what our values change of each object, as Markdown.")
@ROOT
def charts(folder: Path | None, program: str, ask: bool, changes: bool, root: Path) -> None:
    """Render the charts of Applications with our values, and check what comes of it."""
    program = program or inflation.helm()
    world = objects.world(root, render.build_all(tree(root), remotes.gitconfig()))
    made = inflation.rendered(world, folder, program)
    if changes:
        _changes(made, folder, program)
    again = inflation.rendered(world, folder, program)
    found = [
        one for first, second in zip(made, again, strict=True) for one in charted.found(first, second.objects)
    ]
    found += charted.refused(world, made) if ask else []
    click.echo(findings.shown(found, "text"), nl=bool(found))
    rows = [
        (c.cluster.name, c.application.obj.name, f"{c.name} {c.version}", len(c.objects), c.kinds)
        for c in made
    ]
    say(table(rows, ("CLUSTER", "APPLICATION", "CHART", "OBJECTS", "KINDS")))
    say(f"{sum(len(chart.objects) for chart in made)} objects, {len(set(found))} findings")
    if found:
        sys.exit(1)


def _changes(made: list[inflation.Chart], folder: Path | None, program: str) -> None:
    """What our values do to each object of each chart, equal in all clusters where it is."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for chart in made:
        for name, what in inflation.changes(inflation.defaults(chart, folder, program), chart.objects):
            where.setdefault((chart.name, name, what), []).append(chart.cluster.name)
    click.echo("| chart | object | what our values change | cluster |\n|---|---|---|---|")
    for (chart_name, name, what), names in sorted(where.items()):
        click.echo(f"| {chart_name} | {name} | {what} | {', '.join(names)} |")
