"""A release that never gets ready hurts nobody, says so within two minutes, and is reverted by Git alone."""

import time

import pytest

from kubestore import wait
from kubestore.prove import ledger
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.traffic import Traffic
from tests.e2e.steps import Loop, figure, nobody_saw_an_error, then, when

pytestmark = pytest.mark.e2e

HEALTH = "app-src/store/health.py"
GOOD = "    if not parts().snapshot.loaded:"
BAD = '    if "KUBERNETES_SERVICE_HOST" in __import__("os").environ or not parts().snapshot.loaded:'


def live_again(cluster: Cluster, image: str) -> bool:
    """Whether the store runs `image`, wholly, and Argo CD calls it healthy."""
    rollout, app = cluster.rollout(), cluster.application(STORE)
    return rollout.image == image and rollout.done and app.health == "Healthy"


def test_a_release_that_never_gets_ready_fails_no_request_and_is_reverted(
    cluster: Cluster, loop: Loop
) -> None:
    good = cluster.rollout().image
    loop.copy.edit(HEALTH, lambda text: text.replace(GOOD, BAD))
    with Traffic.start(cluster.instance.store_url, rate=150, seconds=420, requests=100_000) as traffic:
        with when("a release whose readiness never passes is pushed", 120):
            pushed = loop.push("test(app-src): a store that never gets ready")
            bump = loop.copy.bump_after(pushed.sha, 110)
        with then("the store becomes Degraded within 2 min", 120):
            wait.until(lambda: cluster.application(STORE).health == "Degraded", "store Degraded", 120)
            degraded = time.time() - bump.ended
            assert any(pod.ready and pod.image == good for pod in cluster.pods()), "no old pod serves"
        with then("git revert and a push are live within 90 s", 90):
            back = loop.revert(bump.sha)
            wait.until(lambda: live_again(cluster, good), "the good image live", 90, every=0.3)
            restored = time.time() - back.ended
        verdict = traffic.stop().verdict()
    figure("bad release: bump -> Degraded", f"{degraded:.1f} s", 1, "<= 120 s")
    figure("bad release: revert pushed -> live", f"{restored:.1f} s", 1, "<= 90 s")
    figure(
        "bad release: failed requests", f"{verdict.failures} (p < {verdict.bound:.1e})", verdict.requests, "0"
    )
    figures = {"degraded_s": round(degraded, 1), "reverted_s": round(restored, 1), "failed": verdict.failures}
    ledger.record("bad-release", verdict.ok, verdict.requests, figures)
    nobody_saw_an_error(verdict, 5_000)
    with then("the release of the revert is live too", 180):
        loop.live(back, builds=True)
