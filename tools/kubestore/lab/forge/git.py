"""git, without the caller's repository variables and without prompts."""

import os
from collections.abc import Mapping
from pathlib import Path

from kubestore.run import run

QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_PAGER": "cat"}
NOBODY = "0" * 40

# What receive-pack tells a hook about the objects that are not accepted yet.
QUARANTINE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
LOCAL = (
    *QUARANTINE, "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_PUSH_OPTION_COUNT", "GIT_PROTOCOL",
)  # fmt: skip


def leave_repository() -> dict[str, str]:
    """Take the variables that tie this process to a repository out of its environment, and return the
    ones that make a push's new objects readable."""
    taken = {name: os.environ.pop(name) for name in LOCAL if name in os.environ}
    return {name: taken[name] for name in QUARANTINE if name in taken}


def git(
    *words: str | Path,
    at: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
    input: str | None = None,
) -> str:
    """Run git in the folder `at` and return what it printed, without the last line end."""
    return run(
        ["git", *words], cwd=at, env={**QUIET, **(env or {})}, timeout=timeout, input=input
    ).stdout.rstrip("\n")


def says(*words: str | Path, at: Path, env: Mapping[str, str] | None = None) -> bool:
    """Whether git ends with 0, for questions such as `merge-base --is-ancestor`."""
    return run(["git", *words], cwd=at, env={**QUIET, **(env or {})}, timeout=60, check=False).returncode == 0


def is_ancestor(old: str, new: str, *, at: Path, env: Mapping[str, str] | None = None) -> bool:
    """Whether the commit `old` is `new` or in its history."""
    return says("merge-base", "--is-ancestor", old, new, at=at, env=env)


def tip(ref: str, *, at: Path) -> str | None:
    """The commit a ref names (40 digits); None when there is no such ref."""
    found = run(
        ["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"],
        cwd=at,
        env=QUIET,
        timeout=60,
        check=False,
    )
    return found.stdout.strip() or None
