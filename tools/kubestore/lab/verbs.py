"""Verbs of the embedded cluster."""

import json
import os
import sys
from pathlib import Path

import click

from kubestore.clusters.options import AGREE, CLUSTER
from kubestore.clusters.providers import EMBEDDED
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import lifecycle, programs, secrets, status
from kubestore.ui import say

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command()
@CLUSTER
@click.option("--without-argocd", is_flag=True, help="Embedded only: stop before Argo CD, with the forge.")
@click.option(
    "--as", "environment", default="minikube", show_default=True, help="Folder of clusters/ to follow."
)
@click.option("--dry-run", is_flag=True, help="Only show the commands; not for the embedded cluster.")
@click.option(
    "--nodes", type=int, default=None, help="Embedded only: how many nodes (1; later as many as there are)."
)
@AGREE
def up(
    cluster: str, without_argocd: bool, environment: str, dry_run: bool, nodes: int | None, yes: bool
) -> None:
    """Bring up the cluster, Argo CD and the store; run it again to go on where it stopped."""
    if cluster != EMBEDDED:
        if nodes is not None:
            raise KubestoreError(
                "--nodes is for the embedded cluster", f"give your {cluster} cluster its nodes yourself"
            )
        _up_elsewhere(cluster, environment, without_argocd, dry_run, yes)
        return
    if dry_run:
        raise KubestoreError(
            "--dry-run is for clusters of your own: the embedded one is not made by commands of other tools",
            "name one: --cluster kind|minikube|current",
        )
    _tell_of_docker()
    instance = Instance.current()
    lifecycle.up(instance, argocd=not without_argocd, wanted=nodes)
    if without_argocd:
        say(f"\nempty but for the forge: export KUBECONFIG={instance.kubeconfig}")
        return
    click.echo(status.page(status.read(instance)))
    say(
        "\nTry next:\n"
        f"  curl {instance.store_url}/api/v1/products\n"
        "  git pull --rebase local main   # the first release has moved main by one line\n"
        "  git push local main            # after a commit: deploys it; `kubestore ci watch` shows the run"
    )


def _up_elsewhere(cluster: str, environment: str, without_argocd: bool, dry_run: bool, yes: bool) -> None:
    from kubestore.clusters import lifecycle as elsewhere

    if without_argocd:
        raise KubestoreError(
            "--without-argocd is for the embedded cluster", f"leave it out, or --cluster {EMBEDDED}"
        )
    elsewhere.up(cluster, environment, yes=yes, dry_run=dry_run)
    if not dry_run:
        click.echo(status.page(elsewhere.look(cluster)))
        say(
            "\nTry next: git push origin main   # after a change of app-src/store; docs/argocd.md: Argo CD's pages"
        )


def _tell_of_docker() -> None:
    """Where Docker is, half an hour of building can be avoided."""
    from kubestore.clusters import preflight as docker

    if any(programs.missing()) and (name := docker.fastest()):
        say(
            f"note: Docker and {name} are here: `make up CLUSTER={name}` takes minutes, this build half an hour"
        )


@click.command()
@CLUSTER
@AGREE
def down(cluster: str, yes: bool) -> None:
    """Stop the cluster and leave the machine clean; its data stays for the next `up`."""
    if cluster == EMBEDDED:
        lifecycle.down(Instance.current())
        return
    from kubestore.clusters import lifecycle as elsewhere

    elsewhere.down(cluster, yes=yes)


@click.command()
@CLUSTER
@AGREE
def purge(cluster: str, yes: bool) -> None:
    """Stop the cluster and forget its data; built programs and images stay in the cache."""
    if cluster == EMBEDDED:
        lifecycle.purge(Instance.current())
        return
    from kubestore.clusters import lifecycle as elsewhere

    elsewhere.purge(cluster, yes=yes)


@click.command()
@click.argument("components", nargs=-1)
def build(components: tuple[str, ...]) -> None:
    """Build the cluster's programs (all of them without a name) into the cache."""
    programs.build(list(components) or None)


@click.command("status")
@CLUSTER
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_status(cluster: str, as_json: bool) -> None:
    """Show applications, nodes, replicas and addresses."""
    if cluster == EMBEDDED:
        found = status.read(Instance.current())
    else:
        from kubestore.clusters import lifecycle as elsewhere

        found = elsewhere.look(cluster)
    click.echo(json.dumps(found) if as_json else status.page(found))


def _become(program: str, *arguments: str, kubeconfig: Path | None = None) -> None:
    chosen = kubeconfig or Instance.current().kubeconfig
    environment = {**os.environ, **programs.environment(), "KUBECONFIG": str(chosen)}
    sys.stdout.flush()
    os.execvpe(program, [program, *arguments], environment)  # noqa: S606


@click.command(context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(arguments: tuple[str, ...]) -> None:
    """Run kubectl against the cluster."""
    _become(str(programs.path("kubectl")), *arguments)


@click.command(context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def argocd(arguments: tuple[str, ...]) -> None:
    """Run argocd with the kubeconfig's rights, so that nobody needs a password."""
    instance = Instance.current()
    # Argo CD's own settings are looked for in the context's namespace.
    own = instance.dir / "kubeconfig-argocd"
    own.touch(mode=0o600)
    own.write_text(instance.kubeconfig.read_text())
    Kubectl(own).run("config", "set-context", "--current", "--namespace=argocd")
    os.environ["ARGOCD_OPTS"] = "--core"
    _become(str(programs.path("argocd")), *arguments, kubeconfig=own)


@click.command()
def shell() -> None:
    """Open a shell with kubectl, argocd and the rest on PATH and KUBECONFIG set."""
    say("kubectl, argocd, kustomize are at hand; `exit` leaves")
    _become(os.environ.get("SHELL", "/bin/bash"))


@click.command()
@CLUSTER
@click.argument("name", type=click.Choice(["admin", "redis", "webhook", "argocd", "grafana"]))
def secret(cluster: str, name: str) -> None:
    """Print a secret that was made at bootstrap.

    The store's admin token, Redis' password, the webhook's key; the password of Argo CD's first administrator
    (until it is changed) and of Grafana's.
    """
    if cluster != EMBEDDED:
        from kubestore.clusters import lifecycle as elsewhere

        click.echo(elsewhere.secret(cluster, name))
    elif name in secrets.KEPT:
        click.echo(secrets.value(Instance.current(), name))
    else:
        click.echo(secrets.asked(Kubectl(Instance.current().kubeconfig), name))
