"""`kubestore node …`."""

import click

from kubestore.instance import Instance
from kubestore.lab import nodes, workers
from kubestore.ui import table

FORCE = click.option("--force", is_flag=True, help="Even where something would be away or lost.")


@click.group("node")
def node() -> None:
    """The cluster's nodes: each is one process tree."""


@node.command("list")
def list_() -> None:
    """Show each node: what it is, whether it runs, what Kubernetes says of it."""
    instance = Instance.current()
    nodes.named(instance, "node-1")
    click.echo(table(nodes.listing(instance), nodes.HEADERS))


@node.command()
@click.argument("name", default="")
def add(name: str) -> None:
    """Join one more worker (NAME: node-2, node-3, ...; the next number by default)."""
    instance = Instance.current()
    nodes.named(instance, "node-1")
    with instance.lock("node add"):
        click.echo(workers.add(instance, name).name)


@node.command()
@click.argument("name")
@FORCE
def remove(name: str, force: bool) -> None:
    """Drain a worker, take it out and forget its data."""
    instance = Instance.current()
    nodes.named(instance, name)
    with instance.lock("node remove"):
        workers.remove(instance, name, force=force)


@node.command()
@click.argument("name")
@FORCE
def stop(name: str, force: bool) -> None:
    """End a node at once, as when its power fails."""
    instance = Instance.current()
    nodes.named(instance, name)
    with instance.lock("node stop"):
        workers.stop(instance, name, force=force)


@node.command()
@click.argument("name")
def start(name: str) -> None:
    """Start a stopped node; pods may come to it, also after a drain."""
    instance = Instance.current()
    nodes.named(instance, name)
    with instance.lock("node start"):
        workers.start(instance, name)


@node.command()
@click.argument("name")
@FORCE
def drain(name: str, force: bool) -> None:
    """Move a node's pods elsewhere and let none come; `node start` ends it."""
    instance = Instance.current()
    nodes.named(instance, name)
    with instance.lock("node drain"):
        workers.drain(instance, name, force=force)
