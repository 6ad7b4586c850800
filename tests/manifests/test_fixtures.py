"""Every fixture is refused by its rule and no other; its near miss passes; each rule has both."""

from pathlib import Path

import pytest

from kubestore.manifests import leaks
from kubestore.manifests.rules import RULES
from kubestore.manifests.validate import validate
from tests.manifests.fixtures import VALID, Fixture, load

INVALID = load("invalid")
NEAR = load("near-misses")
# Findings that come from tools, not from a rule of ours.
TOOLS = {"leak", "render", "schema", "schema-missing"}


def _name(fixture: Fixture) -> str:
    return fixture.folder.name


def _needs(fixture: Fixture) -> None:
    if fixture.rule == "leak" and not leaks.available():
        pytest.skip("gitleaks is not among the programs")


def test_the_valid_tree_passes() -> None:
    report = validate(VALID, fast=True)
    assert report.findings == []
    assert (report.seen, report.skipped) == (report.checked, 0)


@pytest.mark.parametrize("fixture", INVALID, ids=_name)
def test_an_invalid_tree_is_refused_by_the_rule_that_it_breaks(fixture: Fixture, tmp_path: Path) -> None:
    _needs(fixture)
    tree = fixture.make(tmp_path / "tree")
    findings = validate(tree, fast=True).findings
    assert {(finding.rule, finding.file) for finding in findings} == {(fixture.rule, fixture.file)}
    for finding in findings:
        assert finding.line >= 1
        assert finding.what
        assert finding.fix
        lines = (tree / finding.file).read_text().splitlines()
        assert finding.line <= max(len(lines), 1)


@pytest.mark.parametrize("fixture", [f for f in INVALID if f.rule in RULES], ids=_name)
def test_without_its_rule_an_invalid_tree_passes(fixture: Fixture, tmp_path: Path) -> None:
    findings = validate(fixture.make(tmp_path / "tree"), fast=True, without=[fixture.rule]).findings
    assert findings == []


@pytest.mark.parametrize("fixture", NEAR, ids=_name)
def test_a_near_miss_passes(fixture: Fixture, tmp_path: Path) -> None:
    assert validate(fixture.make(tmp_path / "tree"), fast=True).findings == []


@pytest.mark.parametrize("rule", sorted({*RULES, *TOOLS}))
def test_each_rule_has_a_fixture_and_a_near_miss(rule: str) -> None:
    assert rule in {fixture.rule for fixture in INVALID}
    assert rule in {fixture.rule for fixture in NEAR}


def test_there_are_enough_fixtures() -> None:
    assert len(INVALID) >= 30
    assert len(NEAR) >= 30
