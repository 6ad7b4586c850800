"""`down` leaves nothing on the machine; `up` again is warm and has the data. Runs last."""

import json
import os
import time
from pathlib import Path

import pytest

from kubestore import paths
from kubestore.instance import Instance
from kubestore.lab import cgroups, network, nodes
from kubestore.prove import ledger
from kubestore.prove.cluster import Cluster
from kubestore.prove.writes import Witness
from kubestore.run import run
from tests.e2e.steps import figure, then, when

pytestmark = pytest.mark.e2e

WARM = 180.0


def command(pid: str) -> str:
    """A process's command line, or nothing."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def leftovers(instance: Instance, groups: list[str], sysctls: dict[str, str]) -> list[str]:
    """What `down` should have taken away, each with its kind."""
    ours = (str(instance.dir), f"{instance.node_network}".rpartition(".")[0] + ".")
    skip = {str(os.getpid()), str(os.getppid())}
    found = [
        f"process {pid}: {command(pid)[:80]}"
        for pid in os.listdir("/proc")
        if pid.isdigit() and pid not in skip and any(word in command(pid) for word in ours)
    ]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line.split()[1]}" for line in mounts if str(instance.dir) in line]
    links = [link["ifname"] for link in json.loads(run(["ip", "-json", "link"]).stdout)]
    found += [f"link {name}" for name in links if name == instance.bridge]
    spaces = run(["ip", "netns", "list"], check=False).stdout.split()
    own = {network.netns(instance, number) for number in range(1, instance.most_nodes + 1)}
    found += [f"network namespace {name}" for name in spaces if name in own]
    routes = run(["ip", "route", "show", "table", "all"]).stdout.splitlines()
    found += [f"route {line}" for line in routes if ours[1] in line]
    rules = run(["nft", "list", "ruleset"], check=False).stdout + run(["iptables-save"], check=False).stdout
    found += [f"firewall rule {line.strip()}" for line in rules.splitlines() if ours[1] in line]
    found += [f"cgroup {path}" for path in groups if Path(path).exists()]
    for name, value in sysctls.items():
        now = (Path("/proc/sys") / name).read_text().strip()
        found += [f"sysctl {name} is {now}, was {value}"] if now != value else []
    return found


def test_down_leaves_nothing_and_up_again_has_the_data(cluster: Cluster, instance: Instance) -> None:
    witness = Witness(instance.store_url, rate=50)
    with witness:
        time.sleep(4)
    assert witness.account.acknowledged > 50
    groups = [str(root / node.cgroup) for root in cgroups.hierarchies() for node in nodes.existing(instance)]
    file = instance.dir / "sysctls.json"
    sysctls = json.loads(file.read_text()) if file.exists() else {}
    kubestore = [os.sys.executable, "-m", "kubestore"]
    env = {"PYTHONPATH": str(paths.REPO / "tools")}
    with when("the cluster goes down", 90):
        run([*kubestore, "down"], env=env, timeout=120)
    try:
        with then("nothing is left on the machine", 10):
            left = leftovers(instance, groups, sysctls)
            assert not left, left
    finally:
        with when("it comes up again, warm", WARM):
            began = time.monotonic()
            run([*kubestore, "up"], env=env, timeout=400)
            seconds = time.monotonic() - began
    with then("everything is Synced and Healthy and has the data", 90):
        again = Cluster(instance)
        again.settled(90)
        again.api.close()
        account = witness.close(60)
        assert account.lost == 0, account
    figure("down, then warm up", f"{seconds:.1f} s", 1, "<= 180 s")
    figure("writes lost over down and up", account.lost, account.acknowledged, "0")
    ledger.record("down-up", True, 1, {"warm_up_s": round(seconds, 1), "lost": account.lost})
