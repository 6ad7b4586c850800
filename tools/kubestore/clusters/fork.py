"""What Argo CD will read: the fork's own URL and branch, fetched as a stranger would."""

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.manifests import repository
from kubestore.release.bump import DIGEST, named, overlay
from kubestore.run import CommandFailed, run

USERNAME, TOKEN = "KUBESTORE_GIT_USERNAME", "KUBESTORE_GIT_TOKEN"
# git asks this program for a user name, then for a password.
ASKPASS = f"""\
#!/bin/sh
case "$1" in Username*) echo "${USERNAME}" ;; *) echo "${TOKEN}" ;; esac
"""
# What git says when a repository is private, or not there: hosts do not tell the two apart.
REFUSED = re.compile(
    r"could not read (Username|Password)|terminal prompts disabled|Authentication failed|not found|error: 40[134]"
)
ARGOCD = re.compile(r"https://github\.com/argoproj/argo-cd//\S+\?ref=(v[\d.]+)")


@dataclass(frozen=True)
class Credentials:
    """For a private repository; from the environment, so that no argument tells the token."""

    username: str
    token: str

    @staticmethod
    def given() -> "Credentials | None":
        """What the environment says; None without a token."""
        token = os.environ.get(TOKEN, "")
        return Credentials(os.environ.get(USERNAME) or "git", token) if token else None


@dataclass(frozen=True)
class Fork:
    """The fork as Argo CD sees it: a shallow clone of `branch` of `url` at `commit`, read in `tree`.

    `at` is where commands find it: the same, but for a dry run without the network, which reads the checkout.
    """

    url: str
    branch: str
    commit: str
    tree: Path
    at: Path

    @property
    def argocd(self) -> str:
        """The release of Argo CD that the tree pins, with its v."""
        file = self.tree / "apps/argocd/base/kustomization.yaml"
        found = ARGOCD.search(file.read_text())
        if not found:
            raise KubestoreError(
                f"{file} names no release of Argo CD", "restore it: git checkout -- apps/argocd"
            )
        return found[1]

    def uses(self, component: str, environment: str) -> bool:
        """Whether some overlay of an environment includes a component, such as `external-secrets`."""
        files = self.tree.glob(f"apps/*/overlays/{environment}/kustomization.yaml")
        return any(f"components/{component}\n" in file.read_text() for file in files)

    def from_secret_store(self, name: str, environment: str) -> bool:
        """Whether a Secret comes from a secret store instead of being made at bootstrap."""
        known = self.tree.glob(f"apps/*/components/external-secrets/externalsecret-{name}.yaml")
        return any(known) and self.uses("external-secrets", environment)

    def applications(self, environment: str) -> list[str]:
        """Paths of the Applications that are kustomizations of this tree."""
        files = sorted((self.tree / "clusters" / environment).glob("*.yaml"))
        sources = [yaml.safe_load(file.read_text()).get("spec", {}).get("source", {}) for file in files]
        return [str(one["path"]) for one in sources if "path" in one]

    def released(self, environment: str) -> bool:
        """Whether the overlay names an image by digest."""
        file = overlay(environment)
        return bool(DIGEST.fullmatch(named((self.tree / file).read_text(), file).partition("@")[2]))


def folder(name: str) -> Path:
    """Where the clone for a cluster lies; made anew each time."""
    return paths.CACHE / "clusters" / name / "tree"


def clone_words(url: str, branch: str, target: Path) -> list[str]:
    """The command that fetches it."""
    return ["git", "clone", "--quiet", "--depth=1", f"--branch={branch}", "--", url, str(target)]


def fetch(name: str, root: Path) -> Fork:
    """Fetch what the checkout's own file says to follow, with nothing of this user's git settings.

    Raises `KubestoreError` when a stranger (or the given credentials) cannot read it.
    """
    whose = repository.load(root)
    target = folder(name)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(clone_words(whose.url, whose.branch, target), env=_stranger(target.parent), timeout=180)
    except CommandFailed as error:
        raise _unreadable(whose, error.output) from error
    commit = run(["git", "-C", target, "rev-parse", "HEAD"]).stdout.strip()
    return Fork(whose.url, whose.branch, commit, target, target)


def assumed(name: str, root: Path) -> Fork:
    """The fork as the checkout has it, for a dry run that cannot fetch it."""
    whose = repository.load(root)
    commit = run(["git", "-C", root, "rev-parse", "HEAD"]).stdout.strip()
    return Fork(whose.url, whose.branch, commit, root, folder(name))


def _stranger(scratch: Path) -> dict[str, str]:
    """Environment in which git knows no credentials, rewrites and settings but those of Argo CD."""
    env = {
        "HOME": str(scratch),
        "XDG_CONFIG_HOME": str(scratch),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
    }
    if given := Credentials.given():
        ask = scratch / "askpass"
        ask.write_text(ASKPASS)
        ask.chmod(ask.stat().st_mode | stat.S_IXUSR)
        env |= {"GIT_ASKPASS": str(ask), USERNAME: given.username}
    return env


def _unreadable(whose: repository.Repository, said: str) -> KubestoreError:
    reason = next(
        (line for line in reversed(said.strip().splitlines()) if line.startswith("fatal:")), said.strip()
    )
    reason = reason.removeprefix("fatal: ")
    if re.search(r"Remote branch .* not found", said):
        return KubestoreError(
            f"{whose.url} has no branch {whose.branch}", f"push it, or change `branch` in {repository.FILE}"
        )
    if REFUSED.search(said):
        mend = f"make it public, or set {TOKEN}: `kubestore github` says how; another fork's URL: `kubestore adopt`"
        return KubestoreError(f"Argo CD cannot read {whose.url} ({reason})", mend)
    return KubestoreError(f"{whose.url} cannot be read: {reason}", "check the address and the network")


def behind(fork: Fork, root: Path) -> str:
    """A warning when the checkout's commit is not the one that Argo CD will follow; empty when it is."""
    here = run(["git", "-C", root, "rev-parse", "HEAD"], check=False).stdout.strip()
    if not here or here == fork.commit:
        return ""
    return (
        f"Argo CD follows {fork.branch} of {fork.url}, which is at {fork.commit[:12]}; "
        f"this checkout is at {here[:12]}. What is not pushed is not deployed."
    )
