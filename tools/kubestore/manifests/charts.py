"""Charts of Applications, rendered as Argo CD renders them: by helm, with our values, from a folder or the network."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.manifests import yamls
from kubestore.manifests.objects import Application, Cluster, World
from kubestore.run import run

Object = dict[str, Any]
# What names things only; without it nothing of ours would be comparable with the chart's own defaults.
NAMES = ("fullnameOverride=monitoring", "cleanPrometheusOperatorObjectNames=true")


@dataclass
class Chart:
    """One chart of one Application of one cluster, and what it renders to."""

    cluster: Cluster
    application: Application
    name: str
    version: str
    objects: list[Object] = field(default_factory=list)

    @property
    def kinds(self) -> str:
        """How many objects of which kind."""
        counted = Counter(one["kind"] for one in self.objects)
        return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))


def helm() -> str:
    """The program. Raises `KubestoreError` when it is not there."""
    found = shutil.which("helm")
    if not found:
        raise KubestoreError("helm is not installed", "https://helm.sh/docs/intro/install, or give --helm")
    return found


def rendered(world: World, folder: Path | None, program: str) -> list[Chart]:
    """Every chart of every cluster. `folder` holds charts by name; None fetches them from their repositories."""
    return [
        Chart(cluster, application, source["chart"], source["targetRevision"], _render(*job))
        for cluster in world.clusters
        for application in cluster.applications
        for source in application.charts
        for job in [(world.root, application, source, folder, program)]
    ]


def defaults(chart: Chart, folder: Path | None, program: str) -> list[Object]:
    """The same chart with its own values; only names are as ours."""
    source = {**chart.application.charts[0], "helm": {}}
    options = [word for name in NAMES for word in ("--set", name)]
    return _render(Path(), chart.application, source, folder, program, options)


def _render(
    root: Path,
    application: Application,
    source: Object,
    folder: Path | None,
    program: str,
    options: list[str] | None = None,
) -> list[Object]:
    files = [
        root / str(name).removeprefix("$values/") for name in source.get("helm", {}).get("valueFiles", [])
    ]
    version = programs.KUBERNETES.version("k8s.io/kubernetes")
    command: list[str | Path] = [
        program, "template", application.obj.name, *_place(source, folder), "--include-crds",
        "--namespace", application.namespace, "--kube-version", version, *(options or []),
    ]  # fmt: skip
    for file in files:
        command += ["--values", file]
    with tempfile.TemporaryDirectory(prefix="kubestore-helm-") as home:
        own = {"HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home}
        done = run(command, env=own, check=False, timeout=180)
    if done.returncode:
        said = (done.stderr.strip() or "it says nothing").splitlines()[0].removeprefix("Error: ")
        raise KubestoreError(
            f"chart {source['chart']} {source['targetRevision']}: {said[:300]}",
            "is that version published, and do our values fit it? versions: clusters/common/kustomization.yaml",
        )
    return [json.loads(json.dumps(one, default=str)) for one in yamls.load_all(done.stdout) if one]


def _place(source: Object, folder: Path | None) -> list[str | Path]:
    """Where helm finds the chart. Raises `KubestoreError` when `folder` has another version."""
    name, version = source["chart"], source["targetRevision"]
    if folder is None:
        return [name, "--repo", source["repoURL"], "--version", version]
    file = folder / name / "Chart.yaml"
    if not file.exists():
        raise KubestoreError(f"{folder} has no chart {name}", "give --from the folder that holds the charts")
    held = yamls.load_all(file.read_text())[0]["version"]
    if held != version:
        raise KubestoreError(f"{file} is version {held}, not {version}", "check out the version that we use")
    return [folder / name]


def key(one: Object) -> str:
    """Kind, namespace and name, as people say them."""
    space = one["metadata"].get("namespace")
    return f"{one['kind']} {space + '/' if space else ''}{one['metadata']['name']}"


def changes(before: list[Object], after: list[Object]) -> Iterator[tuple[str, str]]:
    """(object, what our values do to it): left out, added, or the fields that differ."""
    old, new = {key(one): one for one in before}, {key(one): one for one in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield name, "left out"
        elif name not in old:
            yield name, "added"
        elif fields := sorted(set(_differing(old[name], new[name], ""))):
            yield name, ", ".join(fields)


def _differing(old: Any, new: Any, at: str) -> Iterator[str]:
    """Paths of fields that differ; an item of a list is known by its name where it has one."""
    if isinstance(old, list) and isinstance(new, list):
        old, new = _named(old), _named(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() | new.keys():
            if old.get(name) != new.get(name) and "checksum" not in str(name):
                yield from _differing(old.get(name), new.get(name), f"{at}.{name}" if at else str(name))
    elif old != new:
        yield at


def _named(items: list[Any]) -> dict[str, Any]:
    """A list as a mapping, by `name` or else by place."""
    return {
        str(one["name"]) if isinstance(one, dict) and "name" in one else f"[{number}]": one
        for number, one in enumerate(items)
    }
