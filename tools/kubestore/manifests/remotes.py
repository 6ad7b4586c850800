"""Remote bases without the network: git reads mirrors of the pinned Go modules, if they are here."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.lab.bootstrap import UPSTREAM
from kubestore.lab.forge import mirrors
from kubestore.lab.forge.settings import Settings


def gitconfig() -> dict[str, str]:
    """The environment for kustomize: a git configuration that rewrites the public URLs.

    Empty when a mirror cannot be made, because the module is not in the cache and cannot be fetched: then
    git uses what the caller's own environment says, or the network.
    """
    folder = paths.CACHE / "upstream"
    config = folder / "gitconfig"
    try:
        for name, (component, module, kept) in UPSTREAM.items():
            version = programs.COMPONENTS[component].version(module)
            tag = folder / "mirrors" / f"{name}.git" / "refs" / "tags" / version
            if not tag.exists():
                source = programs.COMPONENTS[component].module_dir(module)
                settings = cast(Settings, SimpleNamespace(mirrors=folder / "mirrors"))
                mirrors.mirror(settings, name, source, version, mirrors.PUBLIC[name], kept)
    except (KubestoreError, OSError):
        return {}
    wanted = mirrors.gitconfig(str(folder))
    if not config.exists() or config.read_text() != wanted:
        config.write_text(wanted)
    return {"GIT_CONFIG_GLOBAL": str(config)}


def pinned(url: str) -> bool:
    """Whether a remote base names a tag or a commit."""
    reference = Path(url).name.partition("?ref=")[2].partition("&")[0]
    return bool(reference) and reference not in ("main", "master", "HEAD", "latest")
