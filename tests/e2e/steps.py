"""Given, when, then: each step prints its budget and time; the figures are shown at the end of the run."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from kubestore import ui
from kubestore.prove import ledger
from kubestore.prove.cluster import Cluster
from kubestore.prove.rollout import synced
from kubestore.prove.tally import Verdict
from kubestore.prove.workcopy import Pushed, Workcopy

STEPS: list[tuple[str, str, float, float]] = []
FIGURES: list[tuple[str, str, str, str]] = []


@contextmanager
def step(title: str, budget: float) -> Iterator[None]:
    """A step that may take `budget` seconds; more fails the test though its work was done."""
    began = time.monotonic()
    ui.say(f"  {title} (at most {budget:.0f} s)")
    try:
        yield
    finally:
        took = time.monotonic() - began
        STEPS.append(("", title, budget, took))
        ui.say(f"  {title}: {took:.1f} s")
    if took > budget:
        pytest.fail(f"{title}: took {took:.1f} s, allowed are {budget:.0f} s")


def given(title: str, budget: float = 60) -> AbstractContextManager[None]:
    """What must hold before."""
    return step(f"Given {title}", budget)


def when(title: str, budget: float = 60) -> AbstractContextManager[None]:
    """What is done."""
    return step(f"When  {title}", budget)


def then(title: str, budget: float = 60) -> AbstractContextManager[None]:
    """What must follow."""
    return step(f"Then  {title}", budget)


def figure(name: str, value: object, n: int, goal: str = "") -> None:
    """A measured figure, for the summary."""
    FIGURES.append((name, ledger.shown(value), str(n), goal))


def nobody_saw_an_error(verdict: Verdict, least: int = 0) -> None:
    """No request failed, of at least `least`."""
    assert verdict.failures == 0, f"{verdict.line()}; by kind: {verdict.failures_by}"
    assert verdict.requests >= least, f"only {verdict.requests} requests were sent, {least} are the least"


@dataclass
class Loop:
    """The loop as a developer drives it: a clone, and every push remembered, so that it can be undone."""

    cluster: Cluster
    copy: Workcopy
    pushed: list[Pushed] = field(default_factory=list)

    def push(self, message: str) -> Pushed:
        """Commit everything and push."""
        done = self.copy.push_change(message)
        self.pushed.append(done)
        return done

    def builds(self, pushed: Pushed) -> bool:
        """Whether a push makes a release."""
        names = self.copy.git("show", "--format=", "--name-only", pushed.sha).split()
        return any(
            name.startswith(("app-src/", "requirements/store")) or name == "Dockerfile" for name in names
        )

    def revert(self, *extra: str) -> Pushed:
        """Revert everything that was pushed (and `extra` commits before that), in one push."""
        self.copy.reset()
        commits = [*extra, *(pushed.sha for pushed in reversed(self.pushed))]
        self.pushed.clear()
        return self.copy.revert(*commits)

    def restore(self) -> None:
        """Undo what is still pushed and wait until the cluster runs it."""
        self.copy.reset()
        if not self.pushed:
            return
        builds = any(self.builds(pushed) for pushed in self.pushed)
        back = self.revert()
        with step("Finally the pushes are reverted and live", 240):
            self.live(back, builds)

    def live(self, pushed: Pushed, builds: bool) -> None:
        """Wait until a pushed commit runs, its release's bump included."""
        if builds:
            synced(self.cluster, self.copy.bump_after(pushed.sha, 180))
        else:
            synced(self.cluster, pushed, 90)
