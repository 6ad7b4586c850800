"""`kubestore prove …` and `kubestore load`."""

import importlib
import sys
from collections.abc import Callable

import click

from kubestore import paths, ui
from kubestore.clusters.options import CLUSTER
from kubestore.clusters.providers import EMBEDDED
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab.forge.pause import measuring
from kubestore.prove import ledger
from kubestore.prove.cluster import Cluster

FULL = click.option("--full", is_flag=True, help="The long form, whose figures docs/results.md holds.")


@click.group()
@click.pass_context
def prove(context: click.Context) -> None:
    """Prove a promise on the running cluster; each run adds a line to results/."""
    context.with_resource(measuring(Instance.current().dir / "forge"))


def judge(ok: bool, what: str) -> None:
    """End with an error when a proof did not hold."""
    if not ok:
        raise KubestoreError(f"{what} did not hold", "kubestore prove results")


@prove.command()
@FULL
def rollout(full: bool) -> None:
    """Roll-outs of every kind under traffic: nobody sees an error (G1)."""
    from kubestore.prove import rollout as proof

    judge(proof.prove(Cluster(Instance.current()), proof.FULL if full else proof.QUICK), "clean roll-outs")


@prove.command()
@FULL
def orders(full: bool) -> None:
    """Shoppers buy while pods and Redis are killed: nothing oversold, lost or doubled (G4)."""
    from kubestore.prove import orders as proof

    cluster, form = Cluster(Instance.current()), "full" if full else "quick"
    judge(proof.prove(cluster, 100_000 if full else 20_000, form), "every order once, and every one kept")


@prove.command()
@FULL
def controls(full: bool) -> None:
    """The same roll-out with one protection taken away at a time."""
    from kubestore.prove import controls as proof

    cluster = Cluster(Instance.current())
    outcomes = proof.prove(cluster, rollouts=5 if full else 1, form="full" if full else "quick")
    click.echo(ui.table([proof.row(outcome) for outcome in outcomes], proof.HEADERS))
    judge(all(outcome.ok for outcome in outcomes), "a control")


@prove.command()
@FULL
@click.option("--spikes", type=click.IntRange(1, 100), help="How many (1; 20 in the long form).")
@click.option(
    "--stock", type=click.IntRange(0, 100), help="So many more at the stock pace (0; 5 in the long form)."
)
def blackfriday(full: bool, spikes: int | None, stock: int | None) -> None:
    """Spikes: 1 -> 10 replicas and back, with a picture (G3)."""
    from kubestore.prove import blackfriday as proof

    spikes = spikes or (20 if full else 1)
    stock = (5 if full else 0) if stock is None else stock
    judge(proof.prove(Cluster(Instance.current()), spikes, stock), "the spike")


@prove.command()
@click.argument("faults", nargs=-1)
def chaos(faults: tuple[str, ...]) -> None:
    """The fault matrix, or only the FAULTS named: hypothesis, injection, watch, verdict (G5)."""
    from kubestore.prove import chaos as proof

    results = proof.prove(Cluster(Instance.current()), list(faults))
    click.echo(proof.table(results))
    judge(all(result.ok is not False for result in results), "a hypothesis")


@prove.command()
def nodes() -> None:
    """A drain that nobody notices, and a node's death; a worker is added for it when there is none."""
    from kubestore.prove import nodes as proof

    drain, death = proof.prove(Cluster(Instance.current()))
    click.echo(proof.say(drain, death))
    judge(drain.ok, "the drain")
    judge(death.ok, "the death")


@prove.command()
def policies() -> None:
    """Network policies from real pods: allowed flows pass, others do not; lifted, they all do."""
    from kubestore.prove import policies as proof

    proof.prove(Cluster(Instance.current()))
    click.echo(ui.table(proof.rows(), ("flow", "with the policies")))


@prove.command()
@click.option("--markdown", is_flag=True, help="As docs/results.md has it.")
@click.option("--all", "every", is_flag=True, help="Every run instead of the last of each proof.")
def results(markdown: bool, every: bool) -> None:
    """Show what has been measured."""
    lines = ledger.read()
    lines = lines if every else ledger.latest(lines)
    click.echo(ledger.markdown(lines) if markdown else ledger.text(lines))


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Each contender is measured so often.")
@click.option("--count", default=4000, show_default=True, help="Requests for each figure and round.")
def bench(rounds: int, count: int) -> None:
    """Figures of the store beside plain ways to build the same; needs no cluster, and a machine at rest."""
    for folder in (paths.REPO, paths.REPO / "app-src"):
        sys.path.insert(0, str(folder))
    main: Callable[[list[str]], int] = importlib.import_module("tests.bench.__main__").main
    raise SystemExit(main([f"--rounds={rounds}", f"--count={count}"]))


@click.command()
@CLUSTER
@click.option("--url", default="", help="The store; a literal address of this machine or of the instance.")
@click.option("--peak", default=0, help="Customers at the peak (default: enough to pass 450 % of one pod).")
def load(cluster: str, url: str, peak: int) -> None:
    """A Black Friday: quiet, spike, plateau, calm; the report goes to results/."""
    from kubestore.prove import load as proof

    outcome = proof.run_locust(url or _store(cluster), proof.Shape(peak=peak or proof.PEAK))
    click.echo(outcome.line())
    click.echo(f"report: {outcome.report}")
    judge(outcome.ok, "the load's verdict")


def _store(cluster: str) -> str:
    if cluster == EMBEDDED:
        return Instance.current().store_url
    from kubestore.clusters import lifecycle as elsewhere

    return elsewhere.target(cluster)
