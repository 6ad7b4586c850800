"""Two renderings are compared object by object; what Argo CD adds by itself is no difference."""

import json
from typing import Any

from kubestore.manifests.compare import HOOK, TRACKING, differences
from kubestore.manifests.kustomization import Closure
from kubestore.manifests.objects import Application, Cluster, Obj, Sources
from kubestore.manifests.render import Build
from kubestore.paths import REPO


def _cluster(*documents: dict[str, Any]) -> Cluster:
    build = Build("apps/x/overlays/one", Closure((), (), ()), list(documents))
    about = {"metadata": {"name": "x"}, "spec": {"destination": {"namespace": "store"}}}
    return Cluster("one", applications=[Application(Obj(build, about, Sources(REPO)), build)])


def _map(**data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "a", "namespace": "store"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _printed(*documents: dict[str, Any]) -> str:
    return "---\n".join(json.dumps(document) + "\n" for document in documents)


def test_tracking_and_an_implied_namespace_are_no_difference() -> None:
    theirs = _map(colour="blue")
    theirs["metadata"] = {"name": "a", "annotations": {TRACKING: "x:/ConfigMap:store/a"}}
    assert differences(_cluster(_map(colour="blue")), lambda _: _printed(theirs)) == []


def test_a_field_of_another_value_is_named() -> None:
    found = differences(_cluster(_map(colour="blue")), lambda _: _printed(_map(colour="red")))
    assert found == ["x: ConfigMap/a differs: data.colour is 'blue' here and 'red' there"]


def test_a_hook_is_no_difference() -> None:
    hook = _map()
    hook["metadata"] = {"name": "hook", "annotations": {HOOK: "Sync"}}
    assert differences(_cluster(_map(), hook), lambda _: _printed(_map())) == []


def test_an_object_on_one_side_is_named() -> None:
    other = _map()
    other["metadata"]["name"] = "b"
    found = differences(_cluster(_map()), lambda _: _printed(other))
    assert found == ["x: ConfigMap/a is ours only", "x: ConfigMap/b is the repo server's only"]
