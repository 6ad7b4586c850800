"""Whose repository this is: the one file that says its URL, branch, image owner and host names."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from kubestore.errors import KubestoreError

FILE = Path("apps/repository/configmap.yaml")
NAME = "kubestore-store"


@dataclass(frozen=True)
class Repository:
    """The contents of `FILE`."""

    url: str
    branch: str
    owner: str
    host: str
    staging_host: str

    @property
    def image(self) -> str:
        """The store's image, without a tag."""
        return f"ghcr.io/{self.owner}/{NAME}"

    @property
    def slug(self) -> str:
        """`owner/name` of the repository's URL."""
        return "/".join(self.url.removesuffix(".git").rstrip("/").split("/")[-2:])


def load(root: Path) -> Repository:
    """Read the file of the tree at `root`. Raises `KubestoreError` when it lacks something."""
    file = root / FILE
    try:
        data = yaml.safe_load(file.read_text())["data"]
        return Repository(
            data["url"], data["branch"], data["owner"], data["production-host"], data["staging-host"]
        )
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise KubestoreError(f"{FILE}: {error!r}", "restore it: git checkout -- apps/repository") from error
