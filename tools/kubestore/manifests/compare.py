"""Our rendering beside the repo server's: Argo CD must make the very objects that were checked."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from kubestore.manifests import yamls
from kubestore.manifests.objects import Cluster

HOOK = "argocd.argoproj.io/hook"
TRACKING = "argocd.argoproj.io/tracking-id"
Identity = tuple[str, str, str, str]


def differences(cluster: Cluster, manifests: Callable[[str], str]) -> list[str]:
    """One line for each object of each Application that the two render differently.

    `manifests` gives what `argocd app manifests NAME` prints. Applications without a build in this tree
    (charts) are left out, and so are hooks, which Argo CD runs and does not list.
    """
    found = []
    for application in cluster.applications:
        if application.build is not None:
            name = application.obj.name
            theirs = yamls.load_all(manifests(name))
            found += [
                f"{name}: {line}"
                for line in _compare(_listed(application.build.objects), theirs, application.namespace)
            ]
    return found


def _listed(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in documents if HOOK not in (one["metadata"].get("annotations") or {})]


def _compare(ours: Iterable[dict[str, Any]], theirs: Iterable[dict[str, Any]], namespace: str) -> list[str]:
    left = {_identity(one, namespace): _plain(one) for one in ours}
    right = {_identity(one, namespace): _plain(one) for one in theirs}
    lines = []
    for key in sorted(left.keys() | right.keys()):
        label = f"{key[1]}/{key[3]}"
        if key not in right:
            lines.append(f"{label} is ours only")
        elif key not in left:
            lines.append(f"{label} is the repo server's only")
        elif left[key] != right[key]:
            lines.append(f"{label} differs: {_first(left[key], right[key])}")
    return lines


def _identity(document: dict[str, Any], namespace: str) -> Identity:
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    metadata = document["metadata"]
    return group, document["kind"], metadata.get("namespace") or namespace, metadata["name"]


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what only one of the two writes: tracking, an implied namespace, empty maps."""
    copy: dict[str, Any] = json.loads(json.dumps(document, default=str))
    metadata = copy["metadata"]
    metadata.pop("namespace", None)
    metadata.get("annotations", {}).pop(TRACKING, None)
    return {**copy, "metadata": {key: value for key, value in metadata.items() if value not in ({}, None)}}


def _first(left: dict[str, Any], right: dict[str, Any]) -> str:
    """The first field that is not the same."""
    ours, theirs = dict(yamls.walk(left)), dict(yamls.walk(right))
    for path in [*ours, *theirs]:
        values = [side.get(path, "absent") for side in (ours, theirs)]
        if values[0] != values[1] and not any(isinstance(value, dict | list) for value in values):
            return f"{'.'.join(map(str, path))} is {values[0]!r} here and {values[1]!r} there"
    return "a list or a map has other members"
