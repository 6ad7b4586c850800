"""A real API server (without a node) refuses what is forbidden, for the reason that is expected, and no more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestore.kubectl import Kubectl
from kubestore.manifests import apiserver, conform, live, objects, remotes, render
from kubestore.paths import REPO
from kubestore.run import CommandFailed
from kubestore.wait import until
from tests.manifests.fixtures import VALID
from tests.manifests.forbidden import HERE, Forbidden, load

ALLOWED = sorted((HERE / "allowed").glob("*/object.yaml"))
DRY = ("create", "--dry-run=server", "-f", "-")

pytestmark = [
    pytest.mark.skipif(not apiserver.built(), reason="kube-apiserver is not built; `make up` builds it"),
    # A daemon outlives the object that started it, on purpose.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """An API server with our namespaces and policies."""
    kept = (REPO / "apps" / part / "base" for part in ("namespaces", "policies"))
    builds = [render.build(REPO, folder, env=remotes.gitconfig()) for folder in kept]
    with apiserver.throwaway() as client:
        live.prepare(client, objects.world(REPO, builds), kinds=set())
        until(lambda: _refused(client, load("admission")[-1]), "the policies to be in force", 20, 0.2)
        yield client


def _refused(kubectl: Kubectl, forbidden: Forbidden) -> str:
    try:
        kubectl.run(*DRY, input=forbidden.text)
    except CommandFailed as error:
        return error.output
    return ""


@pytest.mark.parametrize("forbidden", load("admission"), ids=lambda one: one.name)
def test_what_is_forbidden_is_refused_with_its_reason(forbidden: Forbidden, kubectl: Kubectl) -> None:
    message = _refused(kubectl, forbidden)
    assert forbidden.given(message), message


@pytest.mark.parametrize("file", ALLOWED, ids=lambda file: file.parent.name)
def test_its_near_miss_is_admitted(file: Path, kubectl: Kubectl) -> None:
    kubectl.run(*DRY, input=file.read_text())


def test_what_the_api_server_refuses_is_a_finding_on_its_line(tmp_path: Path) -> None:
    tree = Path(shutil.copytree(VALID, tmp_path / "tree"))
    file = tree / "apps/web/base/hpa.yaml"
    file.write_text(file.read_text().replace("averageUtilization: 50", "averageUtilization: 0"))
    world = objects.world(tree, [render.build(tree, tree / "apps/web/overlays/one", env={})])
    assert conform.check(world.objects).findings == [], "no schema says it"
    (finding,) = live.check(world, "throwaway")
    assert (finding.rule, finding.file, finding.line) == ("live", "apps/web/base/hpa.yaml", 19)
    assert "greater than 0" in finding.what


def test_at_least_twelve_manifests_are_forbidden() -> None:
    assert len(load()) >= 12
    assert {one.where for one in load()} == {"admission", "sync", "InvalidSpecError", "ComparisonError"}
