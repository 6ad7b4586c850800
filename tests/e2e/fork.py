"""A fork and a cluster of "somebody's own" for the proof of `--cluster current`.

The cluster is an embedded one without Argo CD; its registry answers the images' public names, its forge plays the
fork's host and has mirrors of the upstream manifests. What a laptop's cluster brings and this one does not (a default
StorageClass, a way to GitHub) is put there before.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubestore import paths
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import programs
from kubestore.release.bump import named, overlay, written
from kubestore.run import run

ENVIRONMENT = "minikube"
CLUSTER = Path("clusters") / ENVIRONMENT
MIRRORS = Path(__file__).parent / "current" / "mirrors.yaml"
REWRITE = re.compile(r'\[url "(?P<to>[^"]+)"\]\n((?:\tinsteadOf = \S+\n)+)')


@dataclass(frozen=True)
class Fork:
    """A clone of the forge's main, adopted for its own host."""

    folder: Path
    instance: Instance
    # Applications that cannot be there: name -> why.
    excepted: dict[str, str]

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a person who works in the fork, with the cluster as the current context."""
        return {
            **programs.environment(),
            "PYTHONPATH": f"{self.folder / 'tools'}:{self.folder / 'app-src'}",
            "KUBECONFIG": str(self.instance.kubeconfig),
            "KUBESTORE_INSTANCE": self.instance.name,
            "GIT_CONFIG_GLOBAL": str(self.instance.dir / "gitconfig"),
            **more,
        }

    def kubestore(self, *words: str, timeout: float = 600, **env: str) -> subprocess.CompletedProcess[str]:
        """`kubestore …` in the fork, with nobody at the keyboard."""
        command = [sys.executable, "-m", "kubestore", *words]
        return run(command, cwd=self.folder, env=self.env(**env), input="", timeout=timeout, check=False)

    def applications(self) -> set[str]:
        """Names of the Applications that the fork's cluster lists."""
        return {str(item["metadata"]["name"]) for item in listed(self.folder).values()} | {"root"}


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """File -> Application of what clusters/minikube lists."""
    resources = yaml.safe_load((folder / CLUSTER / "kustomization.yaml").read_text())["resources"]
    found = {}
    for name in resources:
        file = folder / CLUSTER / name
        if file.is_file() and file.suffix == ".yaml":
            item = yaml.safe_load(file.read_text())
            if item["kind"] == "Application":
                found[name] = item
    return found


# Applications of images that no Go module and no Debian package makes.
PULLED = {"redis-exporter": "its image cannot be pulled here: docker.io/oliver006/redis_exporter"}


