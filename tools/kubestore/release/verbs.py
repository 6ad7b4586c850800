"""Verbs of a release."""

import os
from pathlib import Path

import click

from kubestore import paths
from kubestore.manifests import repository
from kubestore.release import bump as bumping
from kubestore.release import github
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
    "environments",
    default=lambda: os.environ.get("KUBESTORE_ENV") or "staging",
    show_default="staging",
    help="One or more folders of apps/store/overlays, with spaces between.",
)
@click.option("--tag", help="Of the image; the one pushed last when left out.")
@click.option("--digest", help="Of the image, sha256:….")
def bump(environments: str, tag: str | None, digest: str | None) -> None:
    """Write one line that names the image, commit it and push it to main: the deployment.

    With BUMP_MODE=pr it is pushed to a branch of its own, whose name is told to the pipeline.
    """
    if not (tag and digest):
        built = images.last()
        tag, digest = built.tag, built.digest
    pushed = [bumping.bump(environment, tag, digest) for environment in environments.split()]
    _tell("branches", " ".join(name for name in pushed if name not in ("", "main")))


@click.command("github")
@click.option("--markdown", "form", flag_value="markdown", help="As docs/github.md has it.")
@click.option(
    "--ruleset", type=click.Choice(bumping.MODES), help="Print the protection of main for this BUMP_MODE."
)
def show_github(form: str | None, ruleset: str | None) -> None:
    """Print what a fork must set once on GitHub."""
    if ruleset:
        click.echo(github.ruleset_text(ruleset))
        return
    whose = repository.load(paths.REPO)
    click.echo(github.markdown(whose) if form else github.text(whose), nl=not form)


def _tell(name: str, value: str) -> None:
    """Give a later job of the pipeline a value, where there is a pipeline."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a") as output:
            output.write(f"{name}={value}\n")
