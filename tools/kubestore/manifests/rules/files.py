"""Rules on files: how they are written, named and listed."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from yamllint import APP_VERSION, linter  # type: ignore[import-untyped]
from yamllint.config import YamlLintConfig  # type: ignore[import-untyped]

from kubestore.manifests import kustomization, remotes
from kubestore.manifests.clean import Clean
from kubestore.manifests.findings import Finding, dotted
from kubestore.manifests.objects import World
from kubestore.manifests.rules.registry import rule

SHORT_NAMES = {"HorizontalPodAutoscaler": "hpa", "PodDisruptionBudget": "pdb"}
STYLE = """
extends: default
rules:
  braces: disable
  comments: {min-spaces-from-content: 1}
  document-start: {present: true}
  indentation: {spaces: 2, indent-sequences: true}
  line-length: {max: 130, allow-non-breakable-words: true}
  quoted-strings: disable
  truthy: {check-keys: false}
"""


@cache
def _style() -> YamlLintConfig:
    return YamlLintConfig(STYLE)


def yaml_files(world: World) -> list[Path]:
    """Every YAML file of the tree."""
    return sorted(
        file for tree in kustomization.TREES for file in (world.root / tree).rglob("*.y*ml") if file.is_file()
    )


def _at(world: World, file: Path, line: int, rule_name: str, what: str, fix: str, field: str = "") -> Finding:
    relative = str(file.relative_to(world.root))
    return Finding(relative, line, "file", field, what, rule_name, fix)


@cache
def _lint(world: World) -> list[tuple[Path, linter.LintProblem]]:
    clean = Clean("yamllint", APP_VERSION.encode(), STYLE.encode())
    texts = {file: file.read_bytes() for file in yaml_files(world)}
    found = {file: () if clean.knows(text) else _problems(text, file.name) for file, text in texts.items()}
    clean.learn(texts[file] for file, problems in found.items() if not problems)
    return [(file, problem) for file, problems in found.items() for problem in problems]


@cache
def _problems(text: bytes, name: str) -> tuple[linter.LintProblem, ...]:
    return tuple(linter.run(text, _style(), name))


@rule("yaml-syntax", "each file is YAML")
def yaml_syntax(world: World) -> Iterator[Finding]:
    for file, problem in _lint(world):
        if problem.rule is None:
            fix = "indent with spaces, close what is open"
            yield _at(world, file, problem.line, "yaml-syntax", problem.desc.removesuffix(" (syntax)"), fix)


@rule("yaml-duplicate-key", "no key is given twice")
def yaml_duplicate_key(world: World) -> Iterator[Finding]:
    for file, problem in _lint(world):
        if problem.rule == "key-duplicates":
            yield _at(world, file, problem.line, "yaml-duplicate-key", problem.desc, "keep one of them")


@rule("yaml-style", "two spaces, `---` first, lists indented")
def yaml_style(world: World) -> Iterator[Finding]:
    for file, problem in _lint(world):
        if problem.rule not in (None, "key-duplicates"):
            yield _at(
                world, file, problem.line, "yaml-style", problem.desc, "write it as the other files are"
            )


@rule("one-object-a-file", "a file holds one object")
def one_object_a_file(world: World) -> Iterator[Finding]:
    for file in yaml_files(world):
        found = world.sources.documents(file)
        if len(found) > 1:
            fix = "move each object to a file of its own"
            yield _at(
                world, file, found[1].line, "one-object-a-file", f"{len(found)} objects in one file", fix
            )


@rule("file-name", "a file is named after the kind that it holds")
def file_name(world: World) -> Iterator[Finding]:
    for file in yaml_files(world):
        for document in world.sources.documents(file)[:1]:
            if file.name == kustomization.NAME or not isinstance(document.data, dict):
                continue
            kind, named = (
                str(document.data.get("kind", "")),
                document.data.get("metadata", {}).get("name", ""),
            )
            stems = {kind.lower(), SHORT_NAMES.get(kind, kind.lower())}
            good = any(file.stem == stem or file.stem.startswith(f"{stem}-") for stem in stems)
            if kind and not good and not (kind == "Application" and file.stem == named):
                line = document.line_of(("kind",)) or 1
                fix = f"rename it to {min(stems, key=len)}.yaml or {min(stems, key=len)}-<which>.yaml"
                yield _at(world, file, line, "file-name", f"holds a {kind}", fix)


@rule("unlisted-file", "each file is listed by a kustomization that something builds")
def unlisted_file(world: World) -> Iterator[Finding]:
    listed = {file for build in world.builds for file in build.closure.files}
    listed |= {world.root / path for path in _values(world)}
    for tree in kustomization.TREES:
        for file in sorted((world.root / tree).rglob("*")):
            if (
                file.is_file()
                and file.name != "README.md"
                and file not in listed
                and "__pycache__" not in file.parts
            ):
                fix = "list it in the kustomization.yaml beside it, or remove it"
                yield _at(world, file, 1, "unlisted-file", "nothing that is built reads this file", fix)


def _values(world: World) -> Iterator[str]:
    """Values files that Applications with charts name."""
    for obj in world.objects:
        for source in obj.get("spec", "sources", default=[]) if obj.kind.kind == "Application" else []:
            for name in source.get("helm", {}).get("valueFiles", []):
                yield str(name).partition("/")[2] if str(name).startswith("$") else str(name).lstrip("/")


@rule("entry-missing", "what a kustomization lists exists")
def entry_missing(world: World) -> Iterator[Finding]:
    for folder, made in _kustomizations(world):
        for entry in made.entries:
            if entry.target is not None and not entry.target.exists():
                line = made.document.line_of(entry.path) or 1
                what = f"{entry.text} does not exist"
                fix = f"correct the path, which is relative to {folder.relative_to(world.root)}"
                yield _at(world, made.file, line, "entry-missing", what, fix, dotted(entry.path))


@rule("remote-pinned", "a remote base names a tag or a commit")
def remote_pinned(world: World) -> Iterator[Finding]:
    for _, made in _kustomizations(world):
        for entry in made.entries:
            if entry.remote and not remotes.pinned(entry.text):
                line = made.document.line_of(entry.path) or 1
                what = f"{entry.text} may change under us"
                yield _at(world, made.file, line, "remote-pinned", what, "add ?ref=<tag>", dotted(entry.path))


@rule("chart-in-kustomization", "charts come by Applications, not by kustomize")
def chart_in_kustomization(world: World) -> Iterator[Finding]:
    for _, made in _kustomizations(world):
        for key in ("helmCharts", "helmChartInflationGenerator"):
            if key in made.document.data:
                line = made.document.line_of((key,)) or 1
                fix = "make it a source of an Application: namespaces are lost here since kustomize 5.8"
                yield _at(world, made.file, line, "chart-in-kustomization", "inflates a chart", fix, key)


@rule("version-twice", "a version is written in one place")
def version_twice(world: World) -> Iterator[Finding]:
    seen: dict[str, tuple[Path, str]] = {}
    for _, made in _kustomizations(world):
        for index, image in enumerate(made.document.data.get("images") or []):
            tag = image.get("newTag")
            if not tag or ("/overlays/" in str(made.file) and "OWNER" in image["name"]):
                continue
            yield from _second(
                world, made, ("images", index, "newTag"), image.get("newName", image["name"]), seen
            )
        for entry in made.entries:
            if entry.remote:
                yield from _second(world, made, entry.path, entry.text.partition("?ref=")[0], seen)


def _second(
    world: World,
    made: kustomization.Kustomization,
    path: tuple[str | int, ...],
    name: str,
    seen: dict[str, tuple[Path, str]],
) -> Iterator[Finding]:
    if name not in seen:
        seen[name] = (made.file, name)
        return
    first = seen[name][0].relative_to(world.root)
    line = made.document.line_of(path) or 1
    what = f"the version of {name} stands in {first} too"
    fix = "keep one and include it, as apps/redis/components/image is"
    yield _at(world, made.file, line, "version-twice", what, fix, dotted(path))


def _kustomizations(world: World) -> Iterator[tuple[Path, kustomization.Kustomization]]:
    for folder in kustomization.find_all(world.root):
        made = kustomization.load(folder)
        if made is not None:
            yield folder, made
