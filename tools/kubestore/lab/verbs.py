"""Verbs of the embedded cluster."""

import json
import os
import sys
from pathlib import Path

import click

from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import lifecycle, programs, secrets, status
from kubestore.ui import say

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command()
@click.option("--without-argocd", is_flag=True, help="Stop before Argo CD: an empty cluster with the forge.")
def up(without_argocd: bool) -> None:
    """Bring up the cluster, Argo CD and the store; run it again to go on where it stopped."""
    instance = Instance.current()
    lifecycle.up(instance, argocd=not without_argocd)
    click.echo(status.page(status.read(instance)))
    say(
        "\nTry next:\n"
        f"  curl {instance.store_url}/api/v1/products\n"
        "  git pull --rebase local main   # the first release has moved main by one line\n"
        "  git push local main            # after a commit: deploys it; `kubestore ci watch` shows the run"
    )


@click.command()
def down() -> None:
    """Stop the cluster and leave the machine clean; its data stays for the next `up`."""
    lifecycle.down(Instance.current())


@click.command()
def purge() -> None:
    """Stop the cluster and forget its data; built programs and images stay in the cache."""
    lifecycle.purge(Instance.current())


@click.command()
@click.argument("components", nargs=-1)
def build(components: tuple[str, ...]) -> None:
    """Build the cluster's programs (all of them without a name) into the cache."""
    programs.build(list(components) or None)


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_status(as_json: bool) -> None:
    """Show applications, nodes, replicas and addresses."""
    found = status.read(Instance.current())
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
@click.argument("name", type=click.Choice(["admin", "redis", "webhook"]))
def secret(name: str) -> None:
    """Print a secret that bootstrap made: the store's admin token, Redis' password, the webhook's key."""
    click.echo(secrets.value(Instance.current(), name))
