"""What was checked is what Argo CD makes, and the committed schemas are those of the running API server."""

import sys

import pytest

from kubestore import paths
from kubestore.manifests import compare, objects, remotes, render
from kubestore.prove.cluster import Cluster
from kubestore.run import run
from tests.e2e.steps import Loop, figure, then

pytestmark = pytest.mark.e2e

KUBESTORE = (sys.executable, "-m", "kubestore")
ENVIRONMENT = {"PYTHONPATH": str(paths.REPO / "tools")}


def repo_server(name: str) -> str:
    """What Argo CD's repo server renders for an Application."""
    return run([*KUBESTORE, "argocd", "app", "manifests", name], env=ENVIRONMENT, timeout=60).stdout


def test_the_repo_server_renders_the_objects_that_were_checked(cluster: Cluster, loop: Loop) -> None:
    root = loop.copy.folder
    world = objects.world(root, render.build_all(root, remotes.gitconfig()))
    embedded = next(found for found in world.clusters if found.name == "embedded")
    with then("every object is the same in both renderings", 120):
        assert compare.differences(embedded, repo_server) == []
    count = sum(len(app.build.objects) for app in embedded.applications if app.build)
    figure("objects that differ between our rendering and Argo CD's", 0, count, "0")


def test_the_committed_schemas_are_those_of_the_running_api_server() -> None:
    with then("nothing differs", 90):
        said = run([*KUBESTORE, "schemas", "--check", "--current"], env=ENVIRONMENT, timeout=90).stderr
    assert "schemas are as the API server has them" in said
