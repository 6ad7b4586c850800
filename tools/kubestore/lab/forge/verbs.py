"""Verbs of the pipeline."""

import json
import sys
from dataclasses import asdict

import click

from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab.forge.follow import follow
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.ui import say, table


def _settings() -> Settings:
    return Settings.load(Instance.current().dir / "forge")


def _runs() -> Runs:
    return Runs(_settings().runs)


def _newest(runs: Runs, number: int | None) -> Run:
    """The run with that number; without one the release of the commit pushed last, or else its check."""
    everything = runs.all()
    if number is None and not everything:
        raise KubestoreError("no run yet", "git push local main starts one")
    if number is not None:
        return runs.get(number)
    releases = [
        run for run in everything if run.commit == everything[-1].commit and run.workflow == "release"
    ]
    return (releases or everything)[-1]


@click.group()
def ci() -> None:
    """Look at runs of the pipeline."""


@ci.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_list(as_json: bool) -> None:
    """List the runs, newest last."""
    runs = _runs().all()
    if as_json:
        click.echo(json.dumps([asdict(run) for run in runs]))
        return
    rows = [
        (r.number, r.workflow, r.commit[:12], r.state, f"{r.seconds:.0f} s", r.subject[:60])
        for r in runs[-20:]
    ]
    click.echo(table(rows, ("RUN", "WORKFLOW", "COMMIT", "STATE", "TOOK", "SUBJECT")))


@ci.command()
@click.argument("number", type=int, required=False)
def log(number: int | None) -> None:
    """Print a run's log; the newest run's without a number."""
    runs = _runs()
    click.echo(runs.log(_newest(runs, number)).read_text(errors="replace"), nl=False)


@ci.command()
@click.argument("number", type=int, required=False)
@click.option("--limit", default=900, show_default=True, help="Seconds to wait at most.")
def watch(number: int | None, limit: int) -> None:
    """Follow a run to its end; the exit code says whether it passed."""
    settings = _settings()

    def show(_: Run, grown: str) -> None:
        sys.stdout.write(grown)
        sys.stdout.flush()

    run = follow(settings, _newest(Runs(settings.runs), number), limit, show)
    if run.state == "failed":
        raise KubestoreError(
            f"run {run.number} ({run.workflow}) failed: {run.reason}",
            f"its whole log: kubestore ci log {run.number}",
        )
    say(f"run {run.number} ({run.workflow}) {run.state}" + (f": {run.reason}" if run.reason else ""))
    if run.workflow == "release" and run.state == "passed":
        say("main has moved by one line; before the next push: git pull --rebase local main")
