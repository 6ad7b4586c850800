"""What the documents name is there, and the Makefile stays an index."""

import re
from pathlib import Path

import pytest

from kubestore.cli import VERBS
from kubestore.lab import programs
from kubestore.paths import REPO

PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md")), *sorted(REPO.glob("apps/**/README.md"))]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


def test_the_readme_and_the_makefile_stay_short() -> None:
    assert len((REPO / "README.md").read_text().splitlines()) <= 150
    assert len(re.findall(r"^[a-z0-9-]+:.*## ", (REPO / "Makefile").read_text(), re.M)) <= 15


def test_every_verb_is_a_command_with_a_help_line() -> None:
    import importlib

    for verb, place in VERBS.items():
        module, _, attribute = place.partition(":")
        assert getattr(importlib.import_module(module), attribute).help, verb


def test_a_version_of_kubernetes_stands_in_one_go_mod() -> None:
    pinned = programs.KUBERNETES.version("k8s.io/kubernetes")
    holders = [
        str(file.relative_to(REPO))
        for folder in ("apps", "clusters", "tools", "app-src", ".github")
        for file in (REPO / folder).rglob("*")
        if file.is_file() and file.suffix in (".yaml", ".py", ".mod", ".toml", "") and pinned in _text(file)
    ]
    assert holders == ["tools/kubestore/lab/modules/kubernetes/go.mod"]


def _text(file: Path) -> str:
    return file.read_text(errors="replace")
