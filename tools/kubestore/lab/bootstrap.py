"""From an empty cluster to Argo CD following Git: all that is ever applied by hand."""

import shutil
from typing import Any

from kubestore import http, paths, ui, wait
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import programs, secrets
from kubestore.lab.forge import Forge
from kubestore.lab.forge.mirrors import PUBLIC
from kubestore.run import run

# Upstream manifests: name -> (component, module, folders). Their tag is the module's version.
UPSTREAM = {
    "argo-cd": ("kubernetes", "github.com/argoproj/argo-cd/v3", ["manifests"]),
    "metrics-server": ("kubernetes", "sigs.k8s.io/metrics-server", ["manifests"]),
    "local-path-provisioner": (
        "local-path-provisioner", "github.com/rancher/local-path-provisioner", ["deploy"]
    ),
}  # fmt: skip
FIELD_MANAGER = "argocd-controller"


def forge(instance: Instance) -> Forge:
    """Start the forge with mirrors of the upstream manifests, and give it the checkout's history."""
    made = Forge(instance)
    with ui.step("forge: git, registry, pipeline runner"):
        made.start()
    return made


def sources(made: Forge) -> None:
    """Mirrors of the upstream manifests and the checkout itself, in the forge."""
    with ui.step("forge: manifests and repository") as step:
        for name, (component, module, folders) in UPSTREAM.items():
            step.note(name)
            pinned = programs.COMPONENTS[component]
            made.mirror(name, pinned.module_dir(module), pinned.version(module), PUBLIC[name], folders)
        made.write_gitconfig()
        step.note("")
        made.seed(paths.REPO)


def render(instance: Instance, folder: str) -> str:
    """A kustomization of the forge's main, rendered on this machine."""
    checkout = instance.dir / "bootstrap"
    config = {"GIT_CONFIG_GLOBAL": str(instance.dir / "gitconfig")}
    # Made anew each time: a clone that was killed half-way would never mend itself.
    shutil.rmtree(checkout, ignore_errors=True)
    run(["git", "clone", "--quiet", "--depth=1", instance.forge_url, checkout], env=config, timeout=120)
    return run([programs.path("kustomize"), "build", checkout / folder], env=config, timeout=120).stdout


def argocd(instance: Instance, kubectl: Kubectl) -> None:
    """Namespaces and Secrets, then Argo CD with the root Application, by server-side apply."""
    with ui.step("Argo CD") as step:
        apply = ["apply", "--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "-f", "-"]
        kubectl.run(*apply, input=render(instance, "apps/namespaces/base"))
        secrets.ensure(instance, kubectl)
        manifests = render(instance, "clusters/embedded/bootstrap")
        documents = manifests.split("\n---\n")
        crds = [text for text in documents if "\nkind: CustomResourceDefinition\n" in f"\n{text}\n"]
        kubectl.run(*apply, input="\n---\n".join(crds), timeout=120)
        established = ["wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=argocd"]
        wait.until(lambda: kubectl.run(*established), "Argo CD's resource definitions", 30)
        kubectl.run(*apply, input=manifests, timeout=180)
        for kind in ("deployment/argocd-repo-server", "statefulset/argocd-application-controller"):
            step.note(kind.partition("/")[2])
            kubectl.run("rollout", "status", "-n", "argocd", kind, "--timeout=240s", timeout=250)


def applications(kubectl: Kubectl) -> list[dict[str, Any]]:
    """Argo CD's Applications as the API server has them."""
    items: list[dict[str, Any]] = kubectl.json("get", "applications.argoproj.io", "-n", "argocd")["items"]
    return items


def summary(application: dict[str, Any]) -> dict[str, str]:
    """Name, sync, health and revision of one Application."""
    status = application.get("status", {})
    sync = status.get("sync", {})
    return {
        "name": application["metadata"]["name"],
        "sync": sync.get("status", "Unknown"),
        "health": status.get("health", {}).get("status", "Unknown"),
        "revision": sync.get("revision", ""),
    }


def complaints(application: dict[str, Any]) -> list[str]:
    """What Argo CD says is wrong with one Application."""
    status = application.get("status", {})
    said = [c["message"] for c in status.get("conditions", []) if c["type"].endswith("Error")]
    operation = status.get("operationState", {})
    if operation.get("phase") in ("Failed", "Error"):
        said.append(operation.get("message", ""))
    return [f"{application['metadata']['name']}: {text[:300]}" for text in said]


def unready(items: list[dict[str, Any]]) -> str:
    """Which Applications are not Synced and Healthy, and what Argo CD says of it; empty when all are."""
    rows = [summary(application) for application in items]
    late = [row for row in rows if (row["sync"], row["health"]) != ("Synced", "Healthy")]
    reasons = [text for application in items for text in complaints(application)] if late else []
    return "; ".join([", ".join(f"{row['name']} {row['sync']}/{row['health']}" for row in late), *reasons])


def look_again(kubectl: Kubectl, items: list[dict[str, Any]]) -> None:
    """Have Argo CD compare anew what it could not compare: by itself it would wait for minutes.

    The first comparison often comes before the repo server answers.
    """
    for application in items:
        conditions = application.get("status", {}).get("conditions", [])
        if any(condition["type"] == "ComparisonError" for condition in conditions):
            name = application["metadata"]["name"]
            refresh = ["argocd.argoproj.io/refresh=normal", "--overwrite"]
            kubectl.run("annotate", "applications.argoproj.io", "-n", "argocd", name, *refresh)


HINT = "kubestore argocd app get NAME tells more; make up goes on from here"


def converge(kubectl: Kubectl, timeout: float = 300, hint: str = HINT) -> None:
    """Wait until every Application that Git names is Synced and Healthy."""
    with ui.step("applications Synced and Healthy") as step:

        def check() -> bool:
            items = applications(kubectl)
            step.note(unready(items))
            look_again(kubectl, items)
            return not step.detail and len(items) > 1

        try:
            wait.until(check, "applications", timeout, every=2, last=lambda: step.detail)
        except KubestoreError as error:
            raise KubestoreError(error.what, hint) from error


def store_answers(instance: Instance, timeout: float = 60) -> None:
    """Wait until the store answers through the node's port."""
    with ui.step("the store answers"):
        wait.until(lambda: http.get(f"{instance.store_url}/readyz").status == 200, "store", timeout)
