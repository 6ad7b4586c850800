"""A finding: what is wrong, where, which rule says so, and how to mend it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One line for a person. `file` is relative to the checked tree; `line` counts from 1."""

    file: str
    line: int
    subject: str
    field: str
    what: str
    rule: str
    fix: str

    def text(self) -> str:
        """`file:line  Kind/name  field: what is wrong  [rule]  fix: …`."""
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}  {self.subject}  {field}{self.what}  [{self.rule}]  fix: {self.fix}"

    def github(self) -> str:
        """A workflow command that marks the line in a pull request."""
        field = f"{self.field}: " if self.field else ""
        message = f"{self.subject} {field}{self.what}; fix: {self.fix}"
        escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return f"::error file={self.file},line={self.line},title={self.rule}::{escaped}"


def shown(findings: Iterable[Finding], form: str) -> str:
    """All findings as `text`, `github` or `json`."""
    listed = sorted(set(findings))
    if form == "json":
        return json.dumps([asdict(finding) for finding in listed], indent=1)
    return "\n".join(finding.github() if form == "github" else finding.text() for finding in listed)


def dotted(path: Iterable[str | int]) -> str:
    """A path as people write it: `spec.containers[0].image`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
