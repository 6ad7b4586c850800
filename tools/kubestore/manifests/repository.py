"""The one file that names the repository: its URL, branch and the owner of its images."""

from pathlib import Path

import yaml

from kubestore import paths
from kubestore.errors import KubestoreError

FILE = Path("apps/repository/configmap.yaml")


def names(root: Path = paths.REPO) -> dict[str, str]:
    """The file's data: `url`, `branch`, `owner` and the hosts. Raises `KubestoreError`."""
    try:
        data = yaml.safe_load((root / FILE).read_text())["data"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise KubestoreError(f"{FILE}: {error}", f"restore it: git checkout -- {FILE}") from error
    return {str(key): str(value) for key, value in data.items()}


def owner(root: Path = paths.REPO) -> str:
    """The owner of the store's image on GitHub."""
    return names(root)["owner"]
