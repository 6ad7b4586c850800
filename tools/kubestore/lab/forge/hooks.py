"""The git server's two hooks: `python -m kubestore.lab.forge.hooks <pre-receive|post-receive> <forge folder>`.

pre-receive plays GitHub's branch protection with its required check; post-receive queues what GitHub
Actions would start. What they print reaches the person who pushes.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from kubestore import files
from kubestore.errors import KubestoreError
from kubestore.lab.forge.follow import runner_lives
from kubestore.lab.forge.git import NOBODY, git, is_ancestor, leave_repository
from kubestore.lab.forge.repository import MAIN, REMOTE, Repository
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.lab.forge.workflows import FOLDER, push_trigger
from kubestore.release.bump import only_bumps
from kubestore.run import CommandFailed, run

LOCAL_WORKFLOWS = ("release", "check")
VALIDATION_LIMIT = 60.0
SHOWN_LINES = 30

Update = tuple[str, str, str]


def updates(lines: Iterable[str]) -> list[Update]:
    """What git writes to a hook: old commit, new commit, ref."""
    found = []
    for line in lines:
        old, new, ref = line.split()
        found.append((old, new, ref))
    return found


def check_update(update: Update, at: Path, env: Mapping[str, str]) -> None:
    """Raise `KubestoreError` for anything but a step forward of main."""
    old, new, ref = update
    if ref != MAIN:
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        raise KubestoreError(
            f"{name}: this forge takes the branch main only, which is what the cluster follows",
            f"git push {REMOTE} HEAD:main",
        )
    if new == NOBODY:
        raise KubestoreError("main cannot be deleted", "the cluster follows it; revert commits instead")
    if old != NOBODY and not is_ancestor(old, new, at=at, env=env):
        raise KubestoreError(
            "this push would rewrite main's history",
            f"git pull --rebase {REMOTE} main, then push without --force",
        )


def validate(commit: str, settings: Settings, env: Mapping[str, str]) -> None:
    """Render and check the manifests of a commit that is not accepted yet. Raises `KubestoreError`."""
    bare = settings.bare
    with tempfile.TemporaryDirectory(prefix="kubestore-push-") as scratch:
        index = {**env, "GIT_INDEX_FILE": f"{scratch}/index"}
        tree = Path(scratch) / "tree"
        git("read-tree", commit, at=bare, env=index)
        tree.mkdir()
        git("--git-dir", bare, "--work-tree", tree, "checkout-index", "--all", at=tree, env=index)
        command: list[str | Path] = [settings.python, "-m", "kubestore", "validate", "--fast", "--root", tree]
        quiet = {"GIT_CONFIG_GLOBAL": settings.gitconfig, **settings.environment()}
        try:
            run(command, cwd=tree, env=quiet, timeout=VALIDATION_LIMIT)
        except CommandFailed as error:
            said = error.output.replace(f"{tree}/", "").strip().splitlines()
            if any(line.startswith("Traceback") for line in said):  # our own fault: its last line says what
                said = ["the check itself broke:", *said[-1:]]
            more = [f"… and {len(said) - SHOWN_LINES} more lines"] if len(said) > SHOWN_LINES else []
            told = "\n".join(said[:SHOWN_LINES] + more) or error.what
            raise KubestoreError(
                f"{commit[:12]} does not pass the checks of manifests\n{told}",
                "`make validate` shows the same here",
            ) from error


def only_a_bump(update: Update, at: Path, env: Mapping[str, str]) -> bool:
    """Whether a push names another image and does nothing else: what it is based on has been checked."""
    old, new, _ = update
    if old == NOBODY:
        return False
    files = git("diff", "--name-only", "--no-renames", old, new, at=at, env=env).split()
    if len(files) != 1 or not files[0].startswith("apps/store/overlays/"):
        return False
    try:
        before, after = (git("show", f"{commit}:{files[0]}", at=at, env=env) for commit in (old, new))
    except CommandFailed:
        return False  # it is added or taken away
    return only_bumps(before, after)


def pre_receive(settings: Settings, lines: Iterable[str]) -> None:
    """Refuse, by raising `KubestoreError`, what must not reach the cluster."""
    env = leave_repository()
    for update in updates(lines):
        check_update(update, settings.bare, env)
        if not only_a_bump(update, settings.bare, env):
            validate(update[1], settings, env)


def started(repository: Repository, commit: str, files: Iterable[str]) -> list[str]:
    """Names of the workflows that GitHub would start, as far as they can run here."""
    subject = git("show", "-s", "--format=%s", commit, at=repository.path)
    names = list(files)
    found = []
    for name in LOCAL_WORKFLOWS:
        if name == "check" and subject.startswith("deploy("):
            continue
        try:
            trigger = push_trigger(repository.show(f"{FOLDER}/{name}.yaml", commit), f"{name}.yaml")
        except CommandFailed:
            continue
        if trigger and trigger.starts("main", names):
            found.append(name)
    return found


def announce(settings: Settings, old: str, new: str) -> None:
    """Leave a note for the runner, which tells Argo CD."""
    settings.events.mkdir(parents=True, exist_ok=True)
    files.write(settings.events / f"{time.time_ns()}.json", json.dumps({"old": old, "new": new}))


def post_receive(settings: Settings, lines: Iterable[str]) -> list[Run]:
    """Queue runs for what was accepted, and say where to watch."""
    leave_repository()
    repository = Repository(settings)
    queued: list[Run] = []
    for old, new, _ in updates(lines):
        announce(settings, old, new)
        files = [name for names in repository.changed(old, new).values() for name in names]
        subject = git("show", "-s", "--format=%s", new, at=settings.bare)
        runs = Runs(settings.runs)
        queued += [runs.queue(name, new, subject) for name in started(repository, new, files)]
    for each in queued:
        print(f"run {each.number} ({each.workflow}) is queued: kubestore ci watch {each.number}")
    if queued and not runner_lives(settings):
        print("but the pipeline's runner does not run; kubestore up starts it, and it goes on with its queue")
    if any(each.workflow == "release" for each in queued):
        print(f"its release moves main by one line; before the next push: git pull --rebase {REMOTE} main")
    elif queued or lines:
        print("no release: app-src, Dockerfile and the store's requirements are untouched; kubestore status")
    return queued


def main() -> None:
    """Run one hook on standard input; exit code 1 refuses the push."""
    name, root = sys.argv[1:3]
    lines = sys.stdin.read().splitlines()
    try:
        settings = Settings.load(Path(root))
        if name == "pre-receive":
            pre_receive(settings, lines)
        else:
            post_receive(settings, lines)
    except KubestoreError as error:
        print(error.lines(), flush=True)
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"error: the forge could not take the push:{where} {os.strerror(error.errno or 0)}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
