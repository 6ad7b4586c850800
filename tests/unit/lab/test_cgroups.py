"""What a control group used, read from either layout of the kernel's files."""

from pathlib import Path

import pytest

from kubestore.lab import cgroups


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V1 = {
    "cpuacct/node/cpuacct.usage": "2500000000\n",
    "memory/node/memory.usage_in_bytes": "1000\n",
    "memory/node/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
}
V2 = {
    "cgroup.controllers": "cpu memory\n",
    "node/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    "node/memory.current": "1000\n",
    "node/memory.stat": "inactive_file 300\n",
}


@pytest.mark.parametrize("files", [V1, V2], ids=["v1", "v2"])
def test_usage_is_seconds_and_the_working_set(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, files)
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    assert cgroups.usage("node") == (2.5, 700)


@pytest.mark.parametrize(("file", "weight"), [("cpu.shares", "8192"), ("cpu.weight", "800")])
def test_a_node_outweighs_a_process_of_the_host(
    file: str, weight: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unified = file == "cpu.weight"
    top = tmp_path if unified else tmp_path / "cpu"
    lay(top, {f"node/{file}": "1"} | ({"cgroup.controllers": "cpu\n"} if unified else {}))
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    cgroups.ensure("node")
    assert (top / "node" / file).read_text() == weight
