"""JSON schemas of the kinds we use, made from the API server's own OpenAPI document and committed.

`schemas/definitions.json` holds each shared definition once; `schemas/<group>/<kind>-<version>.json` is the
kind itself, which refers to them. Every object is closed: a field that the API server does not know is an error.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubestore.kubectl import Kubectl

FOLDER = Path(__file__).parent / "schemas"
DEFINITIONS = "definitions.json"
LOCATION = "{{.Group}}/{{.ResourceKind}}-{{.ResourceAPIVersion}}.json"
CORE = "v1"  # what kubeconform calls the group of core kinds
KEPT = (
    "type",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
)
KEPT_FORMATS = ("int32", "int64", "date-time", "uri")
REFERENCE = "#/components/schemas/"


@dataclass(frozen=True, order=True)
class Kind:
    """Group (empty for core), version and kind."""

    group: str
    version: str
    kind: str

    @property
    def openapi_path(self) -> str:
        """Where the API server documents its group and version."""
        return (
            f"/openapi/v3/apis/{self.group}/{self.version}"
            if self.group
            else f"/openapi/v3/api/{self.version}"
        )

    @property
    def file(self) -> str:
        """Its schema, relative to `FOLDER`, as kubeconform asks for it."""
        return f"{self.group or CORE}/{self.kind.lower()}-{self.version}.json"

    @staticmethod
    def of(document: dict[str, Any]) -> "Kind":
        """The kind of an object."""
        group, _, version = str(document.get("apiVersion", "")).rpartition("/")
        return Kind(group, version, str(document.get("kind", "")))


# Kinds that are not deployed now and may come, or that the API server is asked about in tests.
ALSO = tuple(
    Kind(group, version, kind)
    for group, version, kinds in (
        ("", "v1", "LimitRange Pod ResourceQuota"),
        ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"),
        ("apps", "v1", "DaemonSet"),
        ("batch", "v1", "CronJob Job"),
        (
            "monitoring.coreos.com",
            "v1",
            "Alertmanager PodMonitor Probe Prometheus PrometheusRule ServiceMonitor",
        ),
        ("monitoring.coreos.com", "v1alpha1", "AlertmanagerConfig ScrapeConfig"),
        ("networking.k8s.io", "v1", "Ingress"),
    )
    for kind in kinds.split()
)


def generate(kubectl: Kubectl, kinds: Iterable[Kind]) -> dict[str, str]:
    """Schemas of `kinds`, file name -> text. A kind that the API server does not serve is left out."""
    files: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    documents: dict[str, dict[str, Any]] = {}
    served = json.loads(kubectl.run("get", "--raw", "/openapi/v3"))["paths"]
    for kind in sorted(set(kinds)):
        path = kind.openapi_path
        if path.removeprefix("/openapi/v3/") not in served:
            continue
        if path not in documents:
            documents[path] = json.loads(kubectl.run("get", "--raw", path))["components"]["schemas"]
        name = _definition(documents[path], kind)
        if name is None:
            continue
        for reference in _references(documents[path][name]):
            _collect(documents[path], reference, definitions)
        files[kind.file] = _text(_outside(_strict(documents[path][name])))
    files[DEFINITIONS] = _text({"definitions": dict(sorted(definitions.items()))})
    return files


def committed() -> dict[str, str]:
    """The committed schemas, file name -> text."""
    return {str(path.relative_to(FOLDER)): path.read_text() for path in sorted(FOLDER.rglob("*.json"))}


def differing(made: dict[str, str]) -> list[str]:
    """Files, and shared definitions, of `made` that are not as committed. What `made` lacks is no difference."""
    before = committed()
    names = [name for name in made if name != DEFINITIONS and before.get(name) != made[name]]
    old, new = (json.loads(side[DEFINITIONS])["definitions"] for side in (before, made))
    return sorted([*names, *(f"{DEFINITIONS}: {name}" for name in new if old.get(name) != new[name])])


def write(files: dict[str, str]) -> list[str]:
    """Make the committed schemas equal to `files`; returns the names that changed."""
    before = committed()
    for name in before.keys() - files.keys():
        (FOLDER / name).unlink()
    for name, text in files.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)
    return sorted(name for name in before.keys() | files.keys() if before.get(name) != files.get(name))


def known() -> set[str]:
    """Files of the kinds that have a committed schema."""
    return {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.json")}


def _text(value: object) -> str:
    """One definition a line keeps the file small and its differences readable."""
    if isinstance(value, dict) and "definitions" in value:
        lines = (f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in value["definitions"].items())
        return '{"definitions": {\n' + ",\n".join(lines) + "\n}}\n"
    return json.dumps(value, sort_keys=True) + "\n"


def _definition(schemas: dict[str, Any], kind: Kind) -> str | None:
    wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    for name, schema in schemas.items():
        if wanted in schema.get("x-kubernetes-group-version-kind", []):
            return name
    return None


def _collect(schemas: dict[str, Any], name: str, into: dict[str, Any]) -> None:
    """Add the definition `name`, and every one that it refers to, to `into`."""
    if name in into:
        return
    into[name] = {}
    into[name] = _strict(schemas[name])
    for reference in _references(schemas[name]):
        _collect(schemas, reference, into)


def _outside(schema: Any) -> Any:
    """The schema of a kind, whose references lead to the shared file."""
    if isinstance(schema, dict):
        at = schema.get("$ref")
        return (
            {"$ref": f"../{DEFINITIONS}{at}"}
            if at
            else {key: _outside(value) for key, value in schema.items()}
        )
    return [_outside(value) for value in schema] if isinstance(schema, list) else schema


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(REFERENCE)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 as the API server speaks it -> JSON schema that admits no unknown field."""
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{schema['$ref'].removeprefix(REFERENCE)}"}
    if len(schema.get("allOf", [])) == 1 and "properties" not in schema:
        return _strict(schema["allOf"][0])
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    made: dict[str, Any] = {key: schema[key] for key in KEPT if key in schema and _portable(key, schema[key])}
    if schema.get("format") in KEPT_FORMATS and schema.get("type") == "string":
        made["format"] = schema["format"]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            made[key] = [_strict_part(part) for part in schema[key]]
    if "items" in schema:
        made["items"] = _strict(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _strict_part(schema: dict[str, Any]) -> dict[str, Any]:
    """A branch of allOf, anyOf or oneOf only adds conditions: it does not close the object."""
    made = _strict(schema)
    if "properties" in schema:
        made.pop("additionalProperties", None)
    return made


def _portable(key: str, value: object) -> bool:
    """Whether kubeconform's engine (Go's RE2) reads the pattern."""
    return key != "pattern" or not re.search(r"\(\?[=!<]", str(value))
