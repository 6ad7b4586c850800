"""Rendered objects, each with the way back to the line of the file that it was written on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kubestore.manifests import kustomization, yamls
from kubestore.manifests.findings import Finding, dotted
from kubestore.manifests.render import Build
from kubestore.manifests.schemas import Kind

HASH = re.compile(r"-[a-z0-9]{10}$")
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A line of a file of the tree."""

    file: Path
    line: int


class Sources:
    """Every YAML file of a tree, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.errors: dict[Path, yaml.YAMLError] = {}
        self._read: dict[Path, list[yamls.Document]] = {}

    def documents(self, file: Path) -> list[yamls.Document]:
        """The documents of a file; none when it cannot be read, and then `errors` has why."""
        if file not in self._read:
            try:
                self._read[file] = yamls.read(file) if file.suffix in (".yaml", ".yml") else []
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                self._read[file] = []
                self.errors[file] = error if isinstance(error, yaml.YAMLError) else yaml.YAMLError(str(error))
        return self._read[file]


@dataclass(eq=False)
class Obj:
    """One object of one build."""

    build: Build
    data: dict[str, Any]
    sources: Sources
    cluster: str = ""

    @cached_property
    def kind(self) -> Kind:
        """Its group, version and kind."""
        return Kind.of(self.data)

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.data.get("metadata", {}).get("name", ""))

    @property
    def namespace(self) -> str:
        """metadata.namespace, empty for an object of the whole cluster."""
        return str(self.data.get("metadata", {}).get("namespace", ""))

    @property
    def subject(self) -> str:
        """`Kind/name` as people say it, without a generated suffix."""
        return f"{self.kind.kind}/{self.plain_name}"

    @property
    def plain_name(self) -> str:
        """The name without the hash that a generator adds."""
        return HASH.sub("", self.name) if self._generator else self.name

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The field at `path`, or `default`."""
        value: Any = self.data
        for step in path:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and step < len(value) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
            if value is None:
                return default
        return value

    @property
    def labels(self) -> dict[str, str]:
        """metadata.labels."""
        return dict(self.get("metadata", "labels", default={}))

    @property
    def annotations(self) -> dict[str, str]:
        """metadata.annotations."""
        return dict(self.get("metadata", "annotations", default={}))

    @cached_property
    def pod_path(self) -> Where | None:
        """Where its pod template is; None when it makes no pods."""
        if self.kind.kind not in WORKLOADS or self.kind.group not in ("", "apps", "batch"):
            return None
        if self.kind.kind == "Pod":
            return ()
        return (
            ("spec", "jobTemplate", "spec", "template")
            if self.kind.kind == "CronJob"
            else ("spec", "template")
        )

    @property
    def pod(self) -> dict[str, Any]:
        """The pod template's spec; empty when it makes no pods."""
        found = self.get(*self.pod_path, "spec", default={}) if self.pod_path is not None else {}
        return dict(found)

    @property
    def pod_labels(self) -> dict[str, str]:
        """Labels of the pods that it makes."""
        return (
            dict(self.get(*self.pod_path, "metadata", "labels", default={}))
            if self.pod_path is not None
            else {}
        )

    def containers(self, init: bool = True) -> Iterator[tuple[Where, dict[str, Any]]]:
        """Each container of its pods, with the path to it."""
        if self.pod_path is None:
            return
        for key in ("initContainers", "containers") if init else ("containers",):
            for index, container in enumerate(self.pod.get(key) or []):
                yield (*self.pod_path, "spec", key, index), container

    @property
    def ours(self) -> bool:
        """Whether it is written in this tree, not in a remote base."""
        return bool(self._written) or self._generator is not None

    @cached_property
    def _written(self) -> list[tuple[Path, yamls.Document]]:
        """Documents of this object, outermost first: patches, then the resource itself (which comes last)."""
        resources: list[tuple[Path, yamls.Document]] = []
        patches: list[tuple[Path, yamls.Document]] = []
        for file in self.build.closure.files:
            for document in self.sources.documents(file):
                if isinstance(document.data, dict) and self._is(document.data):
                    (resources if file in self._resources else patches).append((file, document))
        return [*patches, *resources] if resources else []

    @cached_property
    def _resources(self) -> set[Path]:
        """Files that the build lists as resources."""
        made = (kustomization.load(folder) for folder in self.build.closure.folders)
        entries = (entry for one in made if one for entry in one.entries if entry.path[0] == "resources")
        return {entry.target for entry in entries if entry.target}

    def _is(self, data: dict[str, Any]) -> bool:
        metadata = data.get("metadata")
        same = data.get("kind") == self.kind.kind and isinstance(metadata, dict)
        return same and isinstance(metadata, dict) and metadata.get("name") == self.name

    @property
    def generated(self) -> bool:
        """Whether a generator makes it from files or literals."""
        return self._generator is not None

    @cached_property
    def _generator(self) -> Place | None:
        """The line of the generator that makes it."""
        for folder in self.build.closure.folders:
            made = kustomization.load(folder)
            for key in (f"{self.kind.kind[0].lower()}{self.kind.kind[1:]}Generator",):
                for index, entry in enumerate((made.document.data.get(key) or []) if made else []):
                    if made and entry.get("name") in (self.name, HASH.sub("", self.name)):
                        if entry.get("behavior") in ("merge", "replace"):
                            continue
                        return Place(made.file, made.document.line_of((key, index)) or 1)
        return None

    def place(self, path: Where = ()) -> Place:
        """The line that says (or should say) the field at `path`."""
        best: tuple[int, Place] | None = None
        for file, document in self._written:
            line, depth = document.nearest(path)
            if depth == len(path):
                return Place(file, line)
            if best is None or depth >= best[0]:
                best = (depth, Place(file, line))
        if best:
            return best[1]
        return self._generator or Place(self.build.closure.files[0], 1)

    def finding(self, rule: str, path: Where, what: str, fix: str) -> Finding:
        """A finding on the field at `path`."""
        place = self.place(path)
        relative = str(place.file.relative_to(self.sources.root))
        return Finding(relative, place.line, self.subject, dotted(path), what, rule, fix)


