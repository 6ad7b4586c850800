"""The cluster is what Git says, and stays it."""

import time

import pytest

from kubestore import paths
from kubestore.lab import cgroups
from kubestore.lab.node import Node
from kubestore.prove import machine, twin
from kubestore.prove.cluster import Cluster
from kubestore.prove.workcopy import Workcopy
from kubestore.run import run
from tests.e2e.steps import Loop, figure, given, then

pytestmark = pytest.mark.e2e

REST = 60.0
EXPECTED = {"root", "argocd", "namespaces", "metrics-server", "storage", "redis", "store"}


def test_forge_has_the_commit_that_is_tested(loop: Loop) -> None:
    head = run(["git", "-C", paths.REPO, "rev-parse", "HEAD"]).stdout.strip()
    with then("the forge's main contains HEAD", 10):
        assert machine.commit() != "none"
        contains = run(
            ["git", "merge-base", "--is-ancestor", head, "origin/main"], cwd=loop.copy.folder, check=False
        )
        assert contains.returncode == 0, f"the forge's main lacks {head[:10]}: git push local main"


def test_applications_are_synced_and_healthy_and_stay_so_at_rest(cluster: Cluster) -> None:
    with given("every Application is Synced and Healthy", 180):
        cluster.settled(180, *EXPECTED)
    node = Node(cluster.instance, 1).cgroup
    with then(f"they still are during {REST:.0f} s of rest", REST + 5):
        looks, began, used = 0, time.monotonic(), cgroups.usage(node)[0]
        end = began + REST
        while time.monotonic() < end:
            apps = cluster.applications()
            astray = [str(app) for app in apps.values() if (app.sync, app.health) != ("Synced", "Healthy")]
            assert not astray, f"after {looks} looks: {', '.join(astray)}"
            looks += 1
            time.sleep(1)
    figure("Applications Synced and Healthy at rest", f"{len(apps)} of {len(apps)}, {looks} looks", looks)
    now, memory = cgroups.usage(node)
    figure("processors in use at rest", f"{(now - used) / (time.monotonic() - began):.2f} cores", 1, "<= 0.6")
    figure("memory in use at rest", f"{memory / 2**30:.2f} GiB", 1, "<= 3")


def images(item: twin.Object) -> list[str]:
    """The images of a workload's containers."""
    pod = item["spec"]["template"]["spec"]
    return [entry["image"] for entry in [*pod.get("initContainers", []), *pod["containers"]]]


PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


@pytest.mark.parametrize("app", ["argocd", "metrics-server", "redis", "store"])
def test_images_that_run_are_those_that_git_names(app: str, cluster: Cluster, loop: Loop) -> None:
    tree: Workcopy = loop.copy
    folder = tree.folder / "apps" / app / "overlays" / "embedded"
    workloads = [item for item in twin.render(cluster, folder) if item["kind"] in PLURALS]
    assert workloads, f"{folder} has no workload"
    with then(f"the images of {app} are those of Git", 20):
        for item in workloads:
            meta = item["metadata"]
            path = f"/apis/apps/v1/namespaces/{meta['namespace']}/{PLURALS[item['kind']]}/{meta['name']}"
            live = cluster.api.get(path)
            assert images(live) == images(item), f"{item['kind']} {meta['name']}"
    if app == "store":
        running = {pod.image for pod in cluster.pods() if not pod.deleting}
        assert running == set(images(workloads[0])), f"pods run {running}"
        assert "@sha256:" in tree.tag()
