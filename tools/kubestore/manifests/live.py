"""The API server's own word: definitions and policies are applied, then every object as a dry run."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.manifests import apiserver, definitions, repository
from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj, World
from kubestore.run import CommandFailed
from kubestore.wait import until

APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=kubestore-validate")
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
ERROR = re.compile(r"^(?:Error from server|The |error:)", re.M)
READY_S = 30.0
UNRELEASED = f'/{repository.NAME}:unreleased"'


@contextmanager
def server(against: str) -> Iterator[Kubectl]:
    """The API server to ask: `throwaway` starts one, `current` is the instance's own."""
    if against == "current":
        instance = Instance.current()
        if not instance.kubeconfig.exists():
            raise KubestoreError(
                f"instance {instance.name} has no cluster", "run `make up`, or leave out --current"
            )
        yield Kubectl(instance.kubeconfig)
    else:
        with apiserver.throwaway() as kubectl:
            yield kubectl


def check(world: World, against: str) -> list[Finding]:
    """Dry-run every object of every cluster; each refusal is a finding with the server's own words."""
    with server(against) as kubectl:
        if against != "current":
            prepare(kubectl, world, {obj.kind.kind for obj in world.objects})
        objects = world.objects if against != "current" else _embedded(world)
        return [finding for batch in _once(objects) for finding in _ask(kubectl, batch)]


def prepare(kubectl: Kubectl, world: World, kinds: set[str] | None = None) -> None:
    """Apply what must be there first: definitions (those of `kinds`), namespaces, classes, policies."""
    crds = {obj.name: obj.data for obj in world.objects if obj.kind.kind == "CustomResourceDefinition"}
    install(kubectl, list(crds.values()), definitions.files(kinds))
    spaces = {obj.namespace for obj in world.objects if obj.namespace} - {"kube-system"}
    named = {obj.name: obj.data for obj in world.objects if obj.kind.kind == "Namespace"}
    for name in spaces - named.keys():
        named[name] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    first = [*named.values(), *(o.data for o in world.objects if o.kind.kind in (*POLICIES, "PriorityClass"))]
    unique = {json.dumps([d["kind"], d["metadata"]["name"]]): d for d in first}
    kubectl.run(*APPLY, "-f", "-", input=_list(list(unique.values())))


def install(kubectl: Kubectl, crds: list[dict[str, Any]], files: Sequence[Path] = ()) -> None:
    """Apply definitions, given as objects and as files, and wait until they are served."""
    if not crds and not files:
        return
    named = [word for file in files for word in ("-f", file)]
    kubectl.run(*APPLY, "-f", "-", *named, input=_list(crds), timeout=120)

    def established() -> bool:
        items = kubectl.json("get", "customresourcedefinitions")["items"]
        states = [item.get("status", {}).get("conditions") or [] for item in items]
        return all(any(c["type"] == "Established" and c["status"] == "True" for c in one) for one in states)

    until(established, "definitions to be served", READY_S, 0.2)


def _list(documents: list[dict[str, Any]]) -> str:
    """The documents as one List; an image before its first release is given a digest, as it will have."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    return text.replace(UNRELEASED, f'{UNRELEASED[:-1]}@sha256:{"0" * 64}"')


def _embedded(world: World) -> list[Obj]:
    """The objects of the one cluster that `current` is."""
    return [obj for cluster in world.clusters if cluster.name == "embedded" for obj in cluster.objects]


def _once(objects: Iterable[Obj]) -> list[list[Obj]]:
    """Objects in batches that hold each object once; equal objects of several builds are asked about once."""
    seen: set[str] = set()
    batches: list[list[Obj]] = []
    for obj in objects:
        text = json.dumps(obj.data, sort_keys=True)
        if text in seen or obj.kind.kind in ("CustomResourceDefinition", "List"):
            continue
        seen.add(text)
        key = (obj.kind, obj.namespace, obj.name)
        for batch in batches:
            if all((other.kind, other.namespace, other.name) != key for other in batch):
                batch.append(obj)
                break
        else:
            batches.append([obj])
    return batches


def _ask(kubectl: Kubectl, batch: list[Obj]) -> Iterator[Finding]:
    """Ask about a batch at once; when something in it is refused, ask about each half."""
    said = _refusal(kubectl, batch)
    if said is None:
        return
    if len(batch) == 1:
        yield batch[0].finding("live", _field(said), said, "write it as the API server asks")
        return
    middle = len(batch) // 2
    yield from _ask(kubectl, batch[:middle])
    yield from _ask(kubectl, batch[middle:])


def _refusal(kubectl: Kubectl, batch: list[Obj]) -> str | None:
    try:
        kubectl.run(
            *APPLY, "--dry-run=server", "-f", "-", input=_list([obj.data for obj in batch]), timeout=60
        )
    except CommandFailed as error:
        lines = [line for line in error.output.splitlines() if ERROR.match(line) or line.startswith("*")]
        return " ".join((" ".join(lines) or error.output).split())[:500]
    return None


def _field(said: str) -> tuple[str | int, ...]:
    """The field that the server names, such as `spec.ports[0].port`."""
    named = re.search(r"\b((?:spec|metadata|data)(?:\.[A-Za-z]+|\[\d+\])+)", said)
    if not named:
        return ()
    steps = re.findall(r"[A-Za-z]+|\d+", named[1])
    return tuple(int(step) if step.isdigit() else step for step in steps)
