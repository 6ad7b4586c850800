"""Remote bases without the network: git reads mirrors of the pinned Go modules, if they are here."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.lab import programs

FOLDER = "upstream"


def gitconfig() -> dict[str, str]:
    """The environment for kustomize: a git configuration that rewrites the public URLs.

    Empty when a mirror cannot be made, because the module is not in the cache and cannot be fetched: then
    git uses what the caller's own environment says, or the network.
    """
    folder = paths.CACHE / FOLDER / _key()
    config = folder / "gitconfig"
    if not config.exists():
        try:
            text = _mirrored(folder)
        except (KubestoreError, OSError):
            return {}
        config.write_text(text)
    return {"GIT_CONFIG_GLOBAL": str(config)}


def _key() -> str:
    """Names the pins that the mirrors are made from."""
    return "-".join(programs.COMPONENTS[name].key for name in ("kubernetes", "local-path-provisioner"))


def _mirrored(folder: Path) -> str:
    """Make the mirrors and return the configuration that leads to them."""
    from kubestore.lab.bootstrap import UPSTREAM  # needed once per pin, and much comes with it
    from kubestore.lab.forge import mirrors
    from kubestore.lab.forge.settings import Settings

    settings = cast(Settings, SimpleNamespace(mirrors=folder / "mirrors"))
    for name, (component, module, kept) in UPSTREAM.items():
        pinned = programs.COMPONENTS[component]
        source, version = pinned.module_dir(module), pinned.version(module)
        mirrors.mirror(settings, name, source, version, mirrors.PUBLIC[name], kept)
    return mirrors.gitconfig(str(folder))


def pinned(url: str) -> bool:
    """Whether a remote base names a tag or a commit."""
    reference = Path(url).name.partition("?ref=")[2].partition("&")[0]
    return bool(reference) and reference not in ("main", "master", "HEAD", "latest")
