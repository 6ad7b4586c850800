"""buildah, with the cache's own storage where the embedded cluster builds, with the user's elsewhere."""

import os
from pathlib import Path

from kubestore import paths
from kubestore.run import run

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_CONFIG = Path("/etc/pip.conf")


def storage() -> list[str | Path]:
    """Options that keep the embedded cluster's images apart from the user's."""
    return ["--root", paths.CACHE / "containers", "--runroot", "/run/kubestore-containers"]


def buildah(
    *args: str | Path,
    own_storage: bool = True,
    log: Path | None = None,
    timeout: float = 900,
    check: bool = True,
) -> str:
    """Run buildah and return what it printed. Raises CommandFailed."""
    options = storage() if own_storage else []
    return run(["buildah", *options, *args], log=log, timeout=timeout, check=check).stdout or ""


def exists(image: str) -> bool:
    """Whether the cluster's own storage has the image."""
    return run(["buildah", *storage(), "inspect", "--type", "image", image], check=False).returncode == 0


def host_trust() -> list[str]:
    """Mounts for the time of a build: this machine's certificates and pip settings, never in the image."""
    bundle = Path(os.environ.get("SSL_CERT_FILE", CA_BUNDLE))
    mounts = [(bundle, CA_BUNDLE), (PIP_CONFIG, PIP_CONFIG)]
    return [f"--volume={source}:{target}:ro" for source, target in mounts if source.is_file()]
