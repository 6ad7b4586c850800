"""What `up --cluster current` applies, on a real API server without a node: taken, kept, stopped, taken away."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubestore import paths
from kubestore.clusters import ground, stages
from kubestore.clusters.command import Stage, perform
from kubestore.clusters.context import Context
from kubestore.clusters.fork import Fork
from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.manifests import apiserver, remotes
from kubestore.run import run
from kubestore.wait import until
from tests.e2e import fork as e2e

ENVIRONMENT, URL = "minikube", "https://git.example.org/you/shop.git"
SECRETS = [
    ("redis", "redis-auth"),
    ("store", "redis-auth"),
    ("store", "store-secrets"),
    ("monitoring", "grafana-admin"),
]
DEFAULT_CLASS = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.org/none",
    "metadata": {"name": "standard", "annotations": {ground.DEFAULT_CLASS: "true"}},
}  # fmt: skip

pytestmark = [
    pytest.mark.skipif(not apiserver.built(), reason="kube-apiserver is not built; `make up` builds it"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    """Somebody's cluster, with a default StorageClass."""
    before = dict(os.environ)
    with apiserver.throwaway() as kubectl:
        os.environ |= {**programs.environment(), **remotes.gitconfig(), "KUBECONFIG": str(kubectl.kubeconfig)}
        try:
            kubectl.run("create", "-f", "-", input=json.dumps(DEFAULT_CLASS))
            yield Context("throwaway")
        finally:
            os.environ.clear()
            os.environ.update(before)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Fork:
    """The checkout's manifests as a fork at URL."""
    tree = tmp_path_factory.mktemp("fork")
    for name in ("apps", "clusters"):
        shutil.copytree(paths.REPO / name, tree / name)
    e2e._adopt(tree, URL)
    return Fork(URL, "main", "0" * 40, tree, tree)


def without_waiting(wanted: list[Stage]) -> list[Stage]:
    """The stages without what waits for pods: there is no node."""
    return [replace(one, commands=[c for c in one.commands if "rollout" not in c.words]) for one in wanted]


def install(context: Context, fork: Fork) -> None:
    perform(without_waiting(stages.bootstrap(context, fork, ENVIRONMENT, fresh=False)))


def secrets(context: Context) -> dict[tuple[str, str], dict[str, str]]:
    return {where: ground.secret(context, *where) for where in SECRETS}


def replicas(context: Context, namespace: str) -> set[Any]:
    return {one["spec"].get("replicas") for one in context.items(stages.SCALED, "-n", namespace)}


def test_0_an_argocd_in_any_namespace_is_somebody_elses(context: Context, fork: Fork) -> None:
    labels = {"app.kubernetes.io/part-of": "argocd"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    server = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }
    server["metadata"] = {"name": "argocd-server", "namespace": "default", "labels": labels}
    context.run("create", "-f", "-", input=json.dumps(server))
    with pytest.raises(KubestoreError, match="has an Argo CD already in namespace default"):
        ground.check(context, fork, ENVIRONMENT)
    context.run("delete", "deployment", "argocd-server", "-n", "default")


def test_1_a_cluster_with_nothing_of_ours_is_taken(context: Context, fork: Fork) -> None:
    assert ground.check(context, fork, ENVIRONMENT).startswith("v1.")
    install(context, fork)
    assert ground.root(context) == {"url": URL, "path": "clusters/minikube"}
    made = secrets(context)
    assert made[("redis", "redis-auth")] == made[("store", "redis-auth")]
    assert made[("monitoring", "grafana-admin")]["admin-user"] == "admin"
    assert all(any(texts.values()) for texts in made.values())
    assert ground.told(context, "webhook", "")


def test_2_what_was_stopped_is_woken_and_no_secret_is_made_anew(context: Context, fork: Fork) -> None:
    before, key = secrets(context), ground.told(context, "webhook", "")
    assert replicas(context, "argocd") == {1}
    spaces = [one["metadata"]["name"] for one in context.items("namespaces") if ground.owned(one)]
    assert set(spaces) == set(ground.namespaces(fork))
    perform(stages.rest(context, spaces))
    assert replicas(context, "argocd") == {0}
    context.run("delete", "secret", "redis-auth", "-n", "store")
    ground.check(context, fork, ENVIRONMENT)
    install(context, fork)
    assert replicas(context, "argocd") == {1}
    assert (secrets(context), ground.told(context, "webhook", "")) == (before, key)


def test_3_another_forks_up_is_refused(context: Context, fork: Fork) -> None:
    with pytest.raises(KubestoreError, match=f"follows clusters/minikube of {URL}"):
        ground.check(context, replace(fork, url="https://git.example.org/other.git"), ENVIRONMENT)


def test_4_the_proofs_stand_in_for_github_reaches_pods_and_nothing_else(
    context: Context, tmp_path: Path
) -> None:
    config = Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text()
    context.run("apply", "-f", "-", input=e2e.MIRRORS.read_text().replace("@env@", e2e.variables(config)))
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default"},
    }
    pod["spec"] = {"containers": [{"name": "a", "image": "a:1"}]}
    pod["metadata"]["labels"] = {"app.kubernetes.io/name": "argocd-repo-server"}

    def variables() -> dict[str, str]:
        said = context.run("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(pod))
        return {one["name"]: one["value"] for one in json.loads(said)["spec"]["containers"][0].get("env", [])}

    found = until(variables, "the policy to be in force", 20, 0.2)
    pod["metadata"]["labels"] = {"app.kubernetes.io/name": "store"}
    assert variables() == {}
    asked = "https://github.com/argoproj/argo-cd/x"
    env = {**found, "GIT_CONFIG_GLOBAL": os.devnull}
    rewritten = run(["git", "ls-remote", "--get-url", asked], env=env, cwd=tmp_path).stdout
    assert rewritten.strip().endswith("mirrors/argo-cd.git/x")


def test_5_purge_takes_all_of_it_away(context: Context, fork: Fork) -> None:
    perform(stages.removal(context, fork, ENVIRONMENT))
    until(lambda: "argoproj.io" not in context.says("get", "crds", "-o", "name"), "the definitions to go", 30)
    going = {
        one["metadata"]["name"]
        for one in context.items("namespaces")
        if "deletionTimestamp" in one["metadata"]
    }
    assert going == set(ground.namespaces(fork))
    assert "argocd" not in context.says("get", "clusterroles,clusterrolebindings", "-o", "name")
