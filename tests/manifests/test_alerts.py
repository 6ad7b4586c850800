"""Alerts: promtool makes each one fire, each one names a page that is there, and a broken rule is noticed."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubestore.manifests import repository
from kubestore.paths import REPO
from kubestore.run import run

TESTS = sorted((REPO / "tests/manifests/alerts").glob("*.yaml"))
FILES = sorted(REPO.glob("apps/*/components/monitoring/prometheusrule.yaml"))
GROUPS = [group for file in FILES for group in yaml.safe_load(file.read_text())["spec"]["groups"]]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


def ok(folder: Path, groups: list[dict[str, Any]]) -> bool:
    """Whether promtool's tests of our alerts pass with `groups`."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    for file in TESTS:
        shutil.copy(file, folder)
    command = ["promtool", "test", "rules", *(file.name for file in TESTS)]
    return run(command, cwd=folder, check=False, timeout=60).returncode == 0


def test_each_alert_fires_on_its_fault_and_is_quiet_otherwise(tmp_path: Path) -> None:
    assert ok(tmp_path, GROUPS)


@pytest.mark.parametrize("expr", ["vector(0) == 1", "vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_that_never_or_always_fires_is_noticed(alert: str, expr: str, tmp_path: Path) -> None:
    broken = copy.deepcopy(GROUPS)
    for group in broken:
        for rule in group["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = expr
    assert not ok(tmp_path, broken)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_names_a_page_that_is_there_and_names_the_alert_s_fault(alert: str) -> None:
    repo = repository.load(REPO)
    start = f"{repo.url.removesuffix('.git')}/blob/{repo.branch}/"
    url = ALERTS[alert]["annotations"]["runbook_url"]
    assert url.startswith(start + "docs/runbooks/")
    assert (REPO / url.removeprefix(start)).is_file()
    assert ALERTS[alert]["labels"]["severity"] in ("warning", "critical")


def test_every_rule_is_an_alert_and_every_test_file_is_used() -> None:
    assert len(ALERTS) == sum(len(group["rules"]) for group in GROUPS)
    assert [file.stem for file in TESTS] == ["redis", "store"]
