"""Rules on Secrets and namespaces."""

from collections.abc import Iterator

from kubestore.manifests import kustomization
from kubestore.manifests.findings import Finding, dotted
from kubestore.manifests.objects import Obj, World
from kubestore.manifests.rules.registry import object_rule, rule

LEVELS = ("restricted", "baseline", "privileged")
ENFORCE = "pod-security.kubernetes.io/enforce"


@object_rule("secret-value", "no Secret has a value in Git", "Secret")
def secret_value(obj: Obj) -> Iterator[Finding]:
    if obj.generated:
        return  # `secret-generator` says it, at the generator
    for field in ("data", "stringData"):
        for key in obj.get(field) or {}:
            fix = "make it at bootstrap or by an ExternalSecret; change the value, which the history has now"
            yield obj.finding("secret-value", (field, key), "the value is in Git", fix)


@rule("secret-generator", "no Secret is generated from files")
def secret_generator(world: World) -> Iterator[Finding]:
    for folder in kustomization.find_all(world.root):
        made = kustomization.load(folder)
        if made is not None and made.document.data.get("secretGenerator"):
            file = str(made.file.relative_to(world.root))
            line = made.document.line_of(("secretGenerator",)) or 1
            fix = "make it at bootstrap, or by an ExternalSecret"
            yield Finding(
                file,
                line,
                "file",
                dotted(("secretGenerator",)),
                "its value is in Git",
                "secret-generator",
                fix,
            )


@object_rule("pod-security", "each namespace enforces a Pod Security level", "Namespace")
def pod_security(obj: Obj) -> Iterator[Finding]:
    level = obj.labels.get(ENFORCE)
    if level not in LEVELS:
        at = ("metadata", "labels", ENFORCE)
        yield obj.finding(
            "pod-security", at, f"is {level or 'missing'}", "set it to restricted if the pods can bear it"
        )
    elif level != "restricted":
        at = ("metadata", "labels", ENFORCE)
        what = f"{level} admits pods that `restricted` refuses"
        yield obj.finding("pod-security", at, what, "set it to restricted, or except it with the reason")
