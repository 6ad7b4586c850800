"""Every image that a cluster runs: name, tag, digest, and where it is said."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from kubestore.manifests import yamls
from kubestore.manifests.objects import Obj, World
from kubestore.manifests.validate import charts

IMAGE_ARGUMENT = re.compile(r"^--[a-z-]*image[a-z-]*=(\S+)$")


@dataclass(frozen=True, order=True)
class Use:
    """One image in one cluster."""

    image: str
    tag: str
    digest: str
    cluster: str
    source: str

    @property
    def verified(self) -> bool:
        """Whether it is named by digest, so that nobody can put another one in its place."""
        return bool(self.digest)


def used(world: World) -> list[Use]:
    """Images of every cluster, each once per cluster, sorted by name."""
    found = set()
    for cluster in world.clusters:
        for obj in cluster.objects:
            for image in _images(obj):
                name, tag, digest = split(image)
                place = obj.place()
                source = str(place.file.relative_to(world.root)) if obj.ours else _remote(obj)
                found.add(Use(name, tag, digest, cluster.name, source))
    return sorted(found)


def split(image: str) -> tuple[str, str, str]:
    """`name:tag@digest` -> its three parts; what is absent is empty."""
    rest, _, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag, digest


def _images(obj: Obj) -> Iterator[str]:
    for _, container in obj.containers():
        yield str(container.get("image", ""))
        for word in [*container.get("args", []), *container.get("command", [])]:
            if match := IMAGE_ARGUMENT.match(str(word)):
                yield match[1]
    if obj.kind.group == "monitoring.coreos.com" and obj.get("spec", "image"):
        yield str(obj.get("spec", "image"))
    if obj.kind.kind == "ConfigMap":
        yield from _inside(obj)


def _inside(obj: Obj) -> Iterator[str]:
    """Images of pod templates that a ConfigMap carries."""
    for text in (obj.get("data") or {}).values():
        if "kind: Pod" in str(text):
            for document in yamls.load_all(str(text)):
                yield from (
                    str(container["image"]) for container in document.get("spec", {}).get("containers", [])
                )


def _remote(obj: Obj) -> str:
    remotes = obj.build.closure.remotes
    return remotes[0] if remotes else obj.build.name


def as_json(world: World) -> dict[str, Any]:
    """For programs: uses, and charts whose images only a rendering with the network can name."""
    return {
        "images": [{**asdict(use), "verified": use.verified} for use in used(world)],
        "not_rendered": charts(world),
    }