@dataclass
class Application:
    """An Argo CD Application of a cluster, and the build that it deploys (None: not in this tree)."""

    obj: Obj
    build: Build | None

    @property
    def project(self) -> str:
        """The AppProject that it names."""
        return str(self.obj.get("spec", "project", default=""))

    @property
    def where(self) -> Where:
        """Where its path in this tree is written, in `source` or in one of several `sources`."""
        for index, source in enumerate(self.obj.get("spec", "sources", default=[])):
            if "path" in source:
                return ("spec", "sources", index, "path")
        return ("spec", "source", "path")

    @property
    def charts(self) -> list[dict[str, Any]]:
        """Its sources that are charts, which only a place with the network renders."""
        return [source for source in self.obj.get("spec", "sources", default=[]) if source.get("chart")]

    @property
    def namespace(self) -> str:
        """Its destination's namespace."""
        return str(self.obj.get("spec", "destination", "namespace", default=""))


@dataclass
class Cluster:
    """What runs in one cluster: its Applications, projects, and every object that they deploy."""

    name: str
    objects: list[Obj] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)

    @property
    def charted(self) -> set[str]:
        """Namespaces into which a chart puts pods that nobody sees here."""
        return {application.namespace for application in self.applications if application.charts}

    def of_kind(self, *kinds: str) -> list[Obj]:
        """Objects of the kinds, wherever they come from."""
        return [obj for obj in self.objects if obj.kind.kind in kinds]


@dataclass(eq=False)
class World:
    """All that is checked: the tree, its builds, and the clusters that they add up to."""

    root: Path
    sources: Sources
    builds: list[Build]
    objects: list[Obj]
    clusters: list[Cluster]
    # Whether some object breaks its schema: rules may then meet what they do not expect.
    malformed: bool = False

    def group(self, build: Build) -> list[Obj]:
        """The objects of one build."""
        return [obj for obj in self.objects if obj.build is build]


def world(root: Path, builds: list[Build]) -> World:
    """Put builds together to the clusters that Argo CD makes of them."""
    sources = Sources(root)
    objects = [
        Obj(build, data, sources) for build in builds for data in build.objects if isinstance(data, dict)
    ]
    by_name = {build.name: build for build in builds}
    per_build: dict[str, list[Obj]] = {}
    for obj in objects:
        per_build.setdefault(obj.build.name, []).append(obj)
    clusters = [
        _cluster(build.name, by_name, per_build)
        for build in builds
        if build.name.startswith("clusters/") and build.name.count("/") == 1
    ]
    return World(root, sources, builds, objects, clusters)


def _cluster(name: str, builds: dict[str, Build], objects: dict[str, list[Obj]]) -> Cluster:
    made = Cluster(name.partition("/")[2])
    for part in (name, f"{name}/bootstrap"):
        made.objects += objects.get(part, [])
    for obj in objects.get(name, []):
        if obj.kind.kind == "Application" and obj.kind.group == "argoproj.io":
            application = Application(obj, None)
            path = str(obj.get(*application.where, default=""))
            application.build = builds.get(path)
            made.applications.append(application)
            if path != name:
                made.objects += objects.get(path, [])
    seen: set[tuple[str, str, str, str]] = set()
    unique = []
    for obj in made.objects:
        key = (obj.kind.group, obj.kind.kind, obj.namespace, obj.name)
        if key not in seen:
            seen.add(key)
            unique.append(obj)
    made.objects = unique
    return made
