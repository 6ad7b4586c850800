"""Every fixture is refused by its rule and no other; its near miss passes; each rule has both."""

from pathlib import Path

import pytest

from kubestore.manifests import leaks
from kubestore.manifests.objects import World
from kubestore.manifests.rules import RULES
from kubestore.manifests.validate import Report, examine, judge, validate
from tests.manifests.fixtures import VALID, Fixture, load

INVALID = load("invalid")
NEAR = load("near-misses")
# Findings that come from tools, not from a rule of ours.
TOOLS = {"leak", "render", "schema", "schema-missing"}


def _name(fixture: Fixture) -> str:
    return fixture.folder.name


def _look(fixture: Fixture, tree: Path) -> tuple[World, Report]:
    """The rendered tree, and what the tools find in it."""
    world, report = examine(tree)
    if fixture.rule == "leak":
        report.findings += leaks.scan(tree, history=False)
    return world, report


def test_the_valid_tree_passes() -> None:
    report = validate(VALID, fast=True)
    assert report.findings == []
    assert (report.seen, report.skipped) == (report.checked, 0)


@pytest.mark.parametrize("fixture", INVALID, ids=_name)
def test_an_invalid_tree_is_refused_by_the_rule_that_it_breaks(fixture: Fixture, tmp_path: Path) -> None:
    tree = fixture.make(tmp_path / "tree")
    world, report = _look(fixture, tree)
    found = judge(world, report)
    assert {(finding.rule, finding.file) for finding in found} == {
        (fixture.rule, file) for file in fixture.files
    }
    for finding in found:
        assert 1 <= finding.line <= max(len((tree / finding.file).read_text().splitlines()), 1)
        assert finding.what
        assert finding.fix
    if fixture.rule in RULES:
        report.findings = []
        assert judge(world, report, without=[fixture.rule]) == [], "another rule refuses it too"


@pytest.mark.parametrize("fixture", NEAR, ids=_name)
def test_a_near_miss_passes(fixture: Fixture, tmp_path: Path) -> None:
    assert judge(*_look(fixture, fixture.make(tmp_path / "tree"))) == []


@pytest.mark.parametrize("rule", sorted({*RULES, *TOOLS}))
def test_each_rule_has_a_fixture_and_a_near_miss(rule: str) -> None:
    assert rule in {fixture.rule for fixture in INVALID}
    assert rule in {fixture.rule for fixture in NEAR}


def test_there_are_enough_fixtures() -> None:
    assert len(INVALID) >= 30
    assert len(NEAR) >= 30
