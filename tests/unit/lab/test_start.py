"""A node that cannot start says so at once, and what a killed start left half-made is completed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import cgroups, network, node
from kubestore.run import Process, spawn

BRIDGE = """
from kubestore.instance import Instance
from kubestore.lab import network
from kubestore.run import run
instance = Instance("x", 5)
run(["ip", "link", "add", instance.bridge, "type", "bridge"])  # and here it was killed
for _ in range(2):
    network.ensure_bridge(instance)
print(run(["ip", "-json", "addr", "show", "dev", instance.bridge]).stdout)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> node.Node:
    """A node whose network and control group are thought to be there."""
    monkeypatch.setattr(paths, "STATE", tmp_path)
    monkeypatch.setattr(cgroups, "ensure", lambda _: None)
    monkeypatch.setattr(cgroups, "remove", lambda _: [])
    monkeypatch.setattr(network, "ensure_node", lambda *_: tmp_path / "net")
    monkeypatch.setattr(network, "remove_node", lambda *_: None)
    monkeypatch.setattr(node.Node, "_configure_containerd", lambda _: None)
    return node.Node(Instance("x", 5), 1)


def start_with(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `script` take the part of a node's first process."""

    def instead(_: object, *, log: Path, **__: object) -> Process:
        return spawn(["sh", "-c", script], log=log)

    monkeypatch.setattr(node, "spawn", instead)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_that_ends_at_once_is_told_with_its_last_line(
    made: node.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_with("echo mount: no such file system; exit 1", monkeypatch)
    began = time.monotonic()
    with pytest.raises(KubestoreError, match="node-1 ended at once: mount: no such file system") as caught:
        made.start()
    assert time.monotonic() - began < 5
    assert str(made.dir / "logs") in caught.value.hint


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_whose_containerd_is_silent_names_its_logs(
    made: node.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "START_S", 0.2)
    start_with("exec sleep 60", monkeypatch)
    with pytest.raises(KubestoreError, match="node-1: containerd: not within") as caught:
        made.start()
    assert str(made.dir / "logs") in caught.value.hint
    made.stop()


def test_a_bridge_that_was_left_without_its_address_gets_it() -> None:
    words = ["unshare", "--net", sys.executable, "-c", BRIDGE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace takes root")
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    held = [info["local"] for info in json.loads(done.stdout)[0]["addr_info"] if info["family"] == "inet"]
    assert held == [Instance("x", 5).host_ip]
