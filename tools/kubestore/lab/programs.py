"""Programs of the cluster, built from pinned Go modules and kept in the cache that all clones share.

`modules/<component>/go.mod` is the one pin of a program: its `tool` lines say what is built, its
`require` lines at which version. A component is built again only when its go.mod, go.sum, flags or the
toolchain change.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kubestore import paths, ui
from kubestore.errors import KubestoreError
from kubestore.lab import gobuild

MODULES = Path(__file__).parent / "modules"
WAIT_S = 3600  # for the build of another process, which may be of everything

# Programs whose name is not the last element of their package's path.
NAMES = {
    "github.com/argoproj/argo-cd/v3/cmd": "argocd",
    "github.com/projectcalico/calico/cni-plugin/cmd/install": "calico-install",
    "go.etcd.io/etcd/server/v3": "etcd",
}


def produced_name(package: str) -> str:
    """What `go build` calls the program of a package: its last element that is no major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


@dataclass(frozen=True)
class Component:
    """One go.mod: the programs it builds, the variables stamped with versions, releases named otherwise."""

    name: str
    stamps: dict[str, str] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum lie."""
        return MODULES / self.name

    @property
    def packages(self) -> dict[str, str]:
        """Program -> package path, from the `tool` lines."""
        text = (self.folder / "go.mod").read_text()
        block = re.search(r"^tool \(\n(.*?)^\)", text, re.M | re.S)
        lines = block.group(1).split() if block else re.findall(r"^tool (\S+)", text, re.M)
        return {NAMES.get(path, produced_name(path)): path for path in lines}

    def version(self, module: str) -> str:
        """The version of `module` that go.mod requires, with its v; a release's name where it has another."""
        if module in self.releases:
            return self.releases[module]
        found = re.search(rf"^(?:require )?\s*{re.escape(module)} (v\S+)", self.requirements, re.M)
        if not found:
            raise KubestoreError(f"{self.folder}/go.mod does not require {module}")
        return found.group(1)

    @property
    def requirements(self) -> str:
        """go.mod without its `replace` lines."""
        return re.sub(r"^replace .*$", "", (self.folder / "go.mod").read_text(), flags=re.M)

    @property
    def ldflags(self) -> str:
        """Flags of the linker: no debug information, versions stamped."""
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in sorted(self.stamped().items()))])

    def stamped(self) -> dict[str, str]:
        """The stamps with `{module}` replaced by that module's version, `{module#}` without its v."""
        return {
            name: re.sub(
                r"\{([^}#]+)(#?)\}", lambda m: self.version(m[1]).removeprefix("v" if m[2] else ""), value
            )
            for name, value in self.stamps.items()
        }

    @property
    def key(self) -> str:
        """Names what is built: the same pins and flags give the same key."""
        digest = hashlib.sha256(f"{gobuild.TOOLCHAIN} {self.ldflags}".encode())
        for file in ("go.mod", "go.sum"):
            digest.update((self.folder / file).read_bytes())
        return digest.hexdigest()[:12]

    @property
    def built(self) -> Path:
        """The folder with the programs, once built."""
        return paths.CACHE / "programs" / f"{self.name}-{self.key}"

    def module_dir(self, module: str) -> Path:
        """Where the sources of a module that go.mod requires lie."""
        return gobuild.module_dir(self.folder, module)


KUBERNETES = Component(
    "kubernetes",
    {
        "k8s.io/component-base/version.gitVersion": "{k8s.io/kubernetes}",
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": "37",
        "k8s.io/client-go/pkg/version.gitVersion": "{k8s.io/kubernetes}",
        "github.com/argoproj/argo-cd/v3/common.version": "{github.com/argoproj/argo-cd/v3#}",
        "sigs.k8s.io/metrics-server/pkg/version.gitVersion": "{sigs.k8s.io/metrics-server}",
    },
)
CALICO = Component(
    "calico",
    {
        "main.VERSION": "{github.com/projectcalico/calico}",
        "github.com/projectcalico/calico/felix/buildinfo.GitVersion": "{github.com/projectcalico/calico}",
        "github.com/projectcalico/calico/node/buildinfo.GitVersion": "{github.com/projectcalico/calico}",
        "github.com/projectcalico/calico/node/pkg/lifecycle/startup.VERSION": "{github.com/projectcalico/calico}",
    },
    # The module's only version is a commit of the branch release-v3.28, some days after this release.
    {"github.com/projectcalico/calico": "v3.28.5"},
)
COMPONENTS = {
    component.name: component
    for component in (
        KUBERNETES,
        Component("etcd"),
        Component(
            "containerd",
            {"github.com/containerd/containerd/v2/version.Version": "{github.com/containerd/containerd/v2}"},
        ),
        Component("coredns"),
        CALICO,
        Component("local-path-provisioner"),
        Component("registry"),
        Component(
            "kustomize",
            {"sigs.k8s.io/kustomize/api/provenance.version": "{sigs.k8s.io/kustomize/kustomize/v5}"},
        ),
        Component("kubeconform"),
        Component("act"),
        Component("actionlint"),
        Component("gitleaks"),
    )
}


def owner(program: str) -> Component:
    """The component that builds `program`."""
    for component in COMPONENTS.values():
        if program in component.packages:
            return component
    raise KubestoreError(f"{program}: no go.mod under {MODULES} builds it")


def path(program: str) -> Path:
    """A built program. Raises `KubestoreError` when it has not been built yet."""
    found = owner(program).built / program
    if not found.exists():
        raise KubestoreError(
            f"{program} is not built yet", "run `make up`, or `kubestore build` to build only"
        )
    return found


def missing(names: list[str] | None = None) -> Iterator[Component]:
    """Components that are still to build, in order."""
    for name in names or COMPONENTS:
        if name not in COMPONENTS:
            raise KubestoreError(f"{name}: no such component", f"one of {', '.join(COMPONENTS)}")
        if not COMPONENTS[name].built.exists():
            yield COMPONENTS[name]


def build(names: list[str] | None = None) -> None:
    """Build what is missing; each component appears in the cache whole or not at all."""
    for component in missing(names):
        with ui.step(f"build {component.name}") as step, _alone(step):
            if component.built.exists():  # by the one that was waited for
                continue
            gobuild.ensure_toolchain(step)
            _build(component, step)


@contextlib.contextmanager
def _alone(step: ui.Step) -> Iterator[None]:
    """Hold the cache's programs, which instances share; what a killed build left half-made is removed."""
    folder = paths.CACHE / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise KubestoreError(
                        f"another process has held {folder} for {WAIT_S} s",
                        f"fuser -v {folder}/lock names it",
                    ) from error
            step.note("another process builds; waiting for it")
            time.sleep(0.2)
        step.note("")
        for partial in folder.glob("*.partial"):
            shutil.rmtree(partial, ignore_errors=True)
        yield


def _build(component: Component, step: ui.Step) -> None:
    target = component.built
    partial = target.with_name(f"{target.name}.partial")
    log = paths.CACHE / "logs" / f"build-{component.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    partial.mkdir(parents=True)
    try:
        gobuild.build(
            component.folder, list(component.packages.values()), component.ldflags, partial, log, step
        )
        for program, package in component.packages.items():
            (partial / produced_name(package)).rename(partial / program)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def environment() -> dict[str, str]:
    """PATH with every built program first, for people's shells and hooks."""
    folders = [str(component.built) for component in COMPONENTS.values() if component.built.exists()]
    return {"PATH": os.pathsep.join([*folders, str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
