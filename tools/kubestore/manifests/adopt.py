"""Making a fork one's own: the old owner's name is replaced wherever it stands, in one command."""

import re
from collections.abc import Iterator
from pathlib import Path

from kubestore.errors import KubestoreError
from kubestore.manifests import repository
from kubestore.run import run

URL = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?/[\w.-]+(?:/[\w.-]+)*/[\w.-]+")
OWNER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?")
HOST = re.compile(r"(?=.{4,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def adopt(root: Path, url: str, owner: str, host: str = "") -> list[str]:
    """Replace the repository's URL, the image's owner and the host names; returns the files that changed.

    Raises `KubestoreError` before anything is written when an argument is not what it should be.
    """
    _check(url, owner, host)
    old = repository.load(root)
    url = url.removesuffix(".git").rstrip("/") + ".git"
    new = repository.Repository(
        url, old.branch, owner, host or old.host, f"staging.{host}" if host else old.staging_host
    )
    pairs = list(_pairs(old, new))
    changed = []
    for file in _tracked(root):
        try:
            before = (root / file).read_text()
        except (UnicodeDecodeError, OSError):
            continue
        after = before
        for pattern, text in pairs:
            after = pattern.sub(text, after)
        if after != before:
            (root / file).write_text(after)
            changed.append(file)
    return changed


def _check(url: str, owner: str, host: str) -> None:
    for text, pattern, what, example in (
        (url, URL, "--repo", "https://github.com/you/kubestore.git"),
        (owner, OWNER, "--image-owner", "your name on the registry, in lower case"),
        (host, HOST, "--host", "store.example.com"),
    ):
        if (text or what != "--host") and not pattern.fullmatch(text):
            raise KubestoreError(f"{what}: {text!r} is not one", f"such as {example}")


def _pairs(old: repository.Repository, new: repository.Repository) -> Iterator[tuple[re.Pattern[str], str]]:
    """What is replaced by what, the longer before the shorter. The last one finds the owner's bare name."""
    before, after = old.url.removesuffix(".git"), new.url.removesuffix(".git")
    for text, other in (
        (before, after),
        (old.staging_host, new.staging_host),
        (old.host, new.host),
        (f"{old.slug}", new.slug),
        (old.owner, new.owner),
    ):
        if text != other:
            yield re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w-])"), other


def _tracked(root: Path) -> list[str]:
    """Files that git knows, or all of them when this is no repository."""
    done = run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=False
    )
    if done.returncode == 0:
        return sorted(name for name in done.stdout.split("\0") if name and (root / name).is_file())
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
