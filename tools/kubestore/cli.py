"""The command `kubestore`: verbs only; each is imported when it is called."""

import errno
import importlib
import sys

import click

from kubestore.errors import KubestoreError

FULL = (errno.ENOSPC, errno.EDQUOT)

# Verb -> module:attribute.
VERBS = {
    "up": "kubestore.lab.verbs:up",
    "down": "kubestore.lab.verbs:down",
    "purge": "kubestore.lab.verbs:purge",
    "node": "kubestore.lab.nodeverbs:node",
    "status": "kubestore.lab.verbs:show_status",
    "build": "kubestore.lab.verbs:build",
    "kubectl": "kubestore.lab.verbs:kubectl",
    "argocd": "kubestore.lab.verbs:argocd",
    "shell": "kubestore.lab.verbs:shell",
    "secret": "kubestore.lab.verbs:secret",
    "ci": "kubestore.lab.forge.verbs:ci",
    "bump": "kubestore.release.verbs:bump",
    "image": "kubestore.release.verbs:image",
    "github": "kubestore.release.verbs:show_github",
    "validate": "kubestore.manifests.verbs:validate",
    "schemas": "kubestore.manifests.verbs:make_schemas",
    "images": "kubestore.manifests.verbs:images",
    "charts": "kubestore.manifests.chartverbs:charts",
    "policies": "kubestore.manifests.verbs:policies",
    "checkov": "kubestore.manifests.verbs:checkov",
    "adopt": "kubestore.manifests.verbs:adopt",
    "dashboards": "kubestore.observe.verbs:dashboards",
    "prove": "kubestore.prove.verbs:prove",
    "load": "kubestore.prove.verbs:load",
    "bench": "kubestore.prove.verbs:bench",
}


class Lazy(click.Group):
    """A group whose verbs are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of `VERBS`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, or None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=Lazy)
@click.version_option("0.1.0", prog_name="kubestore")
def root() -> None:
    """An online store on Kubernetes, deployed by git push alone."""


def main() -> None:
    """Run a verb; what goes wrong is one `error:` and one `hint:` line, and exit code 1."""
    try:
        root(prog_name="kubestore")
    except KubestoreError as error:
        print(error.lines(), file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in FULL:
            raise
        told = KubestoreError(
            f"the disk is full: {error.filename or 'a write failed'}: {error.strerror}",
            "free some space (df -h), then run the same command again",
        )
        print(told.lines(), file=sys.stderr)
        sys.exit(1)
