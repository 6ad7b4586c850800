"""The dashboard *Store*: rate, errors, latency and saturation by version, so that a roll-out is visible."""

from grafana_foundation_sdk.builders import dashboard as builders

from kubestore.observe.store_queries import EACH, HPA, SPACE, STORE, by_version, quantile, rate, share
from kubestore.observe.store_rows import orders, redis, saturation
from kubestore.observe.widgets import Query, board, lines, names, number, versions

UID = "kubestore-store"


def build() -> builders.Dashboard:
    """The whole dashboard."""
    made = board(
        UID,
        "Store",
        "What customers see, by version: requests, errors, latency, saturation; the autoscaler, orders and Redis.",
    )
    variable = names(
        "namespace", "Namespace", "label_values(store_build_info, namespace)", "Where the store runs.", False
    )
    made.with_variable(variable)
    newest = f"count by (version) (store_build_info{{{SPACE}}})"
    before = f"count by (version) (store_build_info{{{SPACE}}} offset 1m)"
    made.annotation(versions(f"{newest} unless {before}"))
    for part in (glance, requests, rollout, saturation, orders, redis):
        part(made)
    return made


def glance(made: builders.Dashboard) -> None:
    """One number each."""
    made.with_row(builders.Row("At a glance"))
    every, bad = rate("store_requests_total"), rate("store_requests_total", 'status=~"5.."')
    slow = f"histogram_quantile(0.99, sum by (le) ({rate('store_request_seconds_bucket')}))"
    ordered = "sum(" + rate("store_orders_total", 'outcome="placed"') + ") * 60"
    redis_bad = "sum(" + rate("store_redis_calls_total", 'outcome=~"error|unavailable"') + ")"
    for title, unit, text, expr, limits in (
        ("Requests", "reqps", "Answered, all versions.", f"sum({every})", ()),
        ("Errors", "percentunit", "Answers 5xx.", share(f"sum({bad})", f"sum({every})"), (0.001, 0.01)),
        ("p99", "s", "99 of 100 answers take no longer.", slow, (0.1, 0.5)),
        ("Ready pods", "none", "Pods that are scraped.", f"count(store_build_info{{{SPACE}}})", ()),
        ("Orders a minute", "none", "Placed.", f"{ordered} or vector(0)", ()),
        ("Redis errors", "ops", "Calls that failed, a second.", f"{redis_bad} or vector(0)", (0.01, 1)),
    ):
        made.with_panel(number(title, unit, text, Query(expr, ""), limits))


def requests(made: builders.Dashboard) -> None:
    """Rate, errors and latency."""
    made.with_row(builders.Row("Requests"))
    every = by_version(rate("store_requests_total"))
    bad = by_version(rate("store_requests_total", 'status=~"5.."'))
    made.with_panel(
        lines("Requests by version", "reqps", "Answered a second.", Query(every, "{{version}}"), stacked=True)
    )
    made.with_panel(
        lines(
            "Errors by version",
            "percentunit",
            "Share of answers 5xx. The old version's line is what to compare a new one with.",
            Query(share(bad, every), "{{version}}"),
            limits=(0.001, 0.01),
        )
    )
    made.with_panel(
        lines(
            "Latency by version",
            "s",
            "Half of the answers, and 99 of 100, take no longer.",
            Query(quantile(0.5, "store_request_seconds_bucket"), "{{version}} p50"),
            Query(quantile(0.99, "store_request_seconds_bucket"), "{{version}} p99"),
            limits=(0.1, 0.5),
        )
    )
    by_route = f"sum by (le, route) ({rate('store_request_seconds_bucket')})"
    made.with_panel(
        lines(
            "Requests by route",
            "reqps",
            "Answered a second, method and route.",
            Query(f"sum by (method, route) ({rate('store_requests_total')})", "{{method}} {{route}}"),
        )
    )
    made.with_panel(
        lines(
            "Requests by status",
            "reqps",
            "Answered a second.",
            Query(f"sum by (status) ({rate('store_requests_total')})", "{{status}}"),
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "p99 by route",
            "s",
            "Slowest route first.",
            Query(f"histogram_quantile(0.99, {by_route})", "{{route}}"),
        )
    )


def rollout(made: builders.Dashboard) -> None:
    """Pods by version, and the autoscaler."""
    made.with_row(builders.Row("Roll-out and autoscaler"))
    made.with_panel(
        lines(
            "Pods by version",
            "none",
            "Pods that are scraped. In a roll-out the new version's line rises before the old one's falls.",
            Query(f"count by (version) (store_build_info{{{SPACE}}})", "{{version}}"),
            stacked=True,
        )
    )
    hpa = "kube_horizontalpodautoscaler_"
    made.with_panel(
        lines(
            "Replicas",
            "none",
            "What the autoscaler has, wants, and may want at most.",
            Query(f"max({hpa}status_current_replicas{{{HPA}}})", "current"),
            Query(f"max({hpa}status_desired_replicas{{{HPA}}})", "desired"),
            Query(f"max({hpa}spec_max_replicas{{{HPA}}})", "at most"),
        )
    )
    used = f'sum(rate(container_cpu_usage_seconds_total{{job="kubelet", {STORE}}}{EACH}))'
    asked = f'sum(kube_pod_container_resource_requests{{job="kube-state-metrics", {STORE}, resource="cpu"}})'
    target = f'max({hpa}spec_target_metric{{{HPA}, metric_name="cpu", metric_target_type="utilization"}})'
    made.with_panel(
        lines(
            "CPU against the target",
            "percent",
            "CPU of all pods in per cent of their requests, and what the autoscaler aims at.",
            Query(f"100 * {used} / {asked}", "CPU"),
            Query(target, "target"),
        )
    )
