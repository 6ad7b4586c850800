"""What the documents name is there, and the Makefile stays an index."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
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
    for verb in VERBS:
        assert _command(verb).help, verb


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    assert [wrong for said in _said(page.read_text()) for wrong in _unknown(said.split())] == []


@pytest.mark.parametrize(
    "wrong", ["fly", "prove wings", "validate --quickly", "image build --loud", "node lift 3"]
)
def test_a_command_that_is_none_would_be_noticed(wrong: str) -> None:
    assert list(_unknown(wrong.split()))
    assert _said(f"Run `kubestore {wrong}` now,\n```\nkubestore up | cat\n```\n") == [wrong, "up"]


def _command(verb: str) -> click.Command:
    module, _, attribute = VERBS[verb].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


def _said(page: str) -> list[str]:
    """What follows `kubestore` in code; a pipe, a quote or a comment ends it."""
    blocks = re.findall(r"^ *```\n(.*?)^ *```", page, re.M | re.S)
    spans = re.findall(
        r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^ *```\n.*?^ *```", "", page, flags=re.M | re.S)
    )
    lines = [*(span.replace("\n", " ") for span in spans), *"".join(blocks).splitlines()]
    found = [re.search(r"(?:^|[ /($])kubestore (?!\.)([a-z][^|#;&)]*)", line) for line in lines]
    return [match[1].strip() for match in found if match]


def _unknown(words: list[str]) -> Iterator[str]:
    """Verbs, sub-verbs and options that there are not; what is handed to kubectl and argocd is theirs."""
    if words[0] not in VERBS:
        yield words[0]
        return
    command = _command(words[0])
    if isinstance(command, click.Group) and len(words) > 1 and words[1].isalpha():
        names = words[1].split("|")
        yield from (name for name in names if name not in command.commands)
        command = command.commands.get(names[0], command)
    if words[0] not in ("kubectl", "argocd"):
        options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        yield from (word for word in words if word.startswith("--") and word.partition("=")[0] not in options)


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
