"""Nodes: how many there may be, which is meant, and what is refused before anything is touched."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import calico, lifecycle, nodes, workers
from kubestore.lab.node import Node, fill
from kubestore.lab.nodeverbs import node as verb

VOLUME = {
    "spec": {
        "claimRef": {"namespace": "redis", "name": "data"},
        "nodeAffinity": {
            "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "host", "values": ["node-2"]}]}]}
        },
    }
}


class Told(Kubectl):
    """A cluster of nodes that are Ready, as kubectl would tell it; nothing else may be asked."""

    def __init__(self, *names: str, cordoned: str = "", volumes: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(Path("none"))
        self.ran: list[tuple[str, ...]] = []
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.nodes = [
            {"metadata": {"name": n}, "spec": {"unschedulable": n == cordoned}, "status": ready}
            for n in names
        ]
        self.volumes = list(volumes)

    def json(self, *args: str | Path, timeout: float = 60) -> Any:
        return {"items": {"nodes": self.nodes, "persistentvolumes": self.volumes}[str(args[1])]}

    def run(self, *args: str | Path, input: str | None = None, timeout: float = 60) -> str:
        self.ran.append(tuple(map(str, args)))
        return ""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(paths, "STATE", tmp_path)
    monkeypatch.setenv("KUBESTORE_INSTANCE", "unit")
    made = Instance.current()
    made.create()
    return made


def having(instance: Instance, *numbers: int) -> None:
    for number in numbers:
        Node(instance, number).dir.mkdir(parents=True)


def told(monkeypatch: pytest.MonkeyPatch, cluster: Told) -> Told:
    monkeypatch.setattr(workers, "reachable", lambda _: cluster)
    return cluster


def free(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(nodes, "available_gib", lambda: gib)


def test_one_node_by_default_and_later_as_many_as_there_are(instance: Instance) -> None:
    assert nodes.count(instance, None) == 1
    having(instance, 1, 2, 10)
    assert nodes.count(instance, None) == 3
    assert [node.name for node in nodes.existing(instance)] == ["node-1", "node-2", "node-10"]


def test_more_nodes_take_the_lowest_free_numbers(instance: Instance) -> None:
    having(instance, 1, 3)
    assert nodes.workers(instance, 2) == [3]
    assert nodes.workers(instance, 4) == [2, 3, 4]


@pytest.mark.parametrize("wanted", [0, -1])
def test_a_cluster_without_nodes_is_refused(instance: Instance, wanted: int) -> None:
    with pytest.raises(KubestoreError, match=f"--nodes {wanted}: a cluster has at least one node"):
        lifecycle.up(instance, wanted=wanted)


def test_up_takes_no_node_away(instance: Instance) -> None:
    having(instance, 1, 2, 3)
    with pytest.raises(KubestoreError, match="--nodes 2: instance unit has 3") as caught:
        nodes.count(instance, 2)
    assert "kubestore node remove node-3" in caught.value.hint


def test_more_nodes_than_free_memory_allows_are_refused(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1.0)
    with pytest.raises(KubestoreError, match=r"2 more nodes need 1\.2 GiB of memory, 1\.0 GiB are free"):
        nodes.count(instance, 3)
    free(monkeypatch, 1.3)
    assert nodes.count(instance, 3) == 3


def test_nodes_that_are_there_need_no_more_memory(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    having(instance, 1, 2, 3)
    free(monkeypatch, 0.1)
    assert nodes.count(instance, 3) == 3


def test_more_nodes_than_addresses_are_refused(instance: Instance) -> None:
    with pytest.raises(KubestoreError, match="room for 16 nodes"):
        nodes.count(instance, 17)


@pytest.mark.parametrize("name", ["node-0", "node-02", "worker-2", "node-", "2", "node--2"])
def test_a_name_that_is_no_nodes_is_refused(name: str) -> None:
    with pytest.raises(KubestoreError, match="not a node's name"):
        nodes.number_of(name)


def test_a_node_is_not_added_twice(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    having(instance, 1, 2)
    told(monkeypatch, Told("node-1", "node-2"))
    with pytest.raises(KubestoreError, match="node-2 is there already"):
        workers.add(instance, "node-2")


@pytest.mark.parametrize("what", ["remove", "stop", "start", "drain"])
def test_an_unknown_node_is_named_with_those_there_are(instance: Instance, what: str) -> None:
    having(instance, 1, 2)
    done = CliRunner().invoke(verb, [what, "node-7"])
    assert isinstance(done.exception, KubestoreError)
    assert done.exception.what == "node-7: no such node"
    assert done.exception.hint == "instance unit has node-1, node-2"


def test_the_only_control_plane_is_stopped_by_force_alone(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    having(instance, 1)
    stopped: list[str] = []
    monkeypatch.setattr(Node, "stop", lambda self: stopped.append(self.name))
    with pytest.raises(KubestoreError, match="only control plane") as caught:
        workers.stop(instance, "node-1")
    assert "--force" in caught.value.hint
    assert not stopped
    workers.stop(instance, "node-1", force=True)
    assert stopped == ["node-1"]


def test_a_node_with_data_is_drained_by_force_alone(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    having(instance, 1, 2)
    cluster = told(monkeypatch, Told("node-1", "node-2", volumes=(VOLUME,)))
    with pytest.raises(KubestoreError, match="node-2 holds the data of redis/data"):
        workers.drain(instance, "node-2")
    with pytest.raises(KubestoreError, match="which would be lost"):
        workers.remove(instance, "node-2")
    assert not cluster.ran
    workers.drain(instance, "node-2", force=True)
    assert cluster.ran[0][:2] == ("drain", "node-2")


@pytest.mark.parametrize("cluster", [Told("node-1"), Told("node-1", "node-2", cordoned="node-2")])
def test_the_only_node_that_takes_pods_is_not_drained(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, cluster: Told
) -> None:
    having(instance, 1, 2)
    told(monkeypatch, cluster)
    with pytest.raises(KubestoreError, match="only node that takes pods"):
        workers.drain(instance, "node-1")
    assert not cluster.ran


def test_the_control_plane_is_not_removed(instance: Instance) -> None:
    having(instance, 1)
    with pytest.raises(KubestoreError, match="node-1 is the control plane"):
        workers.remove(instance, "node-1", force=True)


def test_nodes_of_a_cluster_that_is_down_are_listed_as_stopped(instance: Instance) -> None:
    having(instance, 1, 2)
    rows = nodes.listing(instance)
    assert [row[:4] for row in rows] == [
        ["node-1", "control plane", "stopped", "unknown"], ["node-2", "worker", "stopped", "unknown"],
    ]  # fmt: skip


def test_a_cluster_that_is_down_is_not_changed(instance: Instance) -> None:
    having(instance, 1)
    with pytest.raises(KubestoreError, match="instance unit is not up"):
        workers.add(instance)


def test_what_a_worker_joins_with_is_the_first_nodes_answer() -> None:
    values = {"endpoint": "198.18.0.11:6443", "token": "a.b", "hash": "sha256:00", "node_name": "node-2",
              "node_ip": "198.18.0.12"}  # fmt: skip
    joined = yaml.safe_load(fill("kubeadm-join.yaml", values))
    assert joined["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "198.18.0.11:6443", "token": "a.b", "caCertHashes": ["sha256:00"],
    }  # fmt: skip
    assert joined["nodeRegistration"]["name"] == "node-2"


def test_calico_enforces_policies_and_nothing_else_of_it_is_left(instance: Instance) -> None:
    objects = [item for item in yaml.safe_load_all(calico.render(instance)) if item]
    workloads = {
        item["metadata"]["name"]: item for item in objects if item["kind"] in ("DaemonSet", "Deployment")
    }
    assert list(workloads) == ["calico-node"]
    assert not [item for item in objects if "typha" in item["metadata"]["name"]]
    spec = workloads["calico-node"]["spec"]["template"]["spec"]
    container = spec["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["CALICO_IPV4POOL_CIDR"] == str(instance.pods)
    assert env["CALICO_NETWORKING_BACKEND"] == "none"
    assert env["FELIX_IPTABLESBACKEND"] == "NFT"
    assert container["livenessProbe"].get("exec") is None
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    mounted |= {mount["name"] for init in spec["initContainers"] for mount in init["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    role = next(
        i for i in objects if i["kind"] == "ClusterRole" and i["metadata"]["name"] == "calico-cni-plugin"
    )
    assert any("clusterinformations" in rule["resources"] for rule in role["rules"])
