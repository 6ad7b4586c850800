"""When GitHub would start a workflow for a push: its `on: push` filters, read from the file itself.

Patterns follow GitHub's "filter pattern cheat sheet": `*` stays within a folder, `**` does not, `?` and `+`
repeat the character before them, `!` takes away again, and the last pattern that matches a path decides.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from kubestore.errors import KubestoreError

FOLDER = ".github/workflows"


@dataclass(frozen=True)
class Push:
    """The filters of one workflow's push trigger; None where the workflow has no such filter."""

    branches: Sequence[str] | None
    branches_ignore: Sequence[str] | None
    paths: Sequence[str] | None
    paths_ignore: Sequence[str] | None

    def starts(self, branch: str, files: Iterable[str]) -> bool:
        """Whether a push to `branch` that touches `files` starts the workflow."""
        if self.branches is not None and not matches(self.branches, branch):
            return False
        if self.branches_ignore is not None and matches(self.branches_ignore, branch):
            return False
        if self.paths is not None:
            return any(matches(self.paths, file) for file in files)
        if self.paths_ignore is not None:
            return any(not matches(self.paths_ignore, file) for file in files)
        return True


def push_trigger(text: str, name: str) -> Push | None:
    """The push trigger of a workflow file; None when it has none.

    Raises `KubestoreError` when the file is not YAML or not a workflow.
    """
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - strings only, so `on` stays a word
    except yaml.YAMLError as error:
        raise KubestoreError(f"{FOLDER}/{name}: {str(error).splitlines()[0]}", "run `make lint`") from error
    on = document.get("on") if isinstance(document, dict) else None
    if on is None:
        raise KubestoreError(f"{FOLDER}/{name}: no `on:`, so it never runs", "run `make lint`")
    if isinstance(on, str):
        on = [on]
    if isinstance(on, list):
        return Push(None, None, None, None) if "push" in on else None
    if "push" not in on:
        return None
    filters = on["push"] or {}
    keys = ("branches", "branches-ignore", "paths", "paths-ignore")
    return Push(*(filters.get(key) for key in keys))


def matches(patterns: Sequence[str], name: str) -> bool:
    """Whether the last pattern that matches `name` takes it in."""
    taken = False
    for pattern in patterns:
        negative = pattern.startswith("!")
        if expression(pattern.removeprefix("!")).fullmatch(name):
            taken = not negative
    return taken


def expression(pattern: str) -> re.Pattern[str]:
    """GitHub's glob as a regular expression for the whole of a name."""
    out: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**/") and (not out or out[-1] == "/"):
            out.append("(?:.*/)?")
            rest = rest[3:]
        elif rest.startswith("**"):
            out.append(".*")
            rest = rest[2:]
        elif rest[0] == "*":
            out.append("[^/]*")
            rest = rest[1:]
        elif rest[0] in "?+":
            out.append(rest[0])
            rest = rest[1:]
        elif rest[0] == "[" and "]" in rest:
            inside, _, rest = rest[1:].partition("]")
            out.append("[" + inside.replace("\\", "\\\\") + "]")
        else:
            escaped = rest[0] == "\\" and len(rest) > 1
            out.append(re.escape(rest[1] if escaped else rest[0]))
            rest = rest[2 if escaped else 1 :]
    return re.compile("".join(out))
