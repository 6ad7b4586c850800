"""Kustomizations as they are written: what each one lists, and all that a build of it reads."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubestore.manifests import yamls

NAME = "kustomization.yaml"
TREES = ("apps", "clusters")


@dataclass(frozen=True)
class Entry:
    """One thing that a kustomization lists."""

    text: str
    path: tuple[str | int, ...]
    target: Path | None

    @property
    def remote(self) -> bool:
        """Whether it is a base in another repository."""
        return self.target is None


@dataclass(frozen=True)
class Kustomization:
    """A folder with a kustomization.yaml."""

    folder: Path
    document: yamls.Document
    entries: tuple[Entry, ...] = field(default=())

    @property
    def file(self) -> Path:
        """The kustomization.yaml itself."""
        return self.folder / NAME

    @property
    def component(self) -> bool:
        """Whether it is a Component, which is part of other builds only."""
        return bool(self.document.data.get("kind") == "Component")

    @property
    def generator_config(self) -> bool:
        """Whether it lists transformers' configurations, not objects."""
        files = [e.target for e in self.entries if e.target and e.target.is_file()]
        return bool(files) and all("apiVersion: builtin" in path.read_text() for path in files)


def is_remote(text: str) -> bool:
    """Whether kustomize would fetch the entry from a repository."""
    return "://" in text or "?ref=" in text or text.startswith(("github.com/", "git@"))


@cache
def load(folder: Path) -> Kustomization | None:
    """The kustomization in `folder`; None when there is none, or when it is no YAML mapping."""
    file = folder / NAME
    try:
        found = yamls.read(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if len(found) != 1 or not isinstance(found[0].data, dict):
        return None
    entries = (_entry(folder, text, path) for text, path in _listed(found[0].data))
    return Kustomization(folder, found[0], tuple(entries))


def _entry(folder: Path, text: str, path: tuple[str | int, ...]) -> Entry:
    return Entry(text, path, None if is_remote(text) else Path(normal(folder / text)))


def normal(path: Path) -> str:
    """`a/../b` without asking the file system, which would follow links."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return str(Path(*parts))


def _listed(data: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every file or folder that the document names, with the field that names it."""
    for key in ("resources", "components", "transformers", "generators", "configurations", "crds", "bases"):
        for index, entry in enumerate(data.get(key) or []):
            if isinstance(entry, str) and "\n" not in entry:
                yield entry, (key, index)
    for key in ("patches", "replacements"):
        for index, entry in enumerate(data.get(key) or []):
            if isinstance(entry, dict) and isinstance(entry.get("path"), str):
                yield entry["path"], (key, index, "path")
    for key in ("configMapGenerator", "secretGenerator"):
        for index, generator in enumerate(data.get(key) or []):
            for kind in ("files", "envs"):
                for number, entry in enumerate(generator.get(kind) or []):
                    yield str(entry).rpartition("=")[2], (key, index, kind, number)


def find_all(root: Path) -> list[Path]:
    """Folders with a kustomization.yaml under `apps` and `clusters`."""
    return sorted(file.parent for tree in TREES for file in (root / tree).rglob(NAME))


@dataclass(frozen=True)
class Closure:
    """All that a build reads: kustomizations from the outermost inwards, plain files, remote bases."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    remotes: tuple[str, ...]


def closure(folder: Path) -> Closure:
    """What a build of `folder` reads. Entries that do not exist are left out."""
    folders: list[Path] = []
    files: list[Path] = []
    remotes: list[str] = []
    waiting = [folder]
    while waiting:
        current = waiting.pop(0)
        made = load(current)
        if made is None or current in folders:
            continue
        folders.append(current)
        files.append(made.file)
        for entry in made.entries:
            if entry.target is None:
                remotes.append(entry.text)
            elif entry.target.is_dir():
                waiting.append(entry.target)
            elif entry.target.is_file():
                files.append(entry.target)
    return Closure(tuple(folders), tuple(dict.fromkeys(files)), tuple(remotes))


def to_build(root: Path) -> list[Path]:
    """Folders that are built by themselves: clusters, their bootstrap, overlays, bases without overlays."""
    chosen = []
    for folder in find_all(root):
        made = load(folder)
        if made is None or made.component or made.generator_config:
            continue
        parts = folder.relative_to(root).parts
        if parts[0] == "clusters" and (len(parts) == 2 or parts[2:] == ("bootstrap",)):
            if parts[1] not in _shared(root):
                chosen.append(folder)
        elif parts[0] == "apps" and (parts[2:3] == ("overlays",) or _alone(root, parts)):
            chosen.append(folder)
    return chosen


def _shared(root: Path) -> set[str]:
    """Folders of `clusters` that are no cluster: they have no bootstrap."""
    return {path.name for path in (root / "clusters").iterdir() if not (path / "bootstrap").is_dir()}


def _alone(root: Path, parts: tuple[str, ...]) -> bool:
    return parts[2:] == ("base",) and not (root / "apps" / parts[1] / "overlays").is_dir()


def optional_components(root: Path) -> list[Path]:
    """Components that no build includes; each is tried on top of an overlay, so that it is checked too."""
    used = {folder for build in to_build(root) for folder in closure(build).folders}
    found = (folder for folder in find_all(root) if folder not in used)
    return [folder for folder in found if (made := load(folder)) is not None and made.component]
