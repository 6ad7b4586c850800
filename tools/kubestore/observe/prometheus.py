"""Debian's Prometheus, run for a few minutes on loopback, as kube-prometheus-stack would set it up for us.

Its targets carry the labels that the operator and the chart give: `job`, `node`, `namespace`, `pod`,
`metrics_path`; and what the chart drops from cAdvisor is dropped here.
"""

import base64
import json
import shutil
import socket
import urllib.parse
from pathlib import Path
from typing import Any

import yaml

from kubestore import http, run, wait
from kubestore.errors import KubestoreError

Config = dict[str, Any]
EVERY_S = 5
# Debian's package of a program that is not called like it.
PACKAGES = {"promtool": "prometheus"}
DROPPED = (
    (
        "__name__",
        "container_(cpu_(cfs_throttled_seconds|system_seconds|user_seconds)_total|spec.*|tasks_state)",
    ),
    ("__name__", "container_fs_(reads_merged|sector_reads|sector_writes|writes_merged)_total"),
    ("__name__;interface", "container_network_.*;(cali|cilium|cni|lxc|nodelocaldns|tunl).*"),
    ("id;pod", ".+;"),
)


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def program(name: str) -> str:
    """A program of Debian's. Raises `KubestoreError` with the package that has it."""
    found = shutil.which(name)
    if not found:
        package = PACKAGES.get(name, name)
        install = f"RUNLEVEL=1 apt-get install --no-install-recommends {package}"
        raise KubestoreError(
            f"{name} is not installed", f"{install} (RUNLEVEL: without starting its service)"
        )
    return found


def credentials(kubeconfig: Path, folder: Path) -> Config:
    """The administrator's certificate as files of `folder` (readable by the owner), for `tls_config`."""
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    for name, key in (("cert", "client-certificate-data"), ("key", "client-key-data")):
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(base64.b64decode(user[key]))
    return {
        "cert_file": str(folder / "cert"),
        "key_file": str(folder / "key"),
        "insecure_skip_verify": True,
    }


def fixed(job: str, address: str, **labels: str) -> Config:
    """A job with one target."""
    return {"job_name": job, "static_configs": [{"targets": [address], "labels": labels}]}


def kubelet(nodes: dict[str, str], tls: Config) -> list[Config]:
    """Kubelet and cAdvisor of every node, name -> address, as the chart's monitor scrapes them."""
    jobs = []
    for path, drops in (("/metrics", ()), ("/metrics/cadvisor", DROPPED)):
        jobs.append(
            {
                "job_name": f"kubelet{path}",
                "scheme": "https",
                "metrics_path": path,
                "honor_labels": True,
                "tls_config": tls,
                "static_configs": [
                    {
                        "targets": [f"{address}:10250"],
                        "labels": {"node": node, "job": "kubelet", "metrics_path": path},
                    }
                    for node, address in nodes.items()
                ],
                "metric_relabel_configs": [
                    {"source_labels": source.split(";"), "regex": regex, "action": "drop"}
                    for source, regex in drops
                ],
            }
        )
    return jobs


def store(described: str, tls: Config) -> Config:
    """Every pod of the store, as the page `described` tells them."""
    return {
        "job_name": "store-metrics",
        "scheme": "https",
        "tls_config": tls,
        "http_sd_configs": [{"url": described, "refresh_interval": f"{EVERY_S}s"}],
    }


def written(jobs: list[Config], folder: Path) -> Path:
    """The configuration as a file of `folder`. Raises `KubestoreError` when promtool does not take it."""
    config = folder / "prometheus.yaml"
    settings = {"scrape_interval": f"{EVERY_S}s", "scrape_timeout": f"{min(4, EVERY_S)}s"}
    config.write_text(yaml.safe_dump({"global": settings, "scrape_configs": jobs}))
    run.run([program("promtool"), "check", "config", config], timeout=20)
    return config


class Prometheus:
    """A running Prometheus; `stop` ends it. Its data lie in `data`, its other files in `folder`."""

    def __init__(self, jobs: list[Config], folder: Path, data: Path) -> None:
        config = written(jobs, folder)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._process = run.spawn(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            log=folder / "prometheus.log",
        )
        wait.until(lambda: http.get(f"{self.url}/-/ready").status == 200, "Prometheus", 30)

    def stop(self) -> None:
        """End it."""
        self._process.stop(5)

    def api(self, path: str, **arguments: object) -> Any:
        """`data` of an answer of its API. Raises `KubestoreError` with its own words."""
        answer = http.get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", timeout=30)
        said = json.loads(answer.text or "{}")
        if said.get("status") != "success":
            raise KubestoreError(f"Prometheus: {said.get('error', answer.text[:200])}")
        return said["data"]

    def down(self) -> list[str]:
        """Targets that cannot be scraped, each with the reason."""
        targets = self.api("targets", state="active")["activeTargets"]
        return [f"{one['scrapePool']}: {one['lastError']}" for one in targets if one["health"] == "down"]

    def series(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """`metric` and `values` (pairs of seconds and text) of each series of a query over time."""
        found = self.api("query_range", query=expr, start=start, end=end, step=step)["result"]
        return list(found)
