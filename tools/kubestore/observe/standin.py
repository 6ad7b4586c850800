"""A stand-in for kube-state-metrics, which cannot be built here: the few of its series that dashboards ask for.

Names and labels are those that its documentation gives; values come from the same API objects. It is for
`kubestore dashboards check-data` alone, and tells Prometheus the store's pods too: Debian's Prometheus is
built without the discovery of Kubernetes.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubestore.errors import KubestoreError
from kubestore.kubectl import Kubectl

EVERY_S = 4.0
FACTORS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
UNITS = {"cpu": "core", "memory": "byte"}


def amount(text: str) -> float:
    """A Kubernetes quantity as a number: `100m` is 0.1, `128Mi` is 134217728."""
    for suffix in sorted(FACTORS, key=len, reverse=True):
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * FACTORS[suffix]
    return float(text)


def line(name: str, value: float, **labels: str) -> str:
    """One sample in Prometheus' text format."""
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {float(value)!r}"


def pods(items: list[dict[str, Any]]) -> Iterator[str]:
    """Pods that have not ended, whether they use the node's network, requests and limits of their containers."""
    for pod in items:
        if pod["status"].get("phase") in ("Succeeded", "Failed"):
            continue
        where = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]}
        shared = str(pod["spec"].get("hostNetwork", False)).lower()
        yield line("kube_pod_info", 1, **where, node=pod["spec"].get("nodeName", ""), host_network=shared)
        for container in pod["spec"]["containers"]:
            for kind in ("requests", "limits"):
                for what, text in (container.get("resources", {}).get(kind) or {}).items():
                    if what in UNITS:
                        labels = {"container": container["name"], "node": pod["spec"].get("nodeName", "")}
                        labels |= {"resource": what, "unit": UNITS[what]}
                        yield line(f"kube_pod_container_resource_{kind}", amount(text), **where, **labels)


def nodes(items: list[dict[str, Any]]) -> Iterator[str]:
    """What nodes can give to pods."""
    for node in items:
        for what, unit in UNITS.items():
            labels = {"node": node["metadata"]["name"], "resource": what, "unit": unit}
            yield line("kube_node_status_allocatable", amount(node["status"]["allocatable"][what]), **labels)


def autoscalers(items: list[dict[str, Any]]) -> Iterator[str]:
    """Replicas and targets of autoscalers."""
    for item in items:
        where = {
            "namespace": item["metadata"]["namespace"],
            "horizontalpodautoscaler": item["metadata"]["name"],
        }
        spec, status = item["spec"], item.get("status", {})
        for name, value in (
            ("status_current_replicas", status.get("currentReplicas", 0)),
            ("status_desired_replicas", status.get("desiredReplicas", 0)),
            ("spec_max_replicas", spec["maxReplicas"]),
            ("spec_min_replicas", spec.get("minReplicas", 1)),
        ):
            yield line(f"kube_horizontalpodautoscaler_{name}", value, **where)
        for metric in spec.get("metrics", []):
            resource = metric.get("resource", {})
            if "averageUtilization" in resource.get("target", {}):
                labels = {"metric_name": resource["name"], "metric_target_type": "utilization"}
                value = resource["target"]["averageUtilization"]
                yield line("kube_horizontalpodautoscaler_spec_target_metric", value, **where, **labels)


def page(kubectl: Kubectl) -> str:
    """Everything as one page. Raises `KubestoreError` when the API server does not answer."""
    parts = []
    for kind, told in (("pods", pods), ("nodes", nodes), ("horizontalpodautoscalers", autoscalers)):
        parts += list(told(kubectl.json("get", kind, "--all-namespaces", timeout=10)["items"]))
    return "\n".join(parts) + "\n"


def targets(kubectl: Kubectl, server: str) -> str:
    """The store's running pods for `http_sd_configs`, reached through the API server's proxy at `server`."""
    choice = ["--namespace=store", "--selector=app.kubernetes.io/name=store"]
    found = []
    for pod in kubectl.json("get", "pods", *choice, timeout=10)["items"]:
        if pod["status"].get("phase") == "Running":
            name = pod["metadata"]["name"]
            labels = {"namespace": "store", "pod": name, "container": "store", "instance": name}
            labels["__metrics_path__"] = f"/api/v1/namespaces/store/pods/{name}:9100/proxy/metrics"
            found.append({"targets": [server], "labels": labels})
    return json.dumps(found)


class StandIn:
    """Both, served on loopback until `close`: `/metrics` and `/targets`; `port` is where.

    The API server is asked every `EVERY_S` seconds by a thread of its own, so that a scrape never waits for it.
    """

    def __init__(self, kubectl: Kubectl, server: str) -> None:
        self._told = {"/metrics": "", "/targets": "[]"}
        self._ended = threading.Event()
        told = self._told

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind = "application/json" if self.path == "/targets" else "text/plain; version=0.0.4"
                with contextlib.suppress(ConnectionError):  # who asked has gone
                    self.send_response(200 if self.path in told else 404)
                    self.send_header("Content-Type", kind)
                    self.end_headers()
                    self.wfile.write(told.get(self.path, "").encode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._look, args=(kubectl, server), daemon=True).start()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _look(self, kubectl: Kubectl, server: str) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(KubestoreError):  # the last answer stands
                self._told["/targets"] = targets(kubectl, server)
                self._told["/metrics"] = page(kubectl)
            self._ended.wait(EVERY_S)

    def close(self) -> None:
        """Serve no more."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
