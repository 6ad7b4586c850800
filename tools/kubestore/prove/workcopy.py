"""A clone from the forge, as a developer has one: edit, commit, push, revert, wait for the bump."""

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubestore import wait
from kubestore.errors import KubestoreError
from kubestore.run import CommandFailed, run

ENVIRONMENT = "embedded"
OVERLAY = f"apps/store/overlays/{ENVIRONMENT}/kustomization.yaml"
TRIES = 5


@dataclass(frozen=True)
class Pushed:
    """A commit that the forge took: its id, when the push began and ended (epoch seconds), what git said."""

    sha: str
    began: float
    ended: float
    output: str


class Workcopy:
    """A clone in a temporary folder. Nothing of the caller's checkout is touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def clone(url: str) -> "Workcopy":
        """Clone main from the forge."""
        folder = Path(tempfile.mkdtemp(prefix="kubestore-clone-")) / "kubestore"
        run(["git", "clone", "--quiet", "--branch", "main", url, folder], timeout=60)
        copy = Workcopy(folder)
        copy.git("config", "user.name", "KubeStore proof")
        copy.git("config", "user.email", "proof@kubestore.test")
        return copy

    def git(self, *args: str, timeout: float = 60) -> str:
        """Run git in the clone and return what it printed. Raises `CommandFailed`."""
        return run(["git", *args], cwd=self.folder, timeout=timeout).stdout.strip()

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def fetch(self) -> str:
        """The forge's main, fetched now."""
        self.git("fetch", "--quiet", "origin", "main")
        return self.git("rev-parse", "origin/main")

    def reset(self) -> str:
        """Throw away what was not pushed; stand on the forge's main."""
        self.fetch()
        self.git("reset", "--quiet", "--hard", "origin/main")
        self.git("clean", "--quiet", "-fd")
        return self.head()

    def read(self, path: str) -> str:
        """A file of the work tree."""
        return (self.folder / path).read_text()

    def write(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file; raises `KubestoreError` when the change changes nothing."""
        before = self.read(path)
        after = change(before)
        if before == after:
            raise KubestoreError(f"{path}: the edit of this proof finds nothing to change")
        self.write(path, after)

    def commit(self, message: str) -> str:
        """Commit everything; returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.head()

    def push(self) -> Pushed:
        """Push to main, rebasing when a bump came first. Raises `CommandFailed` when the forge refuses."""
        for _ in range(TRIES):
            began = time.time()
            done = run(["git", "push", "origin", "HEAD:main"], cwd=self.folder, timeout=120, check=False)
            output = done.stdout + done.stderr
            if done.returncode == 0:
                return Pushed(self.head(), began, time.time(), output)
            if "fetch first" not in output and "non-fast-forward" not in output:
                raise CommandFailed(f"git push: {output.strip()}", "", done.returncode, output)
            self.git("pull", "--quiet", "--rebase", "origin", "main")
        raise KubestoreError(f"git push: main moved {TRIES} times in a row")

    def push_change(self, message: str) -> Pushed:
        """Commit everything and push."""
        self.commit(message)
        return self.push()

    def revert(self, *commits: str) -> Pushed:
        """`git revert` of commits, newest first, in one push."""
        self.git("pull", "--quiet", "--rebase", "origin", "main")
        for commit in commits:
            self.git("revert", "--no-edit", commit)
        return self.push()

    def bump_after(self, commit: str, timeout: float) -> Pushed:
        """Wait for the pipeline's `deploy(` commit on top of `commit`.

        `began` is the commit's own time (whole seconds), `ended` when we saw it. Raises `KubestoreError`.
        """

        def check() -> Pushed | None:
            self.fetch()
            grep = f"--grep=^deploy({ENVIRONMENT})"
            found = self.git("log", "--format=%H %ct %s", "--basic-regexp", grep, f"{commit}..origin/main")
            if not found:
                return None
            sha, at, subject = found.splitlines()[0].split(" ", 2)
            return Pushed(sha, float(at), time.time(), subject)

        return wait.until(check, f"a deploy({ENVIRONMENT}) commit after {commit[:10]}", timeout, every=0.3)

    def tag(self, revision: str = "origin/main") -> str:
        """The store's `newTag` at a revision, such as `20261124-ab12cd3@sha256:…`."""
        found = re.search(r"newTag:\s*[\"']?([^\s\"']+)", self.git("show", f"{revision}:{OVERLAY}"))
        if not found:
            raise KubestoreError(f"{OVERLAY} at {revision} has no newTag")
        return found.group(1)

    def set_tag(self, tag: str) -> None:
        """Write `newTag` as the bump does, that line alone."""
        self.edit(OVERLAY, lambda text: re.sub(r"(newTag:\s*).*", rf"\g<1>{tag}", text))

    def tags(self) -> list[str]:
        """Every tag that main has named, newest first, each once; `unreleased` is none."""
        log = self.git("log", "-p", "--format=", "origin/main", "--", OVERLAY)
        found = re.findall(r"^\+.*newTag:\s*[\"']?([^\s\"']+)", log, re.M)
        return list(dict.fromkeys(tag for tag in found if "@sha256:" in tag))
