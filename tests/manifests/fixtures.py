"""Fixtures: the tree in `valid/` with one thing changed, and what must be said of it.

`fixture.yaml` of a folder: `edit` (file, old, new), `add` (file -> text), `remove` (files); an invalid one
names the `rule` that must refuse it and the `file` (or `files`) of the finding, a near miss the rule that it is `near`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
VALID = HERE / "valid"
# Made here, so that no file of ours looks like a leak.
TOKEN = "ghp_" + "J2k9QwXz7LmN4pRs8TvY1bCd6FgHa3EuKo5i"


@dataclass(frozen=True)
class Fixture:
    """One folder of `invalid` or `near-misses`."""

    folder: Path
    content: dict[str, Any]

    @property
    def rule(self) -> str:
        """The rule that it is about."""
        return str(self.content.get("rule") or self.content["near"])

    @property
    def files(self) -> set[str]:
        """Where the findings must be."""
        return set(self.content.get("files", [])) or {self.content["file"]}

    def make(self, target: Path) -> Path:
        """Write the changed tree to `target`; an edit that changes nothing is a mistake of the fixture."""
        shutil.copytree(VALID, target)
        for edit in self.content.get("edit", []):
            file = target / edit["file"]
            before = file.read_text()
            assert edit["old"] in before, f"{self.folder.name}: {edit['file']} has no {edit['old']!r}"
            file.write_text(before.replace(edit["old"], _text(edit["new"]), 1))
        for name, text in self.content.get("add", {}).items():
            (target / name).write_text(_text(text))
        for name in self.content.get("remove", []):
            (target / name).unlink()
        return target


def _text(text: str) -> str:
    return text.replace("${TOKEN}", TOKEN)


def load(kind: str) -> list[Fixture]:
    """Every fixture of `invalid` or `near-misses`."""
    files = sorted((HERE / kind).glob("*/fixture.yaml"))
    return [Fixture(file.parent, yaml.safe_load(file.read_text())) for file in files]
