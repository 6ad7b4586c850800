"""The push filters of a workflow mean here what they mean on GitHub."""

from pathlib import Path

import pytest

from kubestore.errors import KubestoreError
from kubestore.lab.forge.workflows import matches, push_trigger

REPO = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("*", "README.md", True),
        ("*", "docs/README.md", False),
        ("**", "docs/adr/0001.md", True),
        ("app-src/**", "app-src/store/app.py", True),
        ("app-src/**", "app-srcs/store/app.py", False),
        ("**/README.md", "README.md", True),
        ("**/README.md", "apps/store/README.md", True),
        ("**.js", "src/index.js", True),
        ("*.jsx?", "page.js", True),
        ("*.jsx?", "page.jsx", True),
        ("v[12].[0-9]+", "v1.10", True),
        ("v[12].[0-9]+", "v3.1", False),
        ("requirements/store.txt", "requirements/store_txt", False),
    ],
)
def test_a_pattern_matches_as_github_s_cheat_sheet_says(pattern: str, name: str, taken: bool) -> None:
    assert matches([pattern], name) is taken


def test_the_last_pattern_that_matches_decides() -> None:
    patterns = ["docs/**", "!docs/adr/**", "docs/adr/0001.md"]
    assert [matches(patterns, f"docs/{name}") for name in ("a.md", "adr/2.md", "adr/0001.md")] == [
        True,
        False,
        True,
    ]


def test_the_release_starts_for_the_store_and_for_nothing_else() -> None:
    text = (REPO / ".github/workflows/release.yaml").read_text()
    release = push_trigger(text, "release.yaml")
    assert release is not None
    assert release.starts("main", ["docs/a.md", "app-src/store/app.py"])
    assert release.starts("main", ["Dockerfile"])
    assert not release.starts("main", ["apps/store/overlays/embedded/kustomization.yaml", "README.md"])
    assert not release.starts("other", ["Dockerfile"])


def test_paths_ignore_lets_a_push_through_that_touches_more() -> None:
    trigger = push_trigger("on:\n  push:\n    paths-ignore: ['docs/**']\n", "x.yaml")
    assert trigger is not None
    assert trigger.starts("main", ["docs/a.md", "app.py"])
    assert not trigger.starts("main", ["docs/a.md"])


@pytest.mark.parametrize("on", ["on: push", "on: [push, pull_request]", "on:\n  push:"])
def test_a_trigger_without_filters_always_starts(on: str) -> None:
    trigger = push_trigger(on, "x.yaml")
    assert trigger is not None
    assert trigger.starts("main", [])


def test_a_workflow_without_a_push_trigger_has_none() -> None:
    assert push_trigger("on: workflow_dispatch", "x.yaml") is None


@pytest.mark.parametrize("text", ["on: [", "jobs: {}", "- a"])
def test_a_file_that_is_no_workflow_is_named(text: str) -> None:
    with pytest.raises(KubestoreError, match=r"x\.yaml"):
        push_trigger(text, "x.yaml")
