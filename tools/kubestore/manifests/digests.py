"""Digests of other people's images: asked of their registries, kept in digests.json, put in by a component."""

import hashlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from kubestore.errors import KubestoreError
from kubestore.manifests import images, repository
from kubestore.manifests.objects import World

FOLDER = Path("apps/digests")
COMPONENT = FOLDER / "kustomization.yaml"
KEPT = Path("tools/kubestore/manifests/digests.json")
# Clusters whose images are built here, under the same names.
BUILT_HERE = {"embedded"}
HUB = {"docker.io": "registry-1.docker.io"}
LISTS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
ONE = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
LIMIT = 30.0


def wanted(world: World) -> set[str]:
    """`name:tag` of each image of somebody else's that a cluster pulls from its registry."""
    ours = repository.load(world.root).image
    return {
        f"{use.image}:{use.tag}"
        for use in images.used(world)
        if use.cluster not in BUILT_HERE and use.tag and use.image != ours
    }


def kept(root: Path) -> dict[str, str]:
    """What digests.json holds: `name:tag` -> digest. Raises `KubestoreError` when it is not that."""
    try:
        found: dict[str, str] = json.loads((root / KEPT).read_text())
        return dict(found)
    except (OSError, ValueError) as error:
        raise KubestoreError(f"{KEPT}: {error}", f"restore it: git checkout -- {KEPT}") from error


def stale(world: World) -> list[str]:
    """Kept digests of tags that nothing uses any more: their images would run under another tag's name."""
    return sorted(kept(world.root).keys() - wanted(world))


def pin(world: World) -> list[str]:
    """Ask for every digest and write both files; returns what changed.

    Raises `KubestoreError`, with nothing written, when a registry does not answer.
    """
    before = kept(world.root)
    after = {reference: resolve(reference) for reference in sorted(wanted(world))}
    (world.root / KEPT).write_text(json.dumps(after, indent=2) + "\n")
    (world.root / COMPONENT).write_text(component(after))
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def component(digests: Mapping[str, str]) -> str:
    """The component: a tag keeps its name and gets its digest as a suffix."""
    head = (
        "---\n"
        "# Written by `kubestore images --pin`: see README.md. The embedded cluster builds its images, so it leaves this out.\n"
        "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "kind: Component\n"
    )
    if not digests:
        return f"{head}images: []\n"
    entries = [
        f'  - name: {reference.rpartition(":")[0]}\n    tagSuffix: "@{digest}"\n'
        for reference, digest in sorted(digests.items())
    ]
    return f"{head}images:\n{''.join(entries)}"


def resolve(reference: str) -> str:
    """The digest that a registry has for `host/path:tag`, counted from what it sends. Raises `KubestoreError`."""
    name, _, tag = reference.rpartition(":")
    host, _, path = name.partition("/")
    scheme = "http" if host.startswith("127.0.0.1:") else "https"
    url = f"{scheme}://{HUB.get(host, host)}/v2/{path}/manifests/{tag}"
    try:
        body, told = _ask(url, "")
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 401:
                raise KubestoreError(
                    f"{reference}: {url} answered {error.code}", "does the tag exist?"
                ) from error
            token = _token(error.headers.get("WWW-Authenticate", ""))
        try:
            body, told = _ask(url, token)
        except (urllib.error.URLError, OSError) as again:
            raise KubestoreError(f"{reference}: {again}", "is it public?") from again
    except (urllib.error.URLError, OSError) as error:
        raise KubestoreError(f"{reference}: {error}", "the registry must be reachable") from error
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if told and told != digest:
        raise KubestoreError(
            f"{reference}: the registry says {told} and sends {digest}", "ask again; do not use it"
        )
    return digest


def _ask(url: str, token: str) -> tuple[bytes, str]:
    """A manifest, and the digest that the registry says it has."""
    headers = {"Accept": f"{LISTS}, {ONE}"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=LIMIT) as answer:  # noqa: S310
        return answer.read(), answer.headers.get("Docker-Content-Digest", "")


def _token(challenge: str) -> str:
    """A token for anybody, from where the registry's challenge says. Raises `KubestoreError`."""
    said = dict(CHALLENGE.findall(challenge))
    realm = said.pop("realm", "")
    if not realm.startswith(("https://", "http://127.0.0.1:")):
        raise KubestoreError(
            f"the registry asks for a token from {realm or 'nowhere'}", "is the image public?"
        )
    try:
        with urllib.request.urlopen(f"{realm}?{urllib.parse.urlencode(said)}", timeout=LIMIT) as answer:  # noqa: S310
            found = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise KubestoreError(f"no token from {realm}: {error}", "is the image public?") from error
    return str(found.get("token") or found.get("access_token") or "")
