"""Manifests that the cluster must refuse, each with the reason that it must give.

`where` is `admission` (the API server refuses `object.yaml`), `sync` (the operation of `application.yaml`
fails), or the type of a condition of the Application. `reason` is a pattern of the message.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Forbidden:
    """One folder of `forbidden`."""

    folder: Path
    where: str
    reason: str
    why: str

    @property
    def name(self) -> str:
        """What is forbidden."""
        return self.folder.name

    @property
    def text(self) -> str:
        """The object, or the Application, to apply."""
        file = "object.yaml" if self.where == "admission" else "application.yaml"
        return (self.folder / file).read_text()

    def given(self, message: str) -> bool:
        """Whether the message says the expected reason."""
        return re.search(self.reason, message, re.S) is not None


def load(where: str = "") -> list[Forbidden]:
    """Every forbidden manifest, or those that are refused at one place."""
    found = []
    for file in sorted((HERE / "forbidden").glob("*/expect.yaml")):
        expected = yaml.safe_load(file.read_text())
        found.append(Forbidden(file.parent, expected["where"], expected["reason"], expected["why"]))
    return [one for one in found if not where or one.where == where]
