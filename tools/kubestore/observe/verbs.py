"""`kubestore dashboards`: from Python to JSON, and whether Git holds what is generated."""

import click

from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.observe import dashboards as boards
from kubestore.observe.answers import Answer
from kubestore.ui import say, table


@click.group(invoke_without_command=True)
@click.option("--check", is_flag=True, help="Change nothing; fail when Git holds something else.")
@click.pass_context
def dashboards(context: click.Context, check: bool) -> None:
    """Write Grafana's dashboards to apps/monitoring/base/dashboards."""
    if context.invoked_subcommand:
        return
    if check:
        if changed := boards.differing():
            raise KubestoreError(f"not as generated: {', '.join(changed)}", "run `kubestore dashboards`")
        say(f"{len(boards.BOARDS)} dashboards are as generated")
        return
    for name in boards.write():
        click.echo(name)


@dashboards.command("check-data")
@click.option("--seconds", default=180, show_default=True, help="How long the store is loaded.")
@click.option("--pictures", is_flag=True, help="Draw each dashboard to docs/pictures.")
@click.option("--again", is_flag=True, help="Without a cluster: ask the series of the last run.")
def check_data(seconds: int, pictures: bool, again: bool) -> None:
    """Ask every query of a Prometheus that scrapes the embedded cluster; a panel without data is an error."""
    from kubestore.observe import answers, check, picture

    if not 60 <= seconds <= 600:
        raise KubestoreError(f"--seconds {seconds} is not from 60 to 600", "180 is enough for every panel")
    found = check.replay() if again else check.check(Instance.current(), seconds)
    rows = [
        (a.question.board, a.question.panel, len(a.series), sum(len(s.points) for s in a.series), note(a))
        for a in found
    ]
    click.echo(table(rows, ("DASHBOARD", "PANEL", "SERIES", "POINTS", "")))
    if pictures:
        for file in picture.draw_all(found):
            click.echo(file)
    if wrong := answers.missing(found):
        raise KubestoreError("\n       ".join(wrong), "correct the query, or list the panel with its reason")


def note(answer: Answer) -> str:
    """Why a panel is empty, or that its data come from the stand-in."""
    from kubestore.observe import answers

    if answer.panel in answers.EMPTY:
        return answers.EMPTY[answer.panel]
    return "with the stand-in" if answers.STAND_IN in answer.question.expr else ""
