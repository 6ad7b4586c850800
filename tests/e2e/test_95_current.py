"""`up --cluster current` with clusters/minikube, on a cluster that is not ours: an embedded one without Argo CD.

It needs a cluster of its own beside the one that the other tests use, so it runs only when an instance is named for
it: KUBESTORE_E2E_CURRENT=people make e2e
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestore import http, paths, wait
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import lifecycle
from kubestore.prove import ledger
from tests.e2e import fork as forks
from tests.e2e.fork import Fork
from tests.e2e.steps import figure, given, then, when

NAME = os.environ.get("KUBESTORE_E2E_CURRENT", "")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not NAME, reason="needs a second cluster: KUBESTORE_E2E_CURRENT=<a name for its instance>"
    ),
]
UP, DOWN, HOLD = 480.0, 60.0, 30.0


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    """The cluster, bare, and a released fork; both are gone afterwards, unless the instance was there before."""
    before = os.environ.get("KUBESTORE_INSTANCE")
    kept = (paths.STATE / NAME).exists()
    with given("an embedded cluster without Argo CD", 600):
        instance = forks.up_without_argocd(NAME)
        made = forks.make(instance, tmp_path_factory.mktemp("fork") / "kubestore")
        forks.prepare(instance)
    yield made
    if not kept:
        lifecycle.purge(instance)
    os.environ.pop("KUBESTORE_INSTANCE") if before is None else os.environ.update(KUBESTORE_INSTANCE=before)


def everything(instance: Instance) -> str:
    """Names and versions of all that a `kubestore up` could change."""
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,apiservices,secrets,deployments,statefulsets"
    form = "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.uid}\\n{end}"
    return Kubectl(instance.kubeconfig).run("get", kinds, "-A", "-o", form)


def refused(fork: Fork, *words: str, **env: str) -> str:
    """What `up` says when it must refuse; nothing may have changed."""
    before = everything(fork.instance)
    done = fork.kubestore("up", "--cluster", "current", *words, **env)
    assert done.returncode == 1, done.stderr
    assert everything(fork.instance) == before, "something was changed"
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], done.stderr
    return lines[0]


def test_a_fork_without_a_release_is_refused(fork: Fork) -> None:
    assert "names no image of the store" in refused(fork, "--yes")


def test_a_released_fork_shows_its_commands_and_changes_nothing(fork: Fork) -> None:
    with when("the fork is released and pushed", 240):
        forks.release(fork)
    before = everything(fork.instance)
    done = fork.kubestore("up", "--cluster", "current", "--dry-run")
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert commands[0].startswith("git clone")
    assert all(line.startswith("kubectl --context kubernetes-admin@kubestore") for line in commands[1:])
    assert everything(fork.instance) == before


def test_nothing_is_done_before_somebody_agreed(fork: Fork) -> None:
    assert "not confirmed" in refused(fork)


def test_a_context_with_too_few_rights_is_refused(fork: Fork, tmp_path: Path) -> None:
    guest = forks.limited(fork, tmp_path)
    assert "too few rights" in refused(fork, "--yes", KUBECONFIG=str(guest))


def states(fork: Fork) -> dict[str, str]:
    """Sync and health of each Application."""
    done = fork.kubestore("status", "--cluster", "current", "--json")
    assert done.returncode == 0, done.stderr
    return {app["name"]: f"{app['sync']} {app['health']}" for app in json.loads(done.stdout)["applications"]}


def test_up_ends_with_every_application_synced_and_healthy(fork: Fork) -> None:
    for name, why in fork.excepted.items():
        figure(f"Application {name} is excepted", why, 1)
    with when("up --cluster current", UP):
        done = fork.kubestore("up", "--cluster", "current", "--yes")
    assert done.returncode == 0, done.stderr[-3000:]
    found = states(fork)
    assert set(found) == fork.applications()
    assert set(found.values()) == {"Synced Healthy"}, found
    source = Kubectl(fork.instance.kubeconfig).json("get", "application", "root", "-n", "argocd")["spec"][
        "source"
    ]
    assert source["repoURL"] == fork.instance.forge_url
    with then("the store sells", 20):
        answer = http.get(f"{fork.instance.store_url}/api/v1/products")
        assert answer.status == 200
    names = ", ".join(sorted(found))
    figure("Applications Synced and Healthy on somebody's cluster", f"{len(found)}: {names}", len(found))
    ledger.record(
        "cluster-current", True, len(found), {"applications": len(found), "excepted": len(fork.excepted)}
    )


def test_another_forks_argocd_is_left_alone(fork: Fork, tmp_path: Path) -> None:
    """The same repository by another address stands for somebody else's."""
    file = fork.folder / "apps/repository/configmap.yaml"
    ours = file.read_text()
    file.write_text(ours.replace("kubestore.git", "kubestore.git/"))
    try:
        assert "follows clusters/minikube of" in refused(fork, "--yes")
    finally:
        file.write_text(ours)


