"""Rendered charts are held against the project, our policies and the Secrets; each check has its control."""

import copy
from pathlib import Path
from typing import Any

import pytest

from kubestore.errors import KubestoreError
from kubestore.manifests import apiserver, charted, charts, objects, remotes, render
from kubestore.manifests.charts import Chart
from kubestore.paths import REPO

Object = dict[str, Any]


def deployment(name: str, port: int, secret: str = "grafana-admin") -> Object:
    """A Deployment as a chart makes one."""
    env = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": secret, "key": "admin-password"}}}]
    container = {"name": "c", "env": env, "ports": [{"name": "web", "containerPort": port}]}
    template = {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"template": template},
    }


def plain(kind: str, name: str, group: str = "monitoring.coreos.com/v1", **spec: Any) -> Object:
    """Any other object of a chart."""
    labels = {"app": name}
    metadata = {"name": name, "namespace": "monitoring", "labels": labels}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}


def good() -> list[Object]:
    """A small chart that bears every check: all pods that our policies mean, and a monitor of Grafana."""
    port = {"name": "http-web", "targetPort": "web"}
    names = {"kube-state-metrics": 8080, "kube-prometheus-stack-prometheus-operator": 8080}
    return [
        deployment("grafana", 3000),
        *(deployment(name, number) for name, number in names.items()),
        plain("Prometheus", "monitoring"),
        plain("Alertmanager", "monitoring"),
        plain("Service", "grafana", "v1", selector={"app.kubernetes.io/name": "grafana"}, ports=[port]),
        plain(
            "ServiceMonitor",
            "grafana",
            selector={"matchLabels": {"app": "grafana"}},
            endpoints=[{"port": "http-web"}],
        ),
    ]


@pytest.fixture(scope="module")
def base() -> Chart:
    """The Application `monitoring` of minikube, without a chart."""
    world = objects.world(REPO, render.build_all(REPO, remotes.gitconfig()))
    cluster = next(one for one in world.clusters if one.name == "minikube")
    application = next(one for one in cluster.applications if one.obj.name == "monitoring")
    return Chart(cluster, application, "kube-prometheus-stack", "1")


def rules(base: Chart, made: list[Object], second: list[Object] | None = None) -> set[str]:
    """The rules that find something in a chart that renders to `made`, and then to `second`."""
    chart = Chart(base.cluster, base.application, base.name, base.version, made)
    return {finding.rule for finding in charted.found(chart, made if second is None else second)}


def test_a_chart_that_fits_is_not_found_fault_with(base: Chart) -> None:
    assert rules(base, good()) == set()


def test_what_is_made_up_at_each_rendering_is_found(base: Chart) -> None:
    other = good()
    other[0]["spec"]["password"] = "random"
    assert rules(base, good(), other) == {"chart-stable"}


@pytest.mark.parametrize(
    "extra",
    [
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "grafana"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "kube-system"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "other"}},
    ],
    ids=["kind", "namespace", "name of a ClusterRole"],
)
def test_what_the_project_does_not_allow_is_found(base: Chart, extra: Object) -> None:
    assert rules(base, [*good(), extra]) == {"chart-project"}


def test_a_cluster_role_that_the_project_names_is_not_found(base: Chart) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "monitoring-prometheus"},
    }
    assert rules(base, [*good(), role]) == set()


def test_a_secret_that_nobody_makes_is_found(base: Chart) -> None:
    assert rules(base, [deployment("grafana", 3000, "other"), *good()[1:]]) == {"chart-secret"}


def test_a_policy_whose_pods_the_chart_calls_otherwise_is_found(base: Chart) -> None:
    made = copy.deepcopy(good())
    made[1]["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/name": "ksm"}
    assert rules(base, made) == {"chart-policy"}


def test_a_port_that_prometheus_may_not_reach_is_found(base: Chart) -> None:
    made = good()
    made[0] = deployment("grafana", 3001)
    assert rules(base, made) == {"chart-flow"}


@pytest.mark.skipif(not apiserver.built(), reason="kube-apiserver is not built; `make up` builds it")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_api_server_is_asked_about_each_object(base: Chart) -> None:
    builds = [render.build(REPO, REPO / "apps/namespaces/base", env=remotes.gitconfig())]
    fine, root, odd = (copy.deepcopy(pod(name)) for name in ("fine", "root", "odd"))
    root["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] = False
    odd["spec"]["template"]["spec"]["containers"][0]["imagePull"] = "Always"
    elsewhere = copy.deepcopy(root)
    elsewhere["metadata"]["namespace"] = "node-exporter"
    chart = Chart(base.cluster, base.application, base.name, base.version, [fine, root, odd, elsewhere])
    found = charted.refused(objects.world(REPO, builds), [chart])
    assert [(one.rule, one.what.split()[1]) for one in found] == [
        ("chart-pod-security", "monitoring/root"),
        ("chart-live", "monitoring/odd"),
    ]


def pod(name: str) -> Object:
    """A Deployment that the API server takes, and that `restricted` admits."""
    labels = {"app": name}
    rights = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    whole = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"name": "c", "image": "docker.io/a/b:1", "securityContext": rights}
    template = {
        "metadata": {"labels": labels},
        "spec": {"securityContext": whole, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def test_another_version_than_ours_is_refused(base: Chart, tmp_path: Path) -> None:
    folder = tmp_path / "kube-prometheus-stack"
    folder.mkdir()
    (folder / "Chart.yaml").write_text("version: 1.2.3\n")
    with pytest.raises(KubestoreError, match=r"1\.2\.3"):
        charts._place(base.application.charts[0], tmp_path)
    with pytest.raises(KubestoreError, match="has no chart"):
        charts._place(base.application.charts[0], folder)


@pytest.mark.parametrize(
    ("said", "code"), [("Error: chart version not found\nmore", 1), ("", 2)], ids=["told", "silent"]
)
def test_a_chart_that_does_not_render_is_one_line_and_a_hint(
    base: Chart, tmp_path: Path, said: str, code: int
) -> None:
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit {code}\n")
    helm.chmod(0o755)
    with pytest.raises(KubestoreError) as told:
        charts.defaults(base, None, str(helm))
    assert told.value.what.startswith("chart kube-prometheus-stack ")
    assert "\n" not in told.value.what
    assert "clusters/common" in told.value.hint


def test_without_helm_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KubestoreError, match="helm is not installed"):
        charts.helm()


def test_changes_name_what_was_left_out_added_and_changed() -> None:
    before, after = good()[:2], copy.deepcopy(good()[1:3])
    after[0]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = 1
    assert dict(charts.changes(before, after)) == {
        "Deployment monitoring/grafana": "left out",
        "Deployment monitoring/kube-prometheus-stack-prometheus-operator": "added",
        "Deployment monitoring/kube-state-metrics": (
            "spec.template.spec.containers.c.ports.web.containerPort"
        ),
    }
