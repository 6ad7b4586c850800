"""kubeconform -strict against the committed schemas: no network, nothing ignored, nothing skipped."""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.manifests import schemas
from kubestore.manifests.clean import Clean, of_folder
from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj, Where
from kubestore.run import run

PART = re.compile(r"- at '(?P<at>[^']*)': (?P<what>.*?)(?=\s+- at '|$)", re.S)
REGENERATE = "correct apiVersion and kind, or run `kubestore schemas` if the cluster does serve it"


@dataclass
class Result:
    """What kubeconform said: findings, and how many objects it has seen, found valid, and skipped."""

    findings: list[Finding] = field(default_factory=list)
    seen: int = 0
    checked: int = 0
    skipped: int = 0


def check(objects: Iterable[Obj]) -> Result:
    """Check every object; equal ones, and those found valid before, are not given to kubeconform again."""
    result = Result()
    valid = Clean("kubeconform", str(programs.path("kubeconform")).encode(), of_folder(schemas.FOLDER))
    texts: dict[str, list[Obj]] = {}
    for obj in objects:
        result.seen += 1
        texts.setdefault(json.dumps(obj.data, sort_keys=True), []).append(obj)
    said, groups = _ask([text for text in texts if not valid.knows(text.encode())])
    result.skipped = said["summary"].get("skipped", 0)
    result.checked = result.seen - result.skipped
    for resource in said["resources"]:
        for obj in texts[groups[resource["filename"]]]:
            result.findings += _findings(obj, resource)
    if not result.skipped:
        found = {groups[resource["filename"]] for resource in said["resources"]}
        valid.learn(text.encode() for text in texts if text not in found)
    return result


def _ask(texts: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What kubeconform says, and the text that each file name in it stands for."""
    groups: dict[str, str] = {}
    if not texts:
        return {"resources": [], "summary": {}}, groups
    with tempfile.TemporaryDirectory(prefix="kubestore-conform-") as scratch:
        for number, text in enumerate(texts):
            file = Path(scratch) / f"{number}.json"
            file.write_text(text)
            groups[str(file)] = text
        said = _kubeconform(scratch)
    judged = sum(said["summary"].get(key, 0) for key in ("valid", "invalid", "errors", "skipped"))
    if judged != len(groups):
        raise KubestoreError(f"kubeconform judged {judged} of {len(groups)} objects")
    return said, groups


def _kubeconform(folder: str) -> dict[str, Any]:
    location = f"{schemas.FOLDER}/{schemas.LOCATION}"
    command: list[str | Path] = [
        programs.path("kubeconform"),
        "-strict",
        "-summary",
        "-output",
        "json",
        "-schema-location",
        location,
    ]
    done = run([*command, folder], check=False, timeout=120)
    try:
        return dict(json.loads(done.stdout))
    except ValueError as error:
        raise KubestoreError(f"kubeconform: {(done.stderr or done.stdout).strip()[:300]}") from error


def _findings(obj: Obj, resource: dict[str, Any]) -> Iterable[Finding]:
    message = str(resource.get("msg", ""))
    if resource["status"] == "statusError":
        if "could not find schema" in message:
            what = f"there is no schema of {obj.kind.kind} in {obj.data.get('apiVersion')}"
            yield obj.finding("schema-missing", ("kind",), what, REGENERATE)
        else:
            yield obj.finding("schema", ("kind",), message, "write it as the API documents it")
        return
    parts = [(match["at"], match["what"].strip()) for match in PART.finditer(message)]
    for at, what in [part for part in parts if "validation failed" not in part[1]] or [("", message)]:
        yield _finding(obj, at, what)


def _finding(obj: Obj, at: str, what: str) -> Finding:
    path: Where = tuple(int(step) if step.isdigit() else _unescaped(step) for step in at.split("/") if step)
    unknown = re.search(r"additional propert(?:y|ies) (.*) not allowed", what)
    if unknown:
        name = re.findall(r"'([^']*)'", unknown[1])[0]
        return obj.finding(
            "schema", (*path, name), "the API has no such field", "correct its name or remove it"
        )
    missing = re.search(r"missing propert(?:y|ies) (.*)", what)
    if missing:
        return obj.finding("schema", path, f"{missing[1]} is missing", "add it")
    return obj.finding("schema", path, what, "write it as the API documents it")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
