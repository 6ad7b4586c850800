"""What must not reach the cluster is refused: at the push, or by a red run that says why."""

import pytest

from kubestore import wait
from kubestore.lab.forge import Forge
from kubestore.lab.forge.runs import Run, Runs
from kubestore.prove.cluster import Cluster
from kubestore.prove.rollout import PACKAGE, harmless
from kubestore.run import CommandFailed
from tests.e2e.steps import Loop, figure, then, when

pytestmark = pytest.mark.e2e

BASE = "apps/store/base"
RED = "def test_that_fails_on_purpose() -> None:\n    assert False\n"


def refused(loop: Loop, budget: float = 45) -> str:
    """Push what must be refused and return what git said; the clone stands on main again."""
    main = loop.copy.fetch()
    with when("it is pushed", budget), pytest.raises(CommandFailed) as error:
        loop.push("test(apps): must be refused")
    loop.copy.reset()
    assert loop.copy.fetch() == main, "the forge took it"
    return error.value.output


def test_a_manifest_that_does_not_render_is_refused_at_the_push(cluster: Cluster, loop: Loop) -> None:
    before = cluster.rollout().image
    file = f"{BASE}/kustomization.yaml"
    loop.copy.edit(file, lambda text: text.replace("  - hpa.yaml", "  - hpa.yaml\n  - nowhere.yaml"))
    said = refused(loop)
    assert "nowhere.yaml" in said, said
    assert "apps/store" in said, said
    assert cluster.rollout().image == before


def test_a_manifest_with_an_unknown_field_is_refused_with_its_line(cluster: Cluster, loop: Loop) -> None:
    before = cluster.rollout().image
    loop.copy.edit(
        f"{BASE}/deployment.yaml", lambda text: text.replace("minReadySeconds:", "minReadySecond:")
    )
    said = refused(loop)
    assert f"{BASE}/deployment.yaml:" in said, said
    assert "minReadySecond" in said, said
    assert cluster.rollout().image == before


def release_of(loop: Loop, runs: Runs, commit: str) -> Run | None:
    """The release run of a commit, once it is over."""
    return next(
        (run for run in runs.all() if run.commit == commit and run.workflow == "release" and run.over), None
    )


def test_a_failing_unit_test_is_a_red_run_and_changes_nothing(cluster: Cluster, loop: Loop) -> None:
    image, main = cluster.rollout().image, loop.copy.reset()
    loop.copy.edit(PACKAGE, harmless)
    loop.copy.write("tests/unit/store/test_red.py", RED)
    runs = Runs(Forge(cluster.instance).settings().runs)
    with when("a failing unit test is pushed", 30):
        pushed = loop.push("test(app-src): a failing unit test")
    with then("its run is red and says why", 120):
        run = wait.until(lambda: release_of(loop, runs, pushed.sha), "the release run to end", 120)
        assert run.state == "failed", run
        log = runs.log(run).read_text(errors="replace")
        assert "test_that_fails_on_purpose" in log, log[-2000:]
        assert run.reason
    figure("red run: seconds to its verdict", f"{run.seconds:.1f} s", 1)
    loop.copy.fetch()
    bumps = loop.copy.git("log", "--format=%s", f"{main}..origin/main", "--grep=^deploy(embedded)")
    assert not bumps, f"a bump came of it: {bumps}"
    assert cluster.rollout().image == image
