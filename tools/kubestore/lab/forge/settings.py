"""What the forge's own processes (hooks, runner) must know, kept in one file beside its data."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kubestore import files
from kubestore.errors import KubestoreError

FILE = "forge.json"


@dataclass(frozen=True)
class Settings:
    """Where one forge lives, where it listens and what it starts. All paths are absolute."""

    root: str
    address: str
    git_port: int
    registry_port: int
    instance: str
    code: str
    python: str
    act: str
    registry_program: str
    registry_data: str
    secrets: str
    gitconfig: str
    cache: str
    state: str
    webhook_url: str

    @property
    def folder(self) -> Path:
        """Where everything of the forge lies, but for the registry's images."""
        return Path(self.root)

    @property
    def bare(self) -> Path:
        """The repository that Argo CD follows."""
        return self.folder / "git" / "kubestore.git"

    @property
    def mirrors(self) -> Path:
        """The folder of the read-only repositories with upstream manifests."""
        return self.folder / "git" / "mirrors"

    @property
    def origin(self) -> str:
        """The git server, without a path."""
        return f"http://{self.address}:{self.git_port}"

    @property
    def url(self) -> str:
        """The repository's URL on this machine."""
        return f"{self.origin}/kubestore.git"

    @property
    def registry(self) -> str:
        """Host and port of the registry."""
        return f"{self.address}:{self.registry_port}"

    @property
    def runs(self) -> Path:
        """A folder per run of the pipeline."""
        return self.folder / "runs"

    @property
    def events(self) -> Path:
        """The spool of accepted pushes that Argo CD has not been told of."""
        return self.folder / "events"

    @property
    def logs(self) -> Path:
        """The daemons' logs."""
        return self.folder / "logs"

    def environment(self) -> dict[str, str]:
        """What makes `python -m kubestore…` run the kept copy of the tool on this instance."""
        return {
            "PYTHONPATH": f"{self.code}/tools:{self.code}/app-src",
            "KUBESTORE_INSTANCE": self.instance,
            "KUBESTORE_CACHE": self.cache,
            "KUBESTORE_STATE": self.state,
        }

    def pid_file(self, daemon: str) -> Path:
        """Where a daemon's id and start time are remembered."""
        return self.folder / "run" / f"{daemon}.json"

    def save(self) -> None:
        """Write the file that hooks and runner read; it appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write(self.folder / FILE, json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def load(root: Path) -> "Settings":
        """The settings that `save` wrote below `root`. Raises `KubestoreError` when there are none."""
        try:
            kept = json.loads((root / FILE).read_text())
            return Settings(**{field.name: kept[field.name] for field in fields(Settings)})
        except FileNotFoundError as error:
            raise KubestoreError(f"no forge in {root}", "run `make up` first") from error
        except (ValueError, KeyError) as error:
            raise KubestoreError(f"{root / FILE} is not of this version", "run `make up` again") from error
