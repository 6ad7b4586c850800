"""Rules on Argo CD's Applications and AppProjects: the same questions that Argo CD asks, before it does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubestore.manifests import kustomization
from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Application, Cluster, Obj, World
from kubestore.manifests.rules.registry import object_rule, rule

GENERATE_PATHS = "argocd.argoproj.io/manifest-generate-paths"
# Kinds that belong to the whole cluster; all others have a namespace.
CLUSTER_KINDS = {
    "APIService",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterSecretStore",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttributesClass",
}
LISTS = ("sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist")


def _projects(cluster: Cluster) -> dict[str, Obj]:
    return {obj.name: obj for obj in cluster.of_kind("AppProject")}


def _pairs(world: World) -> Iterator[tuple[Cluster, Application, Obj]]:
    """Each Application beside the project that it names, where that exists."""
    for cluster in world.clusters:
        projects = _projects(cluster)
        for application in cluster.applications:
            if application.project in projects:
                yield cluster, application, projects[application.project]


@rule("application-project", "each Application names a project of ours, never `default`")
def application_project(world: World) -> Iterator[Finding]:
    for cluster in world.clusters:
        known = sorted(_projects(cluster).keys() - {"default"})
        for application in cluster.applications:
            if application.project not in known:
                what = f"{application.project or 'nothing'} is not a project for use"
                fix = f"one of {', '.join(known)}"
                yield application.obj.finding("application-project", ("spec", "project"), what, fix)


@rule("application-path", "each Application's path is a kustomization of this tree")
def application_path(world: World) -> Iterator[Finding]:
    for cluster in world.clusters:
        for application in cluster.applications:
            at = application.where
            path = application.obj.get(*at)
            if path is not None and application.build is None:
                fix = "name an overlay, or a base that has no overlays"
                yield application.obj.finding(
                    "application-path", at, f"{path} is not built from this tree", fix
                )


@rule("application-source", "each Application's repositories are those of its project")
def application_source(world: World) -> Iterator[Finding]:
    for _, application, project in _pairs(world):
        allowed = project.get("spec", "sourceRepos", default=[])
        for path, source in _sources(application.obj):
            if source.get("repoURL") not in allowed:
                what = f"project {project.name} does not allow {source.get('repoURL')}"
                fix = "use a repository of the project, or add this one to it in clusters/projects"
                yield application.obj.finding("application-source", (*path, "repoURL"), what, fix)


def _sources(obj: Obj) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if source := obj.get("spec", "source"):
        yield ("spec", "source"), source
    for index, source in enumerate(obj.get("spec", "sources", default=[])):
        yield ("spec", "sources", index), source


@rule("application-destination", "each Application goes where its project may")
def application_destination(world: World) -> Iterator[Finding]:
    for _, application, project in _pairs(world):
        destination = application.obj.get("spec", "destination", default={})
        if not _reaches(project, destination.get("server", ""), destination.get("namespace", "")):
            what = f"project {project.name} may not deploy to namespace {destination.get('namespace')}"
            fix = "use a destination of the project, or add this one to it in clusters/projects"
            yield application.obj.finding(
                "application-destination", ("spec", "destination", "namespace"), what, fix
            )


def _reaches(project: Obj, server: str, namespace: str) -> bool:
    wanted = {"server": server, "namespace": namespace}
    return any(wanted.items() <= one.items() for one in project.get("spec", "destinations", default=[]))


@rule("project-kinds", "each object is of a kind, and in a namespace, that its project allows")
def project_kinds(world: World) -> Iterator[Finding]:
    for _, application, project in _pairs(world):
        for obj in world.group(application.build) if application.build else []:
            cluster_wide = obj.kind.kind in CLUSTER_KINDS
            allowed = project.get("spec", LISTS[2] if cluster_wide else LISTS[3], default=[])
            if not any(_admits(one, obj) for one in allowed):
                who = f"project {project.name} of Application {application.obj.name}"
                what = f"{who} does not allow {obj.kind.kind}"
                yield obj.finding(
                    "project-kinds", ("kind",), what, "deploy it by another project, or allow the kind"
                )
            server = application.obj.get("spec", "destination", "server", default="")
            if not cluster_wide and not _reaches(project, server, obj.namespace or application.namespace):
                what = f"project {project.name} may not deploy to namespace {obj.namespace}"
                yield obj.finding(
                    "project-kinds", ("metadata", "namespace"), what, "leave the namespace to the overlay"
                )


def _admits(allowed: dict[str, str], obj: Obj) -> bool:
    same = (allowed.get("group"), allowed.get("kind")) == (obj.kind.group, obj.kind.kind)
    return same and allowed.get("name") in (None, obj.name)


@object_rule("project-open", "no project has a `*`, and `default` is empty", "AppProject")
def project_open(obj: Obj) -> Iterator[Finding]:
    for key in LISTS:
        for index, entry in enumerate(obj.get("spec", key, default=[])):
            values = entry.values() if isinstance(entry, dict) else [entry]
            if obj.name == "default":
                fix = f"leave {key} empty: {{}} is what Argo CD opens to all"
                yield obj.finding(
                    "project-open", ("spec", key, index), "the project `default` is not for use", fix
                )
            elif any("*" in str(value) for value in values):
                fix = "name what the project needs"
                yield obj.finding("project-open", ("spec", key, index), "`*` allows everything", fix)


@object_rule(
    "application-sync", "Applications prune, heal themselves and retry with the newest commit", "Application"
)
def application_sync(obj: Obj) -> Iterator[Finding]:
    wanted = {("automated", "prune"): True, ("automated", "selfHeal"): True, ("retry", "refresh"): True}
    for path, value in wanted.items():
        if obj.get("spec", "syncPolicy", *path) is not value:
            at = ("spec", "syncPolicy", *path)
            yield obj.finding(
                "application-sync", at, f"is not {str(value).lower()}", "include clusters/common"
            )


@rule("generate-paths", "the paths that refresh an Application cover all that it reads")
def generate_paths(world: World) -> Iterator[Finding]:
    for cluster in world.clusters:
        for application in cluster.applications:
            if application.build is None:
                continue
            text = application.obj.annotations.get(GENERATE_PATHS, "")
            base = Path("/" + application.build.name)
            covered = [_absolute(base, part) for part in text.split(";") if part]
            for file in application.build.closure.files:
                read = Path("/") / file.relative_to(world.root)
                if not any(path == read or path in read.parents for path in covered):
                    at = ("metadata", "annotations", GENERATE_PATHS)
                    what = f"a change of {read} would not be noticed"
                    yield application.obj.finding("generate-paths", at, what, f"add {read.parent}")
                    break


def _absolute(base: Path, text: str) -> Path:
    return Path(text) if text.startswith("/") else Path(kustomization.normal(base / text))


@rule("object-twice", "no object belongs to two Applications")
def object_twice(world: World) -> Iterator[Finding]:
    for cluster in world.clusters:
        seen: dict[tuple[str, str, str, str], str] = {}
        for application in cluster.applications:
            for obj in world.group(application.build) if application.build else []:
                key = (obj.kind.group, obj.kind.kind, obj.namespace, obj.name)
                other = seen.setdefault(key, application.obj.name)
                if other != application.obj.name:
                    what = f"Applications {other} and {application.obj.name} both deploy it"
                    yield obj.finding("object-twice", ("metadata", "name"), what, "leave it to one of them")
