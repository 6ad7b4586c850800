"""The repository that Argo CD follows: made once, then only ever moved forward."""

import re
import shlex
from pathlib import Path

from kubestore import ui
from kubestore.errors import KubestoreError
from kubestore.lab.forge.git import NOBODY, git, is_ancestor, says, tip
from kubestore.lab.forge.settings import FILE, Settings
from kubestore.run import CommandFailed, tail

REMOTE = "local"
MAIN = "refs/heads/main"
OURS = re.compile(r"http://(198\.1[89]|127)\.[\d.]+:\d+/kubestore\.git")
HOOKS = ("pre-receive", "post-receive")

CONFIG = {
    "http.receivepack": "true",
    "receive.denyDeletes": "true",
    "receive.denyNonFastForwards": "true",
    "receive.fsckObjects": "true",
    "receive.shallowUpdate": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "core.logAllRefUpdates": "true",
}


class Repository:
    """The forge's bare repository."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = settings.bare

    @property
    def main(self) -> str | None:
        """The commit that main names; None before the first push."""
        return tip(MAIN, at=self.path) if self.path.exists() else None

    def show(self, file: str, commit: str = MAIN) -> str:
        """A file's text at a commit. Raises `CommandFailed` when it is not there."""
        return git("show", f"{commit}:{file}", at=self.path)

    def create(self) -> None:
        """Make the repository if it is missing, and write its settings and hooks anew."""
        if not (self.path / "HEAD").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            git("init", "--quiet", "--bare", "--initial-branch=main", ".", at=self.path)
        for name, value in CONFIG.items():
            git("config", name, value, at=self.path)
        for name in HOOKS:
            hook = self.path / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(self._hook(name))
            hook.chmod(0o755)

    def _hook(self, name: str) -> str:
        """A hook's script: the kept copy of the tool under the recorded Python."""
        settings = self.settings
        exports = "".join(
            f"export {key}={shlex.quote(value)}\n" for key, value in settings.environment().items()
        )
        command = shlex.join([settings.python, "-m", "kubestore.lab.forge.hooks", name, settings.root])
        return f"#!/bin/sh\n# Written by `kubestore up` from {FILE}.\n{exports}exec {command}\n"

    def seed(self, checkout: Path) -> None:
        """Give the forge the checkout's HEAD: as main the first time, later only when main is behind it.

        The forge's history is never overwritten. Sets the checkout's remote `local`.
        """
        head = tip("HEAD", at=checkout)
        if head is None:
            raise KubestoreError(
                f"{checkout} has no commit yet", "commit first: what is deployed comes from Git"
            )
        self.create()
        self._set_remote(checkout)
        main = self.main
        if main is None:
            git(
                "fetch",
                "--quiet",
                "--update-shallow",
                checkout.resolve(),
                f"HEAD:{MAIN}",
                at=self.path,
                timeout=300,
            )
        elif main != head:
            git("fetch", "--quiet", "--update-shallow", self.settings.url, MAIN, at=checkout, timeout=300)
            self._forward(checkout, head, main)
        git("fetch", "--quiet", REMOTE, at=checkout, timeout=300)

    def _forward(self, checkout: Path, head: str, main: str) -> None:
        if is_ancestor(main, head, at=checkout):
            ui.say(f"the forge's main moves forward to {head[:12]}")
            try:
                git("push", "--quiet", self.settings.url, f"{head}:{MAIN}", at=checkout, timeout=300)
            except CommandFailed as error:
                raise KubestoreError(f"the forge refused {head[:12]}:\n{tail(error.output, 8)}") from error
        elif is_ancestor(head, main, at=checkout):
            ahead = git("rev-list", "--count", f"{head}..{main}", at=checkout)
            ui.say(
                f"the forge's main is {ahead} commit(s) ahead of this checkout: git pull --rebase {REMOTE} main"
            )
        else:
            ui.say(
                f"the forge's main ({main[:12]}) and this checkout ({head[:12]}) have gone separate ways; the cluster\n"
                f"stays at the forge's. To bring both together: git pull --rebase {REMOTE} main && git push {REMOTE} HEAD:main"
            )

    def _set_remote(self, checkout: Path) -> None:
        """Point the remote `local` at the forge, unless a person has given that name to something else."""
        url = self.settings.url
        if not says("remote", "get-url", REMOTE, at=checkout):
            git("remote", "add", REMOTE, url, at=checkout)
            return
        known = git("remote", "get-url", REMOTE, at=checkout)
        if known != url and not OURS.fullmatch(known):
            raise KubestoreError(
                f"the remote `{REMOTE}` of {checkout} is already {known}",
                f"rename yours: git remote rename {REMOTE} another-name",
            )
        git("remote", "set-url", REMOTE, url, at=checkout)

    def changed(self, old: str, new: str) -> dict[str, list[str]]:
        """Files that differ between two commits: keys `added`, `modified`, `removed`."""
        if old == NOBODY:
            names = git("ls-tree", "-r", "-z", "--name-only", new, at=self.path)
            return {"added": names.split("\0")[:-1], "modified": [], "removed": []}
        text = git("diff", "--name-status", "--no-renames", "-z", old, new, at=self.path)
        words = text.split("\0")[:-1]
        files: dict[str, list[str]] = {"added": [], "modified": [], "removed": []}
        for status, name in zip(words[::2], words[1::2], strict=True):
            files[{"A": "added", "D": "removed"}.get(status[0], "modified")].append(name)
        return files
