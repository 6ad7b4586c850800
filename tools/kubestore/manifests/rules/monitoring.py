"""Rules on what is measured: monitors find a port, and queries are queries."""

from collections.abc import Iterator

import promql_parser

from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj
from kubestore.manifests.rules.registry import Scope, object_rule, scope_rule


@scope_rule("monitor-port", "a ServiceMonitor or PodMonitor finds the port that it names")
def monitor_port(scope: Scope) -> Iterator[Finding]:
    for monitor in scope.ours("ServiceMonitor", "PodMonitor"):
        names = set(_ports(scope, monitor))
        key = "endpoints" if monitor.kind.kind == "ServiceMonitor" else "podMetricsEndpoints"
        for index, endpoint in enumerate(monitor.get("spec", key, default=[])):
            if endpoint.get("port") not in names:
                what = f"nothing that it selects has a port {endpoint.get('port')}"
                yield monitor.finding(
                    "monitor-port", ("spec", key, index, "port"), what, "correct port or selector"
                )


def _ports(scope: Scope, monitor: Obj) -> Iterator[str]:
    wanted = set(monitor.get("spec", "selector", "matchLabels", default={}).items())
    namespaces = monitor.get("spec", "namespaceSelector", "matchNames", default=[monitor.namespace])
    everywhere = monitor.get("spec", "namespaceSelector", "any", default=False)
    for obj in scope.objects:
        if not everywhere and obj.namespace not in namespaces:
            continue
        if (
            monitor.kind.kind == "ServiceMonitor"
            and obj.kind.kind == "Service"
            and wanted <= set(obj.labels.items())
        ):
            yield from (port.get("name", "") for port in obj.get("spec", "ports", default=[]))
        if (
            monitor.kind.kind == "PodMonitor"
            and obj.pod_path is not None
            and wanted <= set(obj.pod_labels.items())
        ):
            for _, container in obj.containers(init=False):
                yield from (port.get("name", "") for port in container.get("ports") or [])


@object_rule("promql", "the queries of rules are PromQL", "PrometheusRule")
def promql(obj: Obj) -> Iterator[Finding]:
    for number, group in enumerate(obj.get("spec", "groups", default=[])):
        for index, entry in enumerate(group.get("rules") or []):
            try:
                promql_parser.parse(str(entry.get("expr", "")))
            except ValueError as error:
                at = ("spec", "groups", number, "rules", index, "expr")
                yield obj.finding(
                    "promql", at, str(error).strip().splitlines()[0], "try it in Prometheus first"
                )
