"""Rules on what runs: probes, roll-outs, resources, rights and images."""

import re
from collections.abc import Iterator
from typing import Any

from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj, Where
from kubestore.manifests.rules.registry import object_rule

SERVING = ("Deployment", "StatefulSet", "DaemonSet")
PODS = (*SERVING, "Job", "CronJob", "Pod")
LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/part-of")
DEFAULT_GRACE_S = 30
OWN_IMAGE = re.compile(r"/kubestore-store(?=[:@]|$)")


def _host(obj: Obj) -> tuple[Where, Any]:
    assert obj.pod_path is not None
    return (*obj.pod_path, "spec"), obj.pod


@object_rule("probes", "each container that serves has a readiness and a liveness probe", *SERVING)
def probes(obj: Obj) -> Iterator[Finding]:
    for path, container in obj.containers(init=False):
        for name in ("readinessProbe", "livenessProbe"):
            if container.get("ports") and name not in container:
                what = "is missing: nobody would know that the container hangs or is not ready"
                yield obj.finding("probes", (*path, name), what, f"add a {name}")


@object_rule("probes-differ", "liveness asks another question than readiness", *SERVING)
def probes_differ(obj: Obj) -> Iterator[Finding]:
    for path, container in obj.containers(init=False):
        ready, alive = (_question(container.get(name)) for name in ("readinessProbe", "livenessProbe"))
        if ready and ready == alive:
            what = "asks the same as readiness, so that a missing dependency restarts the container"
            yield obj.finding(
                "probes-differ", (*path, "livenessProbe"), what, "ask for the process alone, as /livez does"
            )


def _question(probe: dict[str, Any] | None) -> object:
    return (
        {key: probe[key] for key in ("httpGet", "exec", "tcpSocket", "grpc") if key in probe}
        if probe
        else None
    )


@object_rule("rollout", "a roll-out takes no pod away before the next one is ready", "Deployment")
def rollout(obj: Obj) -> Iterator[Finding]:
    if obj.get("spec", "strategy", "type") == "Recreate":
        return
    path = ("spec", "strategy", "rollingUpdate", "maxUnavailable")
    if str(obj.get(*path, default="25%")) not in ("0", "0%"):
        yield obj.finding("rollout", path, "pods may be missing during a roll-out", "set it to 0")


@object_rule("grace-period", "the grace period is longer than preStop", *SERVING)
def grace_period(obj: Obj) -> Iterator[Finding]:
    path, pod = _host(obj)
    grace = pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
    for _, container in obj.containers(init=False):
        pause = _pause(container.get("lifecycle", {}).get("preStop", {}))
        if pause >= grace:
            what = f"{grace} s end while preStop still sleeps for {pause} s"
            fix = "make it longer than preStop and the drain together"
            yield obj.finding("grace-period", (*path, "terminationGracePeriodSeconds"), what, fix)


def _pause(hook: dict[str, Any]) -> float:
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds", 0))
    words = " ".join(str(word) for word in hook.get("exec", {}).get("command", []))
    return sum(float(seconds) for seconds in re.findall(r"\bsleep (\d+(?:\.\d+)?)", words))


@object_rule("requests", "each container requests CPU and memory, and has a limit of memory", *PODS)
def requests(obj: Obj) -> Iterator[Finding]:
    for path, container in obj.containers():
        resources = container.get("resources") or {}
        for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if name not in (resources.get(kind) or {}):
                at = (*path, "resources", kind, name)
                yield obj.finding("requests", at, "is missing", "set it from measurement")


@object_rule("security-context", "what `restricted` asks for, and a read-only root", *PODS)
def security_context(obj: Obj) -> Iterator[Finding]:
    _, pod = _host(obj)
    whole = pod.get("securityContext") or {}
    for path, container in obj.containers():
        own = {**whole, **(container.get("securityContext") or {})}
        for field, wanted, good in (
            ("runAsNonRoot", "true", own.get("runAsNonRoot") is True),
            ("runAsUser", "a number above 0", isinstance(own.get("runAsUser"), int) and own["runAsUser"] > 0),
            (
                "seccompProfile",
                "RuntimeDefault",
                (own.get("seccompProfile") or {}).get("type") == "RuntimeDefault",
            ),
            ("allowPrivilegeEscalation", "false", own.get("allowPrivilegeEscalation") is False),
            ("capabilities", "drop: [ALL]", "ALL" in ((own.get("capabilities") or {}).get("drop") or [])),
            ("readOnlyRootFilesystem", "true", own.get("readOnlyRootFilesystem") is True),
        ):
            if not good:
                at = (*path, "securityContext", field)
                yield obj.finding("security-context", at, f"is not {wanted}", f"set it to {wanted}")


