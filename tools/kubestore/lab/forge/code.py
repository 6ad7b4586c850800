"""The copy of the tool that hooks and runner use, so that a half-edited checkout breaks no push."""

import hashlib
import shutil
from functools import cache
from pathlib import Path

from kubestore import paths

PARTS = ("tools", "app-src", "requirements/go.txt")
IGNORED = ("__pycache__", "*.partial", ".*_cache")
KEPT = 3


def folder(root: Path, source: Path = paths.REPO) -> Path:
    """Where below a forge's `root` the copy of `source` as it is now lies, or will."""
    return root / "code" / _key(source)


def keep(root: Path, source: Path = paths.REPO) -> Path:
    """Copy the tool of `source`, once per content; processes that still use an older copy keep theirs."""
    made = folder(root, source)
    if not made.exists():
        partial = made.with_name(f"{made.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for part in PARTS:
            _copy(source / part, partial / part)
        partial.rename(made)
    made.touch()
    held = sorted(made.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in held[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return made


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*IGNORED))
    else:
        shutil.copy2(source, target)


@cache
def _key(source: Path) -> str:
    digest = hashlib.sha256()
    for part in PARTS:
        top = source / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"\0{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
