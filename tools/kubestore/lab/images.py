"""Images: every third-party image, built here under its public name and pushed to the instance's registry."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubestore import files, paths, ui
from kubestore.buildah import buildah, exists
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import programs
from kubestore.run import run

DESCRIPTION = Path(__file__).parent / "images.yaml"
# Numbers that the published images use too, so that the same securityContext fits both.
USER_ID = 999
BIN = "/usr/local/bin"


@dataclass(frozen=True)
class Image:
    """One entry of images.yaml."""

    image: str
    tag: str = ""
    module: tuple[str, str] | None = None
    rootfs: bool = False
    packages: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    bin: str = BIN
    names: dict[str, str] = field(default_factory=dict)
    differs: str = ""

    @property
    def version(self) -> str:
        """The tag; etcd's published tags carry a v since 3.7 as the others do."""
        return (
            self.tag or programs.COMPONENTS[self.module[0]].version(self.module[1])
            if self.module
            else self.tag
        )

    @property
    def path(self) -> str:
        """Name without the registry's host, as the mirror is asked for it."""
        return self.image.partition("/")[2]

    def containerfile(self) -> str:
        """The recipe that buildah runs."""
        lines = ["FROM docker.io/library/debian:trixie-slim" if self.packages else "FROM scratch"]
        if self.rootfs:
            lines += ["ADD base.tar /", 'CMD ["bash"]']
        if self.packages:
            lines.append(
                "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
                f"{' '.join(self.packages)} && apt-get clean && rm -rf /var/lib/apt/lists/*"
            )
        if self.user:
            lines.append(
                f"RUN id {self.user} >/dev/null 2>&1 && usermod -u {USER_ID} {self.user} && groupmod -g {USER_ID} "
                f"{self.user} || {{ groupadd -g {USER_ID} {self.user} && useradd -r -m -u {USER_ID} -g {USER_ID} "
                f"{self.user}; }}"
            )
        lines += [f"RUN install -d -o {self.user} -m 0700 {folder}" for folder in self.folders]
        files = [*self.programs, *(Path(script).name for script in self.scripts)]
        lines += [f"COPY {file} {self.bin}/{self.names.get(file, '')}" for file in files]
        if self.links:
            lines.append(
                "RUN " + " && ".join(f"ln -s {self.programs[0]} {BIN}/{link}" for link in self.links)
            )
        lines.append(f"ENV PATH={BIN}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        lines += [f"ENV {name}={value}" for name, value in self.env.items()]
        if self.user:
            lines.append(f"USER {USER_ID}")
        if self.entrypoint:
            lines.append(f"ENTRYPOINT {json.dumps(self.entrypoint)}")
        return "\n".join(lines) + "\n"

    @property
    def key(self) -> str:
        """Names what the image holds."""
        parts = [self.containerfile(), *(programs.owner(program).key for program in self.programs)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def local(self) -> str:
        """The name in buildah's own storage."""
        if self.rootfs:
            return f"{self.image}:{self.tag}"
        return f"localhost/kubestore/{self.path.replace('/', '-')}:{self.key}"


def all_images() -> list[Image]:
    """The entries of images.yaml, in the order in which they are built."""
    return [_image(entry) for entry in yaml.safe_load(DESCRIPTION.read_text())]


def _image(entry: dict[str, Any]) -> Image:
    entry.pop("from", None)
    module = entry.pop("module", None)
    return Image(
        module=(module[0], module[1]) if module else None, **{k: _text(k, v) for k, v in entry.items()}
    )


def _text(key: str, value: Any) -> Any:
    return str(value) if key == "tag" else value


def reference(name: str) -> str:
    """`name:tag` of an image in images.yaml, by its public name."""
    for image in all_images():
        if image.image == name:
            return f"{name}:{image.version}"
    raise KubestoreError(f"{DESCRIPTION.name} has no image {name}")


def ensure(instance: Instance) -> None:
    """Build what the cache lacks and push what the registry lacks."""
    pushed = instance.dir / "images.json"
    held: dict[str, str] = json.loads(pushed.read_text()) if pushed.exists() else {}
    everything = all_images()
    wanted = [image for image in everything if held.get(image.path) != image.key]
    # The first entry is the base of others, and of the store's own image: this machine needs it, not only
    # the registry.
    if not wanted and exists(everything[0].local):
        return
    with ui.step("build and push images") as step:
        log = instance.logs / "images.log"
        _build(everything[0], log)
        for count, image in enumerate(wanted, start=1):
            step.note(f"{count}/{len(wanted)} {image.path}")
            _build(image, log)
            target = f"docker://{instance.registry}/{image.path}:{image.version}"
            buildah("push", "--tls-verify=false", image.local, target, log=log)
            held[image.path] = image.key
            files.write(pushed, json.dumps(held, indent=1))


def _build(image: Image, log: Path) -> None:
    if exists(image.local):
        return
    with tempfile.TemporaryDirectory(prefix="kubestore-image-") as folder:
        context = Path(folder)
        if image.rootfs:
            _rootfs(context / "base.tar", log)
        for program in image.programs:
            shutil.copy2(programs.path(program), context)
        for script in image.scripts:
            assert image.module
            source = programs.COMPONENTS[image.module[0]].module_dir(image.module[1]) / script
            shutil.copy(source, context)
            (context / source.name).chmod(0o755)
        (context / "Containerfile").write_text(image.containerfile())
        bud = ["bud", "--isolation", "chroot", "--layers", "--pull-never", "-t", image.local]
        buildah(*bud, "-f", context / "Containerfile", context, log=log)


def _rootfs(target: Path, log: Path) -> None:
    kept = paths.CACHE / "debian-trixie.tar"
    if not kept.exists():
        partial = kept.with_suffix(f".{os.getpid()}.partial.tar")
        command: list[str | Path] = [
            "mmdebstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            "trixie",
            partial,
        ]
        try:
            run(command, log=log, timeout=900)
            partial.rename(kept)
        finally:
            partial.unlink(missing_ok=True)
    shutil.copy(kept, target)
