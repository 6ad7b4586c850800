"""A copy of the store takes what it needs and nothing that would touch the real one."""

from typing import Any

from kubestore.prove import controls, twin


def store() -> dict[str, Any]:
    """A Deployment as kustomize renders it."""
    probe = {"httpGet": {"path": "/livez"}}
    container = {
        "name": "store", "image": "i", "lifecycle": {"preStop": {}}, "readinessProbe": probe,
        "startupProbe": probe, "livenessProbe": probe, "env": [{"name": "A", "value": "1"}],
    }  # fmt: skip
    spec = {"template": {"spec": {"containers": [container]}}}
    return {"kind": "Deployment", "metadata": {"name": "store", "namespace": "store"}, "spec": spec}


def test_a_copy_is_moved_with_its_own_redis_and_without_fixed_ports() -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    objects: list[dict[str, Any]] = [
        store(),
        {
            "kind": "ConfigMap",
            "metadata": {"name": "s", "annotations": {"a": "b"}},
            "data": {"H": "redis.redis.svc"},
        },
        {
            "kind": "Service",
            "metadata": {"name": "store"},
            "spec": {"ports": [{"port": 80, "nodePort": 30080}]},
        },
        {
            "kind": "StatefulSet",
            "metadata": {"name": "redis"},
            "spec": {"template": {"spec": {"volumes": [claim]}}},
        },
        {"kind": "PersistentVolumeClaim", "metadata": {"name": "data"}},
        {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "store"}},
    ]
    kept = {item["kind"]: item for item in twin.moved(objects, "kubestore-e2e-x")}
    assert set(kept) == {"Deployment", "ConfigMap", "Service", "StatefulSet"}
    assert {item["metadata"]["namespace"] for item in kept.values()} == {"kubestore-e2e-x"}
    assert kept["ConfigMap"]["data"]["H"] == "redis.kubestore-e2e-x.svc"
    assert kept["Service"]["spec"]["ports"] == [{"port": 80}]
    volume = kept["StatefulSet"]["spec"]["template"]["spec"]["volumes"][0]
    assert volume == {"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
    assert objects[2]["spec"]["ports"][0]["nodePort"] == 30080


def test_each_control_takes_one_protection_away() -> None:
    gone = {}
    for control in controls.CONTROLS:
        deployment = store()
        control.change(deployment)
        container = twin.container(deployment)
        gone[control.name] = sorted(set(twin.container(store())) - set(container))
        if control.name == "drain":
            env = {entry["name"]: entry["value"] for entry in container["env"]}
            assert env["GUNICORN_CMD_ARGS"] == "--graceful-timeout=0"
            assert env["STORE_DRAIN_FILE"] != "/tmp/draining"
    assert gone == {
        "nothing": [], "preStop": ["lifecycle"], "readiness": ["readinessProbe", "startupProbe"], "drain": [],
    }  # fmt: skip


def test_without_drain_must_fail_and_with_everything_must_not() -> None:
    assert {control.name: control.fails for control in controls.CONTROLS} == {
        "nothing": False, "preStop": None, "readiness": None, "drain": True,
    }  # fmt: skip
