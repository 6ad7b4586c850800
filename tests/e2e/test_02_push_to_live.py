"""A push of a code change is live within a minute, and no customer sees an error."""

import time

import pytest

from kubestore import wait
from kubestore.prove import ledger
from kubestore.prove.cluster import STORE, Cluster
from kubestore.prove.rollout import PACKAGE, harmless
from kubestore.prove.traffic import Traffic
from tests.e2e.steps import Loop, figure, given, nobody_saw_an_error, then, when

pytestmark = pytest.mark.e2e

LEAST = 10_000
QUIET = 8.0  # longer than an idle client rests: an old answer after that would have come
RATE = 80.0  # carried by a few pods of 50m: a roll-out is timed, not a scale-out
REST = 20.0
# Goal and limit, in seconds: a missed goal is shown, above the limit the loop is broken.
LIMITS = {
    "bump -> Synced": (3, 30),
    "bump -> all answers new": (25, 60),
    "push -> all answers new": (60, 120),
}


def test_a_push_rolls_out_and_nobody_sees_an_error(cluster: Cluster, loop: Loop) -> None:
    with Traffic.start(cluster.instance.store_url, rate=RATE, seconds=330, requests=100_000) as traffic:
        with given("the autoscaler has come to rest under this traffic", 90):
            settled(cluster)
        calm = time.time()
        time.sleep(8)
        old = set(traffic.look().versions)
        loop.copy.edit(PACKAGE, harmless)
        with when("a change of the code is pushed", 30):
            pushed = loop.push("test(app-src): a comment")
        with then("the pipeline bumps the image in Git", 90):
            bump = loop.copy.bump_after(pushed.sha, 90)
        with then("Argo CD is Synced to the bump", 30):
            synced_at = wait_synced(cluster, bump.sha, 30)
        with then("every old pod is gone", 60):
            cluster.rolled_out(60)
        with then(f"the old version has not answered for {QUIET:.0f} s and N >= {LEAST}", 60):
            end = time.monotonic() + 60
            time.sleep(QUIET)
            while traffic.look().requests < LEAST and time.monotonic() < end:
                time.sleep(0.5)
        tally = traffic.stop()
    verdict = tally.verdict()
    new = {name: seen for name, seen in tally.versions.items() if name not in old}
    assert new, f"no new version answered: {tally.versions}"
    first_new = min(seen.first for seen in new.values())
    all_new = max(first_new, max(tally.versions[name].last for name in old))
    before, during = tally.latency(calm, pushed.began), tally.latency(pushed.began, all_new + 1)
    times = {
        "push -> bump": bump.ended - pushed.began,
        "bump -> Synced": synced_at - bump.ended,
        "bump -> first new answer": first_new - bump.ended,
        "bump -> all answers new": all_new - bump.ended,
        "push -> all answers new": all_new - pushed.began,
    }
    for name, seconds in times.items():
        goal, _ = LIMITS.get(name, (0, 0))
        missed = " MISSED" if goal and seconds > goal else ""
        figure(name, f"{seconds:.1f} s", 1, f"<= {goal} s{missed}" if goal else "")
    figure(
        "failed requests over a roll-out",
        f"{verdict.failures} (p < {verdict.bound:.1e})",
        verdict.requests,
        "0",
    )
    if before and during:
        missed = " MISSED" if during.p99 > 2 * before.p99 else ""
        figure("p99 before / during", f"{before.p99} / {during.p99} ms", during.n, f"<= 2x{missed}")
    figures = {name: round(seconds, 2) for name, seconds in times.items()}
    figures |= {"failed": verdict.failures, "p99_ms": during.p99 if during else 0}
    ledger.record("push-to-live", verdict.ok, verdict.requests, figures)
    nobody_saw_an_error(verdict, LEAST)
    for name, (least, most) in LIMITS.items():
        assert times[name] <= most, f"{name}: {times[name]:.1f} s; the goal is {least} s, the limit {most} s"


def settled(cluster: Cluster) -> None:
    """Wait until the autoscaler has wanted the same for `REST` seconds: a roll-out is measured, not a scale-out."""
    since, wanted = time.monotonic(), -1

    def check() -> bool:
        nonlocal since, wanted
        desired = cluster.autoscaler().desired
        if desired != wanted:
            since, wanted = time.monotonic(), desired
        return time.monotonic() - since >= REST

    wait.until(check, f"the same number of replicas wanted for {REST:.0f} s", 90, every=1)
    cluster.rolled_out(30)


def wait_synced(cluster: Cluster, commit: str, timeout: float) -> float:
    """When (epoch seconds) the store was first Synced at `commit`."""

    def check() -> bool:
        app = cluster.application(STORE)
        return app.revision == commit and app.sync == "Synced"

    wait.until(check, f"store Synced at {commit[:10]}", timeout, every=0.1)
    return time.time()
