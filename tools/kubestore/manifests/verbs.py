"""Verbs of the manifests: validate, schemas, images, adopt."""

import json
import sys
from pathlib import Path

import click

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.manifests import adopt as adoption
from kubestore.manifests import digests, findings, flows, live, objects, outside, remotes, render, schemas
from kubestore.manifests import images as pictures
from kubestore.manifests import validate as validation
from kubestore.ui import say, table

ROOT = click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), default=paths.REPO, hidden=True
)


def tree(root: Path) -> Path:
    if not (root / "clusters").is_dir():
        raise KubestoreError(f"{root} has no folder `clusters`", "run it in a checkout of the repository")
    return root.resolve()


@click.command()
@click.option("--fast", is_flag=True, help="Without the history's secrets: seconds, for a git hook.")
@click.option("--live", "against", flag_value="throwaway", help="Ask a throw-away API server as well.")
@click.option(
    "--current", "against", flag_value="current", help="Ask the embedded cluster's API server as well."
)
@click.option("--format", "form", type=click.Choice(["text", "github", "json"]), default="text")
@ROOT
def validate(fast: bool, against: str | None, form: str, root: Path) -> None:
    """Render every manifest and check it as the cluster will; each finding is one line."""
    report = validation.validate(tree(root), fast=fast, against=against or "")
    if report.findings or form == "json":
        click.echo(findings.shown(report.findings, form))
    say(report.summary())
    if report.findings:
        sys.exit(1)


@click.command("schemas")
@click.option("--check", is_flag=True, help="Only compare with the committed ones.")
@click.option("--current", is_flag=True, help="From the embedded cluster instead of a throw-away API server.")
@ROOT
def make_schemas(check: bool, current: bool, root: Path) -> None:
    """Make the schemas of the kinds we use from the API server's own document."""
    world = objects.world(root, render.build_all(tree(root), remotes.gitconfig()))
    kinds = {obj.kind for obj in world.objects} | set(schemas.ALSO)
    with live.server("current" if current else "throwaway") as kubectl:
        if not current:
            live.prepare(kubectl, world)
        made = schemas.generate(kubectl, kinds)
    if check or current:
        changed = schemas.differing(made)
        if changed:
            raise KubestoreError(
                f"{', '.join(changed)}: differ from the API server", "run `kubestore schemas`"
            )
        say(f"{len(made)} schemas are as the API server has them")
        return
    changed = schemas.write(made)
    absent = sorted(kind.file for kind in kinds if kind.file not in made)
    say(
        f"{len(made)} schemas, {len(changed)} changed"
        + (f"; not served: {', '.join(absent)}" if absent else "")
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--pin", is_flag=True, help="Ask the registries for digests and write them to apps/digests.")
@ROOT
def images(as_json: bool, pin: bool, root: Path) -> None:
    """List every image with tag, digest, cluster and source."""
    world = objects.world(root, render.build_all(tree(root), remotes.gitconfig()))
    if pin:
        changed = digests.pin(world)
        click.echo("\n".join(changed), nl=bool(changed))
        say(f"{len(changed)} digests changed in {digests.FOLDER}")
        return
    if as_json:
        click.echo(json.dumps(pictures.as_json(world), indent=1))
        return
    rows = [
        (u.image, u.tag, u.digest[:19] or "unverified", u.cluster, u.source) for u in pictures.used(world)
    ]
    click.echo(table(rows, ("IMAGE", "TAG", "DIGEST", "CLUSTER", "SAID IN")))
    for text in validation.charts(world):
        say(f"not rendered: {text}")


@click.command()
@click.option("--repo", "url", required=True, help="URL of the fork.")
@click.option("--image-owner", "owner", required=True, help="Who owns the image on the registry.")
@click.option("--host", default="", help="Host name of the store in production.")
@ROOT
def adopt(url: str, owner: str, host: str, root: Path) -> None:
    """Make a fork ready: put its URL, image owner and host name wherever the old ones stand."""
    changed = adoption.adopt(tree(root), url, owner, host)
    for name in changed:
        click.echo(name)
    say(f"{len(changed)} files changed; look at `git diff`, run `make validate`, and commit")


@click.command()
@ROOT
def policies(root: Path) -> None:
    """Print docs/policies.md: flows, namespaces and admission policies as they are rendered."""
    click.echo(flows.page(objects.world(root, render.build_all(tree(root), remotes.gitconfig()))), nl=False)


@click.command()
@click.option("--program", default="checkov", help="Where checkov is installed (pip install checkov, apart).")
@ROOT
def checkov(program: str, root: Path) -> None:
    """Show the manifests to checkov: ours must not fail, upstream's are told beside."""
    world = objects.world(root, render.build_all(tree(root), remotes.gitconfig()))
    found = outside.verdicts(world, Path(program))
    rows = [
        (v.build, "ours" if v.ours else "upstream", v.passed, v.failed, " ".join(v.checks)) for v in found
    ]
    click.echo(table(rows, ("BUILD", "WHOSE", "PASSED", "FAILED", "CHECKS")))
    if any(verdict.failed for verdict in found if verdict.ours):
        sys.exit(1)
