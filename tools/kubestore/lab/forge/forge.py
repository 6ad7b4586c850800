"""The forge of an instance, as `up` and `down` use it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from kubestore import paths, ui
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import programs
from kubestore.lab.forge import code, daemons, mirrors
from kubestore.lab.forge.follow import follow
from kubestore.lab.forge.repository import Repository
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import FILE, Settings
from kubestore.manifests import repository as whose
from kubestore.release.bump import named, overlay

ENVIRONMENT = "embedded"
RELEASE_LIMIT = 600.0


class Forge:
    """Git server, registry and pipeline runner of one instance."""

    def __init__(
        self, instance: Instance, address: str = "", git_port: int = 3000, registry_port: int = 5000
    ) -> None:
        self.instance = instance
        self._address = address or instance.host_ip
        self._ports = (git_port, registry_port)

    def settings(self) -> Settings:
        """What the forge's processes must know."""
        instance = self.instance
        root = instance.dir / "forge"
        return Settings(
            root=str(root), address=self._address,
            git_port=self._ports[0], registry_port=self._ports[1],
            instance=instance.name, code=str(code.folder(root)), python=sys.executable,
            act=str(programs.path("act")), registry_program=str(programs.path("registry")),
            registry_data=str(instance.dir / "registry"), secrets=str(instance.dir / "secrets"),
            gitconfig=str(instance.dir / "gitconfig"), cache=str(paths.CACHE), state=str(paths.STATE),
            webhook_url=f"{instance.argocd_url}/api/webhook",
        )  # fmt: skip

    def start(self) -> None:
        """Start what does not run."""
        settings = self.settings()
        code.keep(settings.folder)
        settings.save()
        Repository(settings).create()
        daemons.start(settings)

    def stop(self) -> None:
        """Stop every process; the data stays."""
        if (self.instance.dir / "forge" / FILE).exists():
            daemons.stop(Settings.load(self.instance.dir / "forge"))

    def alive(self) -> bool:
        """Whether every process runs."""
        return not daemons.dead(self.settings())

    def seed(self, checkout: Path) -> None:
        """Give the forge the checkout's history, never overwriting its own."""
        Repository(self.settings()).seed(checkout)

    def mirror(self, name: str, source: Path, tag: str, url: str, keep: Sequence[str]) -> None:
        """Serve folders of an upstream's sources under the tag its manifests are known by."""
        mirrors.mirror(self.settings(), name, source, tag, url, keep)

    def write_gitconfig(self) -> None:
        """The file that makes git on this machine read public upstreams from the mirrors."""
        origin = self.settings().origin
        (self.instance.dir / "gitconfig").write_text(mirrors.gitconfig(origin))

    def first_release(self) -> None:
        """Release main when the image that it names is not in the registry, so that Argo CD never misses it.

        That is so in a clone, which says `unreleased`, and after a purge, when Git names what was forgotten.
        """
        repository = Repository(self.settings())
        runs = Runs(self.settings().runs)
        if self._released(repository):
            return
        commit = repository.main
        if commit is None:
            raise KubestoreError("the forge has no main", "run `make up` again")
        open_runs = [run for run in runs.all() if run.workflow == "release" and not run.over]
        run = open_runs[0] if open_runs else runs.queue("release", commit, "the first release")
        with ui.step("first release: test, build, push, bump") as step:

            def note(now: Run, grown: str) -> None:
                last = (grown.splitlines() or [step.detail.partition(": ")[2]])[-1]
                step.note(f"{now.state}: {last[:70]}")

            run = follow(self.settings(), run, RELEASE_LIMIT, note)
        if run.state != "passed" or not self._released(repository):
            raise KubestoreError(f"the first release failed: {run.reason}", f"its log is {runs.log(run)}")

    def _released(self, repository: Repository) -> bool:
        """Whether the registry's folder has the image that main names."""
        file = overlay(ENVIRONMENT)
        digest = named(repository.show(str(file)), file).partition("@sha256:")[2]
        owner = yaml.safe_load(repository.show(str(whose.FILE)))["data"]["owner"]
        kept = Path(self.settings().registry_data) / "docker/registry/v2/repositories" / owner / whose.NAME
        return bool(digest) and (kept / "_manifests/revisions/sha256" / digest / "link").exists()
