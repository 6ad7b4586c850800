"""Verbs of a release."""

import os

import click

from kubestore.release import bump as bumping
from kubestore.release import image as images


@click.group()
def image() -> None:
    """Build and push the store's image."""


@image.command()
def build() -> None:
    """Build the image of the checkout's commit; prints its name."""
    click.echo(images.build())


@image.command()
def push() -> None:
    """Push it; prints tag and digest."""
    built = images.push()
    click.echo(f"{built.tag}@{built.digest}")


@click.command()
@click.option(
    "--env",
    "environment",
    default=lambda: os.environ.get("KUBESTORE_ENV") or "staging",
    show_default="staging",
)
@click.option("--tag", help="Of the image; the one pushed last when left out.")
@click.option("--digest", help="Of the image, sha256:….")
def bump(environment: str, tag: str | None, digest: str | None) -> None:
    """Write one line that names the image, commit it and push it to main: the deployment."""
    if not (tag and digest):
        built = images.last()
        tag, digest = built.tag, built.digest
    bumping.bump(environment, tag, digest)