@object_rule("host-access", "no pod reaches into its node", *PODS)
def host_access(obj: Obj) -> Iterator[Finding]:
    at, pod = _host(obj)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield obj.finding("host-access", (*at, name), "shares it with the node", "remove it")
    for index, volume in enumerate(pod.get("volumes") or []):
        if "hostPath" in volume:
            fix = "use a claim, a ConfigMap or an emptyDir"
            yield obj.finding(
                "host-access", (*at, "volumes", index, "hostPath"), "is a folder of the node", fix
            )
    for path, container in obj.containers():
        context = container.get("securityContext") or {}
        if context.get("privileged"):
            yield obj.finding(
                "host-access", (*path, "securityContext", "privileged"), "is root on the node", "remove it"
            )
        if added := (context.get("capabilities") or {}).get("add"):
            what = f"adds {', '.join(added)}"
            yield obj.finding(
                "host-access", (*path, "securityContext", "capabilities", "add"), what, "remove it"
            )
        for index, port in enumerate(container.get("ports") or []):
            if "hostPort" in port:
                at_port = (*path, "ports", index, "hostPort")
                yield obj.finding(
                    "host-access", at_port, "takes a port of the node", "publish it by a Service"
                )


@object_rule("token", "no service-account token where no account is used", *PODS)
def token(obj: Obj) -> Iterator[Finding]:
    path, pod = _host(obj)
    if pod.get("automountServiceAccountToken") is not False and not pod.get("serviceAccountName"):
        at = (*path, "automountServiceAccountToken")
        yield obj.finding("token", at, "mounts the token of the account `default`", "set it to false")


@object_rule("image-pinned", "each image names its registry and an exact version", *PODS)
def image_pinned(obj: Obj) -> Iterator[Finding]:
    for path, container in obj.containers():
        image = str(container.get("image", ""))
        name, _, digest = image.partition("@")
        host = name.partition("/")[0]
        tag = name.rpartition("/")[2].partition(":")[2]
        if "." not in host and ":" not in host:
            fix = "write its registry too, such as docker.io/library/…"
            yield obj.finding(
                "image-pinned", (*path, "image"), f"{image} does not say from which registry", fix
            )
        if not digest and (not tag or tag in ("latest", "stable", "main", "edge")):
            yield obj.finding(
                "image-pinned", (*path, "image"), f"{image} may change under us", "name an exact version"
            )


@object_rule("image-released", "our own image is named by tag and digest once it is released", *PODS)
def image_released(obj: Obj) -> Iterator[Finding]:
    for path, container in obj.containers():
        image = str(container.get("image", ""))
        if not OWN_IMAGE.search(image):
            continue
        if "@sha256:" not in image and not image.endswith(":unreleased"):
            yield obj.finding(
                "image-released", (*path, "image"), f"{image} has no digest", "let `kubestore bump` write it"
            )
        if "OWNER" in image:
            what = "nobody put the image's owner in"
            fix = "list ../../image-owner under `transformers:` of the overlay"
            yield obj.finding("image-released", (*path, "image"), what, fix)


@object_rule("labels", "pods carry name, component and part-of", *PODS)
def labels(obj: Obj) -> Iterator[Finding]:
    assert obj.pod_path is not None
    for label in LABELS:
        if label not in obj.pod_labels:
            at = (*obj.pod_path, "metadata", "labels", label)
            yield obj.finding("labels", at, "is missing", "add it by `labels:` with includeTemplates")


@object_rule("job-deadline", "a Job, or a pod of its own, ends one way or the other", "Job", "Pod")
def job_deadline(obj: Obj) -> Iterator[Finding]:
    seconds = obj.get("spec", "activeDeadlineSeconds", default=0)
    if not 0 < seconds <= 600:
        what = f"a {obj.kind.kind} that never ends holds every later sync"
        yield obj.finding("job-deadline", ("spec", "activeDeadlineSeconds"), what, "set it, at most 600")
