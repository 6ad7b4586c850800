"""The whole validation: render, schemas, rules, secrets, and the API server itself when asked."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kubestore.lab import programs
from kubestore.manifests import conform, leaks, live, objects, remotes, render
from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import World
from kubestore.manifests.render import Build
from kubestore.manifests.rules import registry

PROGRAMS = ["kustomize", "kubeconform", "gitleaks"]
RENDERED = "correct what kustomize names; `kustomize build` of the folder shows it alone"


@dataclass
class Report:
    """What was looked at and what was found."""

    findings: list[Finding] = field(default_factory=list)
    builds: int = 0
    seen: int = 0
    checked: int = 0
    skipped: int = 0
    not_rendered: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def summary(self) -> str:
        """What a person reads last."""
        lines = [f"exception: {text}" for text in self.exceptions]
        lines += [f"not rendered: {text}" for text in self.not_rendered]
        counted = (
            f"{self.builds} builds, {self.seen} objects seen, {self.checked} checked, {self.skipped} skipped"
        )
        rules = f"{len(registry.RULES)} rules, {len(self.findings)} findings"
        return "\n".join([*lines, f"{counted}; {rules}; {self.seconds:.1f} s"])


def validate(root: Path, *, fast: bool = False, against: str = "") -> Report:
    """Check the tree at `root`.

    `fast` leaves out the secret scan of the history. `against` is `throwaway` or `current`: an API server
    that dry-runs everything.
    """
    began = time.monotonic()
    programs.build(PROGRAMS)
    with ThreadPoolExecutor(1) as beside:
        leaking = beside.submit(leaks.scan, root, history=not fast)
        world, report = examine(root)
        report.findings = judge(world, report)
        report.findings += leaking.result()
    if against:
        report.findings += live.check(world, against)
    excused = sorted(registry.exceptions(world).items())
    report.exceptions = [f"{who} from {rule}: {why}" for (who, rule), why in excused]
    report.findings = sorted(set(report.findings))
    report.seconds = time.monotonic() - began
    return report


def examine(root: Path) -> tuple[World, Report]:
    """Render the tree at `root` and hold it against the schemas; the rules are not applied yet."""
    programs.build(PROGRAMS)
    report = Report()
    builds = render.build_all(root, remotes.gitconfig())
    world = objects.world(root, builds)
    report.builds = len(builds)
    for build in builds:
        if build.not_rendered:
            unreached = ", ".join(build.closure.remotes)
            report.not_rendered.append(f"{build.name}: {unreached} could not be reached")
        elif build.error:
            report.findings.append(_unrendered(root, build))
    report.not_rendered += charts(world)
    said = conform.check(world.objects)
    report.seen, report.checked, report.skipped = said.seen, said.checked, said.skipped
    report.findings += said.findings
    world.malformed = bool(said.findings)
    return world, report


def judge(world: World, report: Report, without: Iterable[str] = ()) -> list[Finding]:
    """Apply the rules but those `without`; a build that fails is no finding beside the one that says why."""
    found = registry.apply(world, without)
    places = {world.root / finding.file for finding in found}
    for build in world.builds:
        if build.error and places & set(build.closure.files):
            report.findings = [finding for finding in report.findings if finding.subject != build.name]
    return sorted({*report.findings, *found})


def charts(world: World) -> list[str]:
    """Charts of Applications, which only a cluster's Argo CD (or a workflow with the network) renders."""
    found = []
    for cluster in world.clusters:
        for application in cluster.applications:
            for source in application.charts:
                chart, version = source["chart"], source.get("targetRevision")
                found.append(f"clusters/{cluster.name} {application.obj.name}: chart {chart} {version}")
    return found


def _unrendered(root: Path, build: Build) -> Finding:
    """The finding of a build that kustomize refuses; it names the innermost file that it can."""
    text = " ".join(line for line in build.error.splitlines() if not line.startswith("#")).strip()
    file = build.closure.files[0] if build.closure.files else root / build.name.split(" + ")[0]
    for read in build.closure.files:
        if read.name != "kustomization.yaml" and str(read) in text:
            file = read
    shown = text.replace(f"{root}/", "").replace("Error: ", "")
    shown = shown if len(shown) < 400 else f"{shown[:160]} … {shown[-220:]}"
    name = str(file.relative_to(root)) if file.is_relative_to(root) else build.name
    return Finding(name, 1, build.name, "", shown, "render", RENDERED)
