"""What the clusters of this repository promise: least privilege, shared clusters that bear a drain, no leak."""

from itertools import chain
from pathlib import Path

import pytest

from kubestore.manifests import leaks, objects, remotes, render, repository
from kubestore.manifests.objects import Obj, World
from kubestore.manifests.rules.secrets import ENFORCE
from kubestore.paths import REPO
from kubestore.run import run
from tests.manifests.fixtures import TOKEN

BEFORE = repository.load(REPO)
SCOPES = ("cluster", "namespace")


@pytest.fixture(scope="module")
def world() -> World:
    """The checkout, rendered."""
    return objects.world(REPO, render.build_all(REPO, remotes.gitconfig()))


def test_a_namespace_that_bears_less_than_restricted_says_why(world: World) -> None:
    less = {
        obj.name: obj.annotations.get("kubestore.dev/except-pod-security", "")
        for obj in world.objects
        if obj.kind.kind == "Namespace" and obj.labels.get(ENFORCE) != "restricted"
    }
    assert set(less) == {"local-path-storage", "node-exporter"}
    assert all(less.values()), less


def test_a_project_allows_no_kind_that_nothing_uses(world: World) -> None:
    """Those of a chart are asked for by `kubestore charts`; an Ingress is for who has no Gateway."""
    allowed: dict[str, set[tuple[str, str]]] = {}
    used: dict[str, set[tuple[str, str]]] = {"store": {("networking.k8s.io", "Ingress")}}
    for cluster in world.clusters:
        for obj in cluster.of_kind("AppProject"):
            lists = [obj.get("spec", f"{scope}ResourceWhitelist", default=[]) for scope in SCOPES]
            allowed[obj.name] = {(entry["group"], entry["kind"]) for entry in chain(*lists)}
        for application in cluster.applications:
            objects = application.build.objects if application.build else []
            kinds = {(one["apiVersion"].rpartition("/")[0], one["kind"]) for one in objects}
            used.setdefault(application.obj.get("spec", "project"), set()).update(kinds)
    unused = {name: kinds - used.get(name, set()) for name, kinds in allowed.items() if name != "monitoring"}
    assert {name for name, kinds in unused.items() if kinds} == set(), unused


@pytest.mark.parametrize("name", ["embedded", "minikube"])
def test_a_bad_release_at_ten_pods_leaves_room_for_its_revert(name: str, world: World) -> None:
    """A node of two cores, of which the control plane, Argo CD and Redis ask for 1020m on the embedded cluster."""
    cluster = next(one for one in world.clusters if one.name == name)
    found = {obj.subject: obj for obj in cluster.objects if obj.namespace == "store"}
    pods = found["HorizontalPodAutoscaler/store"].get("spec", "maxReplicas")
    pods += found["Deployment/store"].get("spec", "strategy", "rollingUpdate", "maxSurge")
    asked = pods * _millicores(found["Deployment/store"]) + _millicores(found["Pod/store-catalog"])
    assert asked <= 2000 - 1020


def _millicores(workload: Obj) -> int:
    assert workload.pod_path is not None
    containers = workload.get(*workload.pod_path, "spec", "containers")
    return sum(int(one["resources"]["requests"]["cpu"].removesuffix("m")) for one in containers)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_a_shared_cluster_runs_the_store_apart_and_more_than_once(name: str, world: World) -> None:
    cluster = next(one for one in world.clusters if one.name == name)
    found = {obj.subject: obj for obj in cluster.objects if obj.namespace in ("store", "")}
    bounds = found["HorizontalPodAutoscaler/store"]
    assert (bounds.get("spec", "minReplicas"), bounds.get("spec", "maxReplicas")) == (2, 10)
    budget = found["PodDisruptionBudget/store"].get("spec")
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert "minAvailable" not in budget
    pod = found["Deployment/store"].get("spec", "template", "spec")
    assert {one["topologyKey"] for one in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    assert pod["priorityClassName"] == found["PriorityClass/store"].name
    hosts = {"production": BEFORE.host, "staging": BEFORE.staging_host}
    assert found["HTTPRoute/store"].get("spec", "hostnames") == [hosts[name]]
    secrets = {"ExternalSecret/redis-auth", "ExternalSecret/store-secrets"}
    assert secrets <= found.keys()
    assert found["ExternalSecret/redis-auth"].data["apiVersion"] == "external-secrets.io/v1"


def test_a_secret_that_was_taken_out_again_is_found_in_the_history(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        run(["git", "-C", tmp_path, *who, *words])

    git("init", "--quiet")
    (tmp_path / "settings.yaml").write_text(f"token: {TOKEN}\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "in")
    (tmp_path / "settings.yaml").write_text("token: none\n")
    git("commit", "--quiet", "--all", "--message", "out")
    assert leaks.scan(tmp_path, history=False) == []
    (found,) = leaks.scan(tmp_path, history=True)
    assert (found.rule, found.file, found.line) == ("leak", "settings.yaml", 1)
    assert "in commit" in found.what
