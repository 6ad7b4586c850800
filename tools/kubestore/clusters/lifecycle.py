"""up, status, load, down and purge on a cluster of the user's own."""

import click

from kubestore import http, paths, ui, wait
from kubestore.clusters import fork as forks
from kubestore.clusters import ground, preflight, providers, stages
from kubestore.clusters.command import Command, Stage, perform, shown
from kubestore.clusters.context import Context
from kubestore.clusters.fork import Fork
from kubestore.clusters.providers import Provider
from kubestore.errors import KubestoreError
from kubestore.lab import bootstrap, status
from kubestore.manifests import repository

CONVERGE = 900.0
ANSWERS = 60.0


def up(name: str, environment: str, *, yes: bool, dry_run: bool) -> None:
    """Bring up the cluster, Argo CD and the store; with `dry_run` only show the commands.

    Raises `KubestoreError`, with nothing changed, for what is missing on this machine, in the fork or on
    the cluster.
    """
    provider = providers.PROVIDERS[name]
    state, fork = _survey(provider, environment, dry_run)
    begin = provider.start(state)
    context = provider.context()
    if not begin:
        server = ground.check(context, fork, environment)
        ui.say(f"context {context.name}, Kubernetes {server}")
    if dry_run:
        clone = Command(tuple(forks.clone_words(fork.url, fork.branch, fork.at)))
        first = [Stage("the fork", [clone])] + ([Stage(f"{name}: the cluster", begin)] if begin else [])
        if state == "stopped":
            ui.say(
                "note: the cluster is stopped, so it was not asked: Secrets that it has are left as they are"
            )
        click.echo(shown([*first, *stages.bootstrap(context, fork, environment, fresh=bool(begin))]))
        return
    if not provider.ours:
        _ask(f"install Argo CD and the store on {context.name}, from {fork.url}", yes)
    if begin:
        perform([Stage(f"{name}: the cluster", begin)])
        _ready(context)
        ground.check(context, fork, environment)
    perform(stages.bootstrap(context, fork, environment, fresh=False))
    hint = f"kubectl --context {context.name} -n argocd get applications; the same command goes on from here"
    bootstrap.converge(context, CONVERGE, hint)
    _answers(provider)


def _survey(provider: Provider, environment: str, dry_run: bool) -> tuple[str, Fork]:
    """The cluster's state and the fork; a dry run only notes what is missing, and goes on without it."""
    wrong = list(preflight.findings(provider))
    if not dry_run:
        preflight.refuse(f"{provider.name}: this machine is not ready", wrong)
    state = provider.state() if not wrong else "absent"
    try:
        fork = forks.fetch(provider.name, paths.REPO)
    except KubestoreError as error:
        if not dry_run:
            raise
        wrong.append((error.what, error.hint))
        fork = forks.assumed(provider.name, paths.REPO)
    lacking = list(ground.source(fork, environment))
    if not dry_run:
        preflight.refuse("the fork is not ready", lacking)
    notes = [f"{what}; {mend}" for what, mend in [*wrong, *lacking]]
    for note in [*notes, *filter(None, [forks.behind(fork, paths.REPO)])]:
        ui.say(f"note: {note}")
    return state, fork


def _ask(what: str, yes: bool) -> None:
    if yes:
        return
    try:
        agreed = click.confirm(f"This will {what}. Go on?", err=True)
    except click.Abort:  # nobody is there to answer, and the question's line is still open
        ui.say("")
        agreed = False
    if not agreed:
        raise KubestoreError("not confirmed, so nothing was changed", "answer y, or give --yes")


def _ready(context: Context) -> None:
    with ui.step("API server and nodes ready"):
        wait.until(lambda: context.run("get", "--raw=/readyz") == "ok", "API server", 180)
        context.run("wait", "--for=condition=Ready", "node", "--all", "--timeout=180s", timeout=190)


def _answers(provider: Provider) -> None:
    """Wait until the store answers; a node of somebody's cluster may be out of reach from here."""
    url = f"{store_url(provider)}/readyz"
    with ui.step("the store answers"):
        try:
            wait.until(lambda: http.get(url).status == 200, "store", ANSWERS)
        except KubestoreError:
            if provider.ours:
                raise
            ui.say(f"{url} is out of reach from here: kubectl -n store port-forward service/store 8080")


def store_url(provider: Provider) -> str:
    """Where the store answers."""
    return f"http://{provider.address()}:{providers.STORE_PORT}"


def look(name: str) -> status.Status:
    """The cluster as it is. Raises `KubestoreError` when it is not there or not ours."""
    provider = _running(name)
    urls = {
        "store": store_url(provider),
        "argocd": f"https://{provider.address()}:{providers.ARGOCD_PORT}",
        "git": repository.load(paths.REPO).url,
    }
    return status.look(provider.context(), urls, "origin")


def target(name: str) -> str:
    """Where a load is sent."""
    return store_url(_running(name))


def secret(name: str, which: str) -> str:
    """A secret that bootstrap made, read from the cluster."""
    return ground.told(_running(name).context(), which, f"make up CLUSTER={name}")


def down(name: str, *, yes: bool) -> None:
    """Stop the cluster, or on somebody's cluster what we run there; the data stays."""
    provider = _tools(name)
    if provider.ours:
        perform([Stage(f"stop {name}", provider.stop(provider.state()))])
        return
    context = _follows(provider)
    spaces = [one["metadata"]["name"] for one in context.items("namespaces") if ground.owned(one)]
    _ask(f"stop Argo CD, the store and Redis on {context.name}", yes)
    perform(stages.rest(context, spaces))


def purge(name: str, *, yes: bool) -> None:
    """Delete the cluster, or on somebody's cluster everything of ours, data included."""
    provider = _tools(name)
    if provider.ours:
        perform([Stage(f"delete {name}", provider.delete(provider.state()))])
        return
    context = _follows(provider)
    environment = ground.root(context)["path"].rpartition("/")[2]
    fork = forks.fetch(name, paths.REPO)
    _ask(f"DELETE Argo CD, the store, Redis and its data from {context.name}", yes)
    perform(stages.removal(context, fork, environment))


def _tools(name: str) -> Provider:
    provider = providers.PROVIDERS[name]
    preflight.refuse(f"{name}: this machine is not ready", list(preflight.programs(provider.programs)))
    return provider


def _running(name: str) -> Provider:
    provider = _tools(name)
    if provider.state() != "running":
        raise KubestoreError(f"the {name} cluster is {provider.state()}", f"make up CLUSTER={name}")
    if not provider.ours:
        _follows(provider)
    return provider


def _follows(provider: Provider) -> Context:
    context = provider.context()
    ground.reach(context)
    url = repository.load(paths.REPO).url
    if not ground.is_ours(context, url):
        raise KubestoreError(
            f"{context.name} does not follow {url}, so nothing on it is ours",
            "kubectl config current-context",
        )
    return context
