"""The image: one platform is an image, several are a list; what is no platform is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kubestore.errors import KubestoreError
from kubestore.paths import REPO
from kubestore.release import image


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What buildah is told."""
    calls: list[list[str]] = []

    def buildah(*words: str | Path, **_: Any) -> str:
        calls.append([str(word) for word in words])
        return ""

    monkeypatch.setattr(image, "buildah", buildah)
    monkeypatch.setattr(image, "tag", lambda root: "0" * 12)
    monkeypatch.delenv("KUBESTORE_PLATFORMS", raising=False)
    return calls


def verbs(calls: Sequence[Sequence[str]]) -> list[str]:
    return [call[0] for call in calls]


def test_without_platforms_it_is_one_image_of_this_machines_kind(told: list[list[str]]) -> None:
    image.build(REPO)
    assert verbs(told) == ["bud"]
    assert "--platform" not in told[0]


def test_several_platforms_are_built_into_a_fresh_list(
    told: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBESTORE_PLATFORMS", "linux/amd64,linux/arm64")
    image.build(REPO)
    name = told[0][-1]
    assert told[0] == ["manifest", "rm", name]
    assert name.startswith("localhost/")
    assert told[1][told[1].index("--platform") :][:4] == [
        "--platform",
        "linux/amd64,linux/arm64",
        "--manifest",
        name,
    ]
    assert "-t" not in told[1]


def test_a_platform_that_is_none_is_refused(told: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBESTORE_PLATFORMS", "amd64")
    with pytest.raises(KubestoreError, match="KUBESTORE_PLATFORMS: amd64"):
        image.build(REPO)
    assert told == []
