"""The bump: one line of one file names what runs, and its commit is the deployment."""

import os
import random
import re
import time
from pathlib import Path

from kubestore import paths, ui
from kubestore.errors import KubestoreError
from kubestore.run import CommandFailed, run

TAG = re.compile(r"[0-9a-f]{12}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
LINE = re.compile(r"^(?P<before>[ \t]*newTag:[ \t]*)(?P<tag>\S+)[ \t]*$", re.M)
TRIES = 5
MODES = ("push", "pr")
# What git says when somebody else was quicker; a hook's or a protected branch's refusal says neither.
LOST_RACE = re.compile(r"fetch first|non-fast-forward|cannot lock ref|failed to update ref")
BOT = ("kubestore-bot", "kubestore-bot@users.noreply.github.com")


def overlay(environment: str) -> Path:
    """The file that names the store's image in an environment, relative to the checkout."""
    return Path("apps/store/overlays") / environment / "kustomization.yaml"


def named(text: str, file: Path) -> str:
    """The value of the file's only `newTag` line. Raises `KubestoreError` when there is not exactly one."""
    found = [match["tag"] for match in LINE.finditer(text)]
    if len(found) != 1:
        raise KubestoreError(
            f"{file}: {len(found)} newTag lines, one is needed", "keep one image in that file"
        )
    return found[0]


def written(text: str, value: str) -> str:
    """The file with its `newTag` line naming `value`, nothing else changed."""
    return LINE.sub(lambda match: match["before"] + value, text)


def only_bumps(before: str, after: str) -> bool:
    """Whether a file's only change is that its `newTag` line names another tag and digest of a release."""
    found = [match["tag"] for match in LINE.finditer(after)]
    if len(found) != 1 or written(before, found[0]) != after:
        return False
    tag, _, digest = found[0].partition("@")
    return bool(TAG.fullmatch(tag) and DIGEST.fullmatch(digest))


def mode() -> str:
    """`push` to main, or `pr`: to a branch of its own for a pull request. Raises `KubestoreError`."""
    said = os.environ.get("BUMP_MODE") or MODES[0]
    if said not in MODES:
        raise KubestoreError(f"BUMP_MODE={said} is not a mode of the bump", f"one of {', '.join(MODES)}")
    return said


def branch(environment: str, tag: str) -> str:
    """Where the bump is pushed: main, or with BUMP_MODE=pr a branch of its own."""
    return f"deploy/{environment}/{tag}" if mode() == "pr" else "main"


def bump(environment: str, tag: str, digest: str, root: Path = paths.REPO) -> str:
    """Make the newest main of `origin` run the image; returns the branch pushed to, empty when it did already.

    Pushes with rebase and retry; a release of an older commit never replaces a newer one's. Raises
    `KubestoreError` for a tag or digest that is not one, and when main moves faster than we can push.
    """
    target = branch(environment, tag)
    if not TAG.fullmatch(tag) or not DIGEST.fullmatch(digest):
        raise KubestoreError(
            f"{tag}@{digest} is no tag and digest of a release",
            "a tag is 12 hex digits of the commit, a digest is sha256: and 64 hex digits",
        )
    file = overlay(environment)
    if not (root / file).is_file():
        raise KubestoreError(f"{environment}: there is no {file}", "name a folder of apps/store/overlays")
    for _ in range(TRIES):
        _git(root, "fetch", "--quiet", "origin", "main")
        _git(root, "checkout", "--quiet", "--detach", "origin/main")
        old = named((root / file).read_text(), file)
        old_tag = old.partition("@")[0]
        if old == f"{tag}@{digest}" or _is_newer(root, old_tag, tag):
            ui.say(f"{environment} runs {old_tag}, which is not older than {tag}: nothing to bump")
            return ""
        if target != "main" and _git(root, "ls-remote", "origin", f"refs/heads/{target}").strip():
            ui.say(f"{target} was pushed before")
            return target
        _commit(root, file, f"{tag}@{digest}", f"deploy({environment}): store {old_tag} -> {tag}")
        try:
            _git(root, "push", "--quiet", "origin", f"HEAD:refs/heads/{target}")
        except CommandFailed as error:
            if not LOST_RACE.search(error.output):
                raise KubestoreError(
                    f"the push of the bump was refused\n{error.output.strip()}",
                    "a protected branch needs an exception for the bump, or BUMP_MODE=pr",
                ) from error
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - spreads rivals, guards nothing
            continue
        return target
    raise KubestoreError(f"main moved {TRIES} times while the bump was pushed", "run the release again")


def _is_newer(root: Path, running: str, tag: str) -> bool:
    """Whether the running commit contains the one that `tag` names."""
    if not TAG.fullmatch(running) or running == tag:
        return False
    return run(["git", "merge-base", "--is-ancestor", tag, running], cwd=root, check=False).returncode == 0


def _commit(root: Path, file: Path, value: str, subject: str) -> None:
    (root / file).write_text(written((root / file).read_text(), value))
    name, email = BOT
    identity = ["-c", f"user.name={name}", "-c", f"user.email={email}"]
    run(["git", *identity, "commit", "--quiet", "-m", subject, "--", file], cwd=root)


def _git(root: Path, *words: str) -> str:
    return run(["git", *words], cwd=root, timeout=120).stdout
