"""Verbs of validation."""

import sys
from pathlib import Path

import click

from kubestore import paths
from kubestore.lab import programs
from kubestore.run import CommandFailed, run, tail


@click.command()
@click.option("--fast", is_flag=True, help="Only what a push must wait for.")
@click.option("--root", type=click.Path(path_type=Path), default=paths.REPO, help="Of the checkout.")
def validate(fast: bool, root: Path) -> None:
    """Render every overlay of the store and Redis."""
    bad = 0
    for file in sorted((root / "apps").glob("*/overlays/*/kustomization.yaml")):
        if "kind: Kustomization" in file.read_text() and file.parts[-4] in ("store", "redis"):
            try:
                run([programs.path("kustomize"), "build", file.parent], timeout=60)
            except CommandFailed as error:
                bad += 1
                click.echo(f"{file.relative_to(root)}: {tail(error.output, 2)}")
    sys.exit(1 if bad else 0)
