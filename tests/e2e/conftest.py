"""What every e2e test uses: the running cluster, a clone from its forge, and the summary of figures."""

from collections.abc import Iterator

import pytest

from kubestore import ui
from kubestore.instance import Instance
from kubestore.lab.forge.pause import measuring
from kubestore.prove import ledger, machine
from kubestore.prove.cluster import Cluster
from kubestore.prove.workcopy import Workcopy
from tests.e2e import steps


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A daemon that a test started outlives the object that started it; its test stops it by its id."""
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(
                pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
            )


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """The instance that KUBESTORE_INSTANCE names; it must be up. No check of its pipeline disturbs the figures."""
    found = Instance.current()
    if not found.kubeconfig.exists():
        pytest.exit(f"instance {found.name} is not up: make up", returncode=1)
    with measuring(found.dir / "forge"):
        yield found


@pytest.fixture
def cluster(instance: Instance) -> Iterator[Cluster]:
    """Its cluster."""
    found = Cluster(instance)
    yield found
    found.api.close()


@pytest.fixture
def loop(cluster: Cluster, instance: Instance) -> Iterator[steps.Loop]:
    """A clone from the forge; whatever a test pushed is reverted, and live again, when it ends."""
    driver = steps.Loop(cluster, Workcopy.clone(instance.forge_url))
    cluster.settled(180)
    cluster.rolled_out(180)
    yield driver
    driver.restore()
    cluster.settled(120)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Steps with budget and time, then the figures with N."""
    if not steps.STEPS:
        return
    terminalreporter.section("steps")
    rows = [(title, f"{budget:.0f} s", f"{took:.1f} s") for _, title, budget, took in steps.STEPS]
    terminalreporter.write_line(ui.table(rows, ("step", "budget", "took")))
    terminalreporter.section("figures")
    if steps.FIGURES:
        terminalreporter.write_line(ui.table(steps.FIGURES, ("figure", "value", "N", "goal")))
    facts = machine.describe()
    terminalreporter.write_line(
        f"commit {machine.commit()}, {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, "
        f"kernel {facts['kernel']}; every line of {ledger.FOLDER / ledger.FILE}: kubestore prove results"
    )