def automated(kubectl: Kubectl, name: str, enabled: bool) -> None:
    """As docs/runbooks/by-hand.md does it."""
    patch = json.dumps({"spec": {"syncPolicy": {"automated": {"enabled": enabled}}}})
    kubectl.run("-n", "argocd", "patch", "application", name, "--type=merge", "-p", patch)


def test_a_change_by_hand_is_held_until_it_is_let_go(fork: Fork) -> None:
    kubectl = Kubectl(fork.instance.kubeconfig)

    def change() -> None:
        note = json.dumps({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 47}}}})
        kubectl.run("-n", "store", "patch", "deployment", "store", "--type=merge", "-p", note)

    def held() -> bool:
        path = "jsonpath={.spec.template.spec.terminationGracePeriodSeconds}"
        return kubectl.run("-n", "store", "get", "deployment", "store", "-o", path) == "47"

    with given("a control: what is not held is put back", 60):
        change()
        wait.until(lambda: not held(), "Argo CD to put it back", 55)
    with when("root and store are held, and the same is changed", 60):
        for name in ("root", "store"):
            automated(kubectl, name, False)
        change()
        end = time.monotonic() + HOLD
        while time.monotonic() < end:
            assert held()
            time.sleep(1)
    with then("root alone is let go, and all is as Git says", 90):
        automated(kubectl, "root", True)
        wait.until(lambda: not held(), "Argo CD to put it back", 85)


def test_down_stops_what_we_run_and_up_brings_it_back(fork: Fork) -> None:
    kubectl = Kubectl(fork.instance.kubeconfig)
    claim = ("get", "persistentvolumeclaims", "-n", "redis", "-o", "jsonpath={.items[*].metadata.uid}")
    before = kubectl.run(*claim)
    with when("down --cluster current", DOWN):
        assert fork.kubestore("down", "--cluster", "current", "--yes").returncode == 0
    for namespace in ("argocd", "redis", "store"):
        items = kubectl.json("get", "deployments,statefulsets", "-n", namespace)["items"]
        assert items
        assert {item["spec"]["replicas"] for item in items} == {0}, namespace
    with when("up again", UP):
        done = fork.kubestore("up", "--cluster", "current", "--yes")
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(states(fork).values()) == {"Synced Healthy"}
    assert kubectl.run(*claim) == before


def test_purge_takes_all_of_it_away(fork: Fork) -> None:
    done = fork.kubestore("purge", "--cluster", "current", "--yes")
    assert done.returncode == 0, done.stderr[-3000:]
    kubectl = Kubectl(fork.instance.kubeconfig)
    spaces = ["store", "redis", "argocd"]
    kubectl.run(
        "wait", "--for=delete", *(f"namespace/{name}" for name in spaces), "--timeout=150s", timeout=160
    )
    assert "argoproj.io" not in kubectl.run("get", "crds", "-o", "name")
    assert "node-1" in kubectl.run("get", "nodes", "-o", "name"), "the cluster itself is not ours to remove"
