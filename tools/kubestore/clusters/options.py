"""Options that several verbs share."""

import click

from kubestore.clusters.providers import CHOICES, EMBEDDED

CLUSTER = click.option(
    "--cluster",
    type=click.Choice(CHOICES),
    default=EMBEDDED,
    envvar="KUBESTORE_CLUSTER",
    show_default=True,
    help="The embedded one, or one of your own: kind, minikube, the kubeconfig's current context.",
)
AGREE = click.option("--yes", is_flag=True, help="Do not ask before a cluster of somebody's is changed.")
