"""Read-only repositories with the upstream manifests that lie in pinned Go modules.

A kustomization names the public URL; `insteadOf` makes git read it here, so that the same text renders on
a cluster that cannot reach the public one.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubestore.errors import KubestoreError
from kubestore.lab.forge.git import git, tip
from kubestore.lab.forge.settings import Settings

# One commit that depends on nothing but the files, so that every machine gives it the same name.
WHO = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (
        ("NAME", "kubestore"), ("EMAIL", "kubestore@kubestore.test"), ("DATE", "2026-01-01T00:00:00Z")
    )
}  # fmt: skip

PUBLIC = {
    "argo-cd": "https://github.com/argoproj/argo-cd",
    "metrics-server": "https://github.com/kubernetes-sigs/metrics-server",
    "local-path-provisioner": "https://github.com/rancher/local-path-provisioner",
}


def mirror(settings: Settings, name: str, source: Path, tag: str, url: str, keep: Sequence[str]) -> None:
    """Make `mirrors/<name>.git` with one commit of the folders `keep` of `source`, tagged `tag`.

    Nothing happens when it is there already. `url` is the public repository, named in the commit.
    """
    for folder in keep:
        if not (source / folder).exists():
            raise KubestoreError(f"{source} has no {folder} to mirror", f"check what {name} {tag} contains")
    bare = settings.mirrors / f"{name}.git"
    if not (bare / "HEAD").exists():
        bare.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--initial-branch=main", ".", at=bare)
        git("config", "http.receivepack", "false", at=bare)
        git("config", "uploadpack.allowAnySHA1InWant", "true", at=bare)
    tree = _tree(bare, source, keep)
    if tip(f"refs/tags/{tag}", at=bare) and git("rev-parse", f"refs/tags/{tag}^{{tree}}", at=bare) == tree:
        return
    commit = git("commit-tree", tree, "-m", f"{url} {tag}: {', '.join(keep)}", at=bare, env=WHO)
    for ref in (f"refs/tags/{tag}", "refs/heads/main"):
        git("update-ref", ref, commit, at=bare)


def _tree(bare: Path, source: Path, keep: Sequence[str]) -> str:
    """Write the folders into the repository and return their tree's name."""
    with tempfile.TemporaryDirectory(prefix="kubestore-mirror-") as scratch:
        env = {"GIT_INDEX_FILE": f"{scratch}/index"}
        words = ("--git-dir", bare, "--work-tree", source, "-c", "core.autocrlf=false")
        git(*words, "add", "--force", "--", *keep, at=source, env=env, timeout=300)
        return git(*words, "write-tree", at=source, env=env)


def gitconfig(origin: str, names: Sequence[str] = tuple(PUBLIC)) -> str:
    """A git configuration that reads the public repositories from `origin`, such as http://host:3000."""
    blocks = [
        f'[url "{origin}/mirrors/{name}.git"]\n\tinsteadOf = {PUBLIC[name]}.git\n\tinsteadOf = {PUBLIC[name]}\n'
        for name in names
    ]
    return "".join(blocks)
