"""Rendering: every kustomization is built as Argo CD builds it, and kept under what it was made from."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubestore import files, paths
from kubestore.lab import programs
from kubestore.manifests import kustomization, yamls
from kubestore.manifests.kustomization import Closure
from kubestore.run import CommandFailed, run

KEPT = 800
# Fewer collections of garbage: a build of Argo CD takes a quarter less time.
GO_SETTINGS = {"GOGC": "400"}
UNREACHABLE = ("Could not resolve host", "unable to access", "Could not connect", "Connection refused")


@dataclass
class Build:
    """One kustomization, built: `name` is its folder relative to the tree."""

    name: str
    closure: Closure
    objects: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @property
    def not_rendered(self) -> bool:
        """Whether a remote base could not be reached from here, which is not the author's fault."""
        return bool(self.closure.remotes) and any(text in self.error for text in UNREACHABLE)


def build_all(root: Path, env: Mapping[str, str]) -> list[Build]:
    """Build everything in the tree at `root`, two at a time."""
    kustomization.load.cache_clear()
    folders = [(folder, ()) for folder in kustomization.to_build(root)]
    trials = [(_host(root, part), (part,)) for part in kustomization.optional_components(root)]
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(lambda job: build(root, *job, env=env), [*folders, *trials]))


def _host(root: Path, component: Path) -> Path:
    """The build on top of which an optional component is tried: its app's first overlay, or its base."""
    app = root.joinpath(*component.relative_to(root).parts[:2])
    overlays = sorted((app / "overlays").glob("*/" + kustomization.NAME))
    return overlays[0].parent if overlays else app / "base"


def build(root: Path, folder: Path, extra: tuple[Path, ...] = (), *, env: Mapping[str, str]) -> Build:
    """Build `folder`, with the components `extra` on top of it."""
    closures = [kustomization.closure(path) for path in (folder, *extra)]
    read = Closure(
        tuple(path for one in reversed(closures) for path in one.folders),
        tuple(dict.fromkeys(path for one in reversed(closures) for path in one.files)),
        tuple(dict.fromkeys(url for one in closures for url in one.remotes)),
    )
    name = " + ".join(str(path.relative_to(root)) for path in (folder, *extra))
    kept = paths.CACHE / "rendered" / f"{_key(root, name, read)}.json"
    made = Build(name, read)
    try:
        made.objects = json.loads(kept.read_text())
        kept.touch()
        return made
    except (FileNotFoundError, ValueError):
        pass
    try:
        made.objects = _parsed(_kustomize(folder, extra, env))
    except (CommandFailed, yaml.YAMLError) as error:
        made.error = error.output if isinstance(error, CommandFailed) else str(error)
        return made
    _keep(kept, made.objects)
    return made


def _kustomize(folder: Path, extra: tuple[Path, ...], env: Mapping[str, str]) -> str:
    if not extra:
        return run(
            [programs.path("kustomize"), "build", folder], env={**GO_SETTINGS, **env}, timeout=120
        ).stdout
    with tempfile.TemporaryDirectory(prefix="kubestore-trial-") as name:
        scratch = Path(name).resolve()
        (scratch / kustomization.NAME).write_text(json.dumps(_trial(folder, extra, scratch)))
        # Only because the trial lies outside the tree: files that the overlay names are not beside it.
        command: list[str | Path] = [
            programs.path("kustomize"),
            "build",
            "--load-restrictor=LoadRestrictionsNone",
            scratch,
        ]
        return run(command, env=env, timeout=120).stdout


def _trial(folder: Path, extra: tuple[Path, ...], scratch: Path) -> dict[str, Any]:
    """The kustomization of `folder` as it would be with the components `extra`, read from `scratch`."""
    made = kustomization.load(folder)
    assert made is not None
    trial: dict[str, Any] = json.loads(json.dumps(made.document.data))
    for entry in made.entries:
        if entry.target is not None:
            holder: Any = trial
            for step in entry.path[:-1]:
                holder = holder[step]
            kept, equals, _ = str(holder[entry.path[-1]]).rpartition("=")
            holder[entry.path[-1]] = kept + equals + os.path.relpath(entry.target, scratch)
    trial["components"] = [*trial.get("components", []), *(os.path.relpath(path, scratch) for path in extra)]
    return trial


def _parsed(text: str) -> list[dict[str, Any]]:
    """The objects of a build. Large ones (CRDs) come in many builds, so each text is read once."""
    return [
        json.loads(_json(document)) for document in re.split(r"^---\n", text, flags=re.M) if document.strip()
    ]


@cache
def _json(document: str) -> str:
    """One YAML document as JSON; a date that YAML saw in plain text is text again."""
    return json.dumps(yamls.load_all(document)[0], default=str)


def _key(root: Path, name: str, read: Closure) -> str:
    digest = hashlib.sha256(f"{programs.owner('kustomize').key} {name} {read.remotes}".encode())
    for path in sorted(read.files):
        digest.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def _keep(path: Path, objects: list[dict[str, Any]]) -> None:
    """Keep a result; the oldest ones go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, json.dumps(objects))
    held = sorted(path.parent.glob("*.json"), key=_made, reverse=True)
    for old in held[KEPT:]:
        old.unlink(missing_ok=True)


def _made(path: Path) -> float:
    """When a result was made or last used; 0 for one that another run has just taken away."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0