def sources(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Where an Application comes from."""
    return [item["spec"].get("source", {}), *item["spec"].get("sources", [])]


def charts(item: dict[str, Any]) -> list[str]:
    """Charts that an Application takes from a repository of charts."""
    return [str(one["chart"]) for one in sources(item) if "chart" in one]


def prepare(instance: Instance) -> None:
    """A default StorageClass, and the mirrors in place of GitHub."""
    kubectl = Kubectl(instance.kubeconfig)
    apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=laptop"]
    config = instance.dir / "gitconfig"
    rendered = run(
        [programs.path("kustomize"), "build", paths.REPO / "apps/storage/overlays/embedded"],
        env={"GIT_CONFIG_GLOBAL": str(config)}, timeout=120,
    ).stdout  # fmt: skip
    kubectl.run(*apply, "-f", "-", input=rendered)
    kubectl.run("rollout", "status", "-n", "local-path-storage", "deployment", "--timeout=120s", timeout=130)
    kubectl.run(*apply, "-f", "-", input=MIRRORS.read_text().replace("@env@", variables(config.read_text())))


def variables(gitconfig: str) -> str:
    """The rewrites of a git configuration as environment variables, written in CEL."""
    pairs = [
        (f"url.{match['to']}.insteadOf", line.partition("= ")[2])
        for match in REWRITE.finditer(gitconfig)
        for line in match[2].strip().splitlines()
    ]
    texts = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        texts |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return ", ".join(f'Object.spec.containers.env{{name: "{k}", value: "{v}"}}' for k, v in texts.items())


def make(instance: Instance, folder: Path) -> Fork:
    """Clone, adopt, release, push: what the owner of a fork does, on the host that this forge is."""
    run(["git", "clone", "--quiet", instance.forge_url, folder], timeout=120)
    excepted = {}
    kustomization = folder / CLUSTER / "kustomization.yaml"
    for name, item in listed(folder).items():
        application, lacking = str(item["metadata"]["name"]), charts(item)
        why = f"its chart cannot be pulled here: {', '.join(lacking)}" if lacking else PULLED.get(application)
        if why:
            excepted[application] = why
            kustomization.write_text(kustomization.read_text().replace(f"  - {name}\n", ""))
            # The fork's own checks refuse files that nothing lists.
            (folder / CLUSTER / name).unlink()
            for path in (one["path"] for one in sources(item) if "path" in one):
                shutil.rmtree(folder / path)
    fork = Fork(folder, instance, excepted)
    _adopt(folder, instance.forge_url)
    return fork


def _adopt(folder: Path, url: str) -> None:
    """`kubestore adopt` takes https only; the forge speaks http, on a network of its own."""
    file = folder / "apps/repository/configmap.yaml"
    file.write_text(re.sub(r"(?m)^  url: .*$", f"  url: {url}", file.read_text()))


def release(fork: Fork) -> str:
    """Build and push the store's image, name it for the cluster, push; returns what is named."""
    registry = {"KUBESTORE_REGISTRY": fork.instance.registry, "KUBESTORE_REGISTRY_PLAIN_HTTP": "1"}
    for verb in ("build", "push"):
        done = fork.kubestore("image", verb, **registry)
        assert done.returncode == 0, done.stderr
    image = done.stdout.strip()
    file = fork.folder / overlay(ENVIRONMENT)
    old = named(file.read_text(), file)
    file.write_text(written(file.read_text(), image))
    push(fork, f"deploy({ENVIRONMENT}): store {old} -> {image[:12]}")
    return image


def push(fork: Fork, message: str) -> None:
    """Commit everything and push it to the fork's main."""
    who = ["-c", "user.name=t", "-c", "user.email=t@kubestore.test", "-c", "commit.gpgsign=false"]
    run(["git", *who, "commit", "--quiet", "--all", "--message", message], cwd=fork.folder)
    run(["git", "push", "--quiet", "origin", "HEAD:main"], cwd=fork.folder, timeout=180)


def limited(fork: Fork, folder: Path) -> Path:
    """A kubeconfig whose current context may only look."""
    kubectl = Kubectl(fork.instance.kubeconfig)
    kubectl.run("create", "serviceaccount", "guest", "-n", "default")
    kubectl.run(
        "create", "clusterrolebinding", "guest", "--clusterrole=view", "--serviceaccount=default:guest"
    )
    token = kubectl.run("create", "token", "guest", "-n", "default").strip()
    target = folder / "guest"
    target.touch(mode=0o600)
    target.write_text(fork.instance.kubeconfig.read_text())
    config = [programs.path("kubectl"), "--kubeconfig", target, "config"]
    cluster = kubectl.run("config", "view", "-o", "jsonpath={.clusters[0].name}")
    run([*config, "set-credentials", "guest", f"--token={token}"])
    run([*config, "set-context", "guest", f"--cluster={cluster}", "--user=guest"])
    run([*config, "use-context", "guest"])
    return target


def up_without_argocd(name: str) -> Instance:
    """An embedded cluster of its own, empty."""
    os.environ["KUBESTORE_INSTANCE"] = name
    env = {"PYTHONPATH": f"{paths.REPO / 'tools'}:{paths.REPO / 'app-src'}", "KUBESTORE_INSTANCE": name}
    run([sys.executable, "-m", "kubestore", "up", "--without-argocd"], cwd=paths.REPO, env=env, timeout=590)
    return Instance.current()
