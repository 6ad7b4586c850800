"""`kubestore dashboards check-data`: every query of every dashboard, against the running embedded cluster.

Debian's Prometheus, node exporter and Redis exporter run on loopback for a few minutes beside a stand-in for
kube-state-metrics, while a light load keeps the store busy. Nothing is left running.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import yaml

from kubestore import run, ui, wait
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import programs, secrets
from kubestore.observe import answers, dashboards, prometheus
from kubestore.observe.answers import Answer
from kubestore.observe.prometheus import Prometheus
from kubestore.observe.shop import Shop
from kubestore.observe.standin import StandIn
from kubestore.prove.ledger import FOLDER
from kubestore.prove.traffic import Traffic

# The series of the last run, so that queries can be asked again without a cluster.
KEPT = FOLDER / "watch"
SPAN = KEPT / "span.json"
RATE = 250.0
STEP_S = 5.0
# A counter's rate over four scrapes of kube-prometheus-stack with our values, as Grafana's own variable has it.
INTERVAL_S = 60


def check(instance: Instance, seconds: float) -> list[Answer]:
    """Raise everything, load the store for `seconds`, ask every query, and end everything.

    Raises `KubestoreError` when there is no cluster, a program is missing or a target cannot be scraped.
    """
    if not instance.kubeconfig.exists():
        raise KubestoreError(f"instance {instance.name} has no cluster", "run `make up`")
    kubectl = Kubectl(instance.kubeconfig)
    for name in ("prometheus", "promtool", "prometheus-node-exporter", "prometheus-redis-exporter"):
        prometheus.program(name)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kubestore-watch-")))
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        server = stack.enter_context(scraping(instance, kubectl, folder))
        start = time.time()
        with ui.step("light load on the store") as step:
            load(instance.store_url, seconds, step)
        end = time.time()
        SPAN.write_text(json.dumps([start, end]))
        if down := server.down():
            raise KubestoreError("; ".join(down), "look at the target that Prometheus names")
        return ask(server, start, end)


def replay() -> list[Answer]:
    """Ask every query of the series that the last run recorded. Raises `KubestoreError` when there are none."""
    if not SPAN.exists():
        raise KubestoreError("there was no run yet", "leave out --again")
    start, end = json.loads(SPAN.read_text())
    with tempfile.TemporaryDirectory(prefix="kubestore-watch-") as name:
        server = Prometheus([], Path(name), KEPT / "data")
        try:
            return ask(server, start, end)
        finally:
            server.stop()


@contextlib.contextmanager
def scraping(instance: Instance, kubectl: Kubectl, folder: Path) -> Iterator[Prometheus]:
    """Exporters and Prometheus, until the block ends."""
    with ExitStack() as stack:
        nodes = {
            one["metadata"]["name"]: next(
                a["address"] for a in one["status"]["addresses"] if a["type"] == "InternalIP"
            )
            for one in kubectl.json("get", "nodes")["items"]
        }
        tls = prometheus.credentials(instance.kubeconfig, folder)
        described = StandIn(kubectl, api_address(instance))
        stack.callback(described.close)
        host = exporter(stack, folder, "prometheus-node-exporter", [])
        forwarded = forward(stack, instance, folder)
        redis = exporter(
            stack,
            folder,
            "prometheus-redis-exporter",
            [f"--redis.addr=redis://127.0.0.1:{forwarded}"],
            {"REDIS_PASSWORD": secrets.value(instance, "redis")},
        )
        state = prometheus.fixed("kube-state-metrics", f"127.0.0.1:{described.port}")
        jobs = [
            *prometheus.kubelet(nodes, tls),
            prometheus.store(f"http://127.0.0.1:{described.port}/targets", tls),
            {**state, "honor_labels": True, "scrape_interval": "10s"},
            prometheus.fixed("node-exporter", f"127.0.0.1:{host}", node=min(nodes)),
            prometheus.fixed("redis-exporter", f"127.0.0.1:{redis}", namespace="redis"),
        ]
        server = Prometheus(jobs, folder, KEPT / "data")
        stack.callback(server.stop)
        wait.until(
            lambda: len(server.api("query", query="up == 1")["result"]) >= len(jobs),
            "every target to be scraped",
            60,
            2,
            lambda: "; ".join(server.down()),
        )
        yield server


def api_address(instance: Instance) -> str:
    """Host and port of the API server."""
    cluster = yaml.safe_load(instance.kubeconfig.read_text())["clusters"][0]["cluster"]
    return str(cluster["server"]).removeprefix("https://")


def exporter(
    stack: ExitStack, folder: Path, name: str, options: list[str], env: dict[str, str] | None = None
) -> int:
    """Start one of Debian's exporters on loopback; returns its port."""
    port = prometheus.free_port()
    command = [prometheus.program(name), f"--web.listen-address=127.0.0.1:{port}", *options]
    process = run.spawn(command, log=folder / f"{name}.log", env=env)
    stack.callback(process.stop)
    return port


def forward(stack: ExitStack, instance: Instance, folder: Path) -> int:
    """Reach Redis as `kubectl port-forward` does; returns the port."""
    port = prometheus.free_port()
    process = run.spawn(
        [programs.path("kubectl"), "--kubeconfig", instance.kubeconfig, "-n", "redis", "port-forward",
         "pod/redis-0", f"{port}:6379"],
        log=folder / "port-forward.log", env=dict(os.environ),
    )  # fmt: skip
    stack.callback(process.stop)
    return port


def load(url: str, seconds: float, step: ui.Step) -> None:
    """Customers who buy, all the time, and more requests in the middle third, so that the autoscaler moves."""
    shop = Shop(url, seconds)
    try:
        time.sleep(seconds / 3)
        with Traffic.start(url, rate=RATE, seconds=seconds / 3, requests=int(RATE * seconds)) as traffic:
            while traffic.alive():
                step.note(f"{traffic.look().requests} requests, {shop.answers}")
                time.sleep(2)
        time.sleep(seconds / 3)
    finally:
        shop.stop()
    step.note(str(shop.answers))


def ask(server: Prometheus, start: float, end: float) -> list[Answer]:
    """The answer to every query of the committed dashboards over that time."""
    found = []
    for question in dashboards.questions():
        expr = answers.filled(question.expr, INTERVAL_S)
        got = server.series(expr, start, end, STEP_S)
        found.append(Answer(question, answers.series(question, got, start)))
    return found
