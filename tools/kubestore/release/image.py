"""The store's image: built by buildah from the Dockerfile, pushed, and named by tag and digest."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from kubestore import paths
from kubestore.buildah import buildah, host_trust
from kubestore.errors import KubestoreError
from kubestore.manifests import repository
from kubestore.run import run

RESULT = Path(".image.json")
PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True)
class Built:
    """A pushed image: `tag`, and `digest` as `sha256:<64 hex digits>`."""

    tag: str
    digest: str


def registry() -> str:
    """Where images go: `KUBESTORE_REGISTRY`, or GitHub's."""
    return os.environ.get("KUBESTORE_REGISTRY") or "ghcr.io"


def is_local() -> bool:
    """Whether the registry is the embedded cluster's, without TLS and with the lab's own storage."""
    return os.environ.get("KUBESTORE_REGISTRY_PLAIN_HTTP") == "1"


def tag(root: Path = paths.REPO) -> str:
    """The tag of the checkout's commit: its first 12 hex digits."""
    return run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root).stdout.strip()


def reference(root: Path = paths.REPO) -> str:
    """The image's name with registry and tag."""
    return f"{registry()}/{repository.load(root).owner}/kubestore-store:{tag(root)}"


def platforms() -> list[str]:
    """What the image is built for, such as linux/arm64; nothing means this machine's own."""
    found = os.environ.get("KUBESTORE_PLATFORMS", "").replace(",", " ").split()
    if wrong := [name for name in found if name not in PLATFORMS]:
        raise KubestoreError(f"KUBESTORE_PLATFORMS: {wrong[0]} is not one", f"of {', '.join(PLATFORMS)}")
    return found


def _list(root: Path) -> str:
    """The local name of a list of images: an image may be there under the public one."""
    return f"localhost/{repository.NAME}-list:{tag(root)}"


def build(root: Path = paths.REPO) -> str:
    """Build the image of the checkout's commit; layers that did not change come from the cache.

    For several platforms it is a list of images under one name, each built with emulation where it is foreign.
    """
    name, wanted = reference(root), platforms()
    options = ["--isolation", "chroot", "--layers", "--format", "oci", "--build-arg", f"VERSION={tag(root)}"]
    pull = ["--pull-never"] if is_local() else []
    listed = ["--platform", ",".join(wanted), "--manifest", _list(root)]
    named = listed if wanted else ["-t", name]
    if wanted:  # a list that is there would be added to
        buildah("manifest", "rm", _list(root), own_storage=is_local(), check=False)
    file: list[str | Path] = ["-f", root / "Dockerfile", root]
    buildah("bud", *options, *pull, *host_trust(), *named, *file, own_storage=is_local(), timeout=1800)
    return name


def push(root: Path = paths.REPO) -> Built:
    """Push the built image and keep tag and digest in `.image.json` for the bump."""
    with tempfile.TemporaryDirectory() as folder:
        digest = Path(folder) / "digest"
        options = [f"--tls-verify={str(not is_local()).lower()}", "--digestfile", str(digest)]
        name = reference(root)
        verb = ["manifest", "push", "--all"] if platforms() else ["push"]
        source = _list(root) if platforms() else name
        buildah(*verb, *options, source, f"docker://{name}", own_storage=is_local())
        built = Built(tag(root), digest.read_text().strip())
    (root / RESULT).write_text(json.dumps(asdict(built)))
    return built


def last(root: Path = paths.REPO) -> Built:
    """What `push` kept. Raises `KubestoreError` when nothing was pushed from this checkout."""
    try:
        return Built(**json.loads((root / RESULT).read_text()))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise KubestoreError(
            "no image was pushed from this checkout", "run `kubestore image push` first"
        ) from error
