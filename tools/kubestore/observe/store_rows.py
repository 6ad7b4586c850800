"""Rows of the dashboard *Store* below the requests: saturation, orders, Redis."""

from grafana_foundation_sdk.builders import dashboard as builders

from kubestore.observe.store_queries import BUILD, EACH, REDIS, SPACE, STORE, rate
from kubestore.observe.widgets import Query, lines


def saturation(made: builders.Dashboard) -> None:
    """How full the pods are."""
    made.with_row(builders.Row("Saturation"))
    made.with_panel(
        lines(
            "In flight",
            "none",
            "Requests being handled by the fullest pod of a version.",
            Query(
                f"max by (version) (sum by (namespace, pod) (store_requests_in_flight{{{SPACE}}}) "
                f"* on (namespace, pod) group_left (version) {BUILD})",
                "{{version}}",
            ),
            width=6,
        )
    )
    refused = f"sum by (reason) ({rate('store_overload_total')})"
    made.with_panel(
        lines(
            "Refused",
            "reqps",
            "Requests told to come back (503) because a pod is full.",
            Query(f"{refused} or vector(0)", "{{reason}}"),
            limits=(0.1,),
            width=6,
        )
    )
    used = (
        f'sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{{job="kubelet", {STORE}}}{EACH}))'
    )
    limit = f'kube_pod_container_resource_limits{{job="kube-state-metrics", {STORE}, resource="cpu"}}'
    made.with_panel(
        lines(
            "CPU by pod",
            "percentunit",
            "Of the pod's limit; at 100 % it is held back.",
            Query(f"{used} / sum by (namespace, pod) ({limit})", "{{pod}}"),
            limits=(0.9,),
            width=6,
        )
    )
    held = f'sum by (namespace, pod) (container_memory_working_set_bytes{{job="kubelet", {STORE}}})'
    cap = f'kube_pod_container_resource_limits{{job="kube-state-metrics", {STORE}, resource="memory"}}'
    made.with_panel(
        lines(
            "Memory by pod",
            "percentunit",
            "Of the pod's limit; at 100 % it is ended.",
            Query(f"{held} / sum by (namespace, pod) ({cap})", "{{pod}}"),
            limits=(0.8, 0.95),
            width=6,
        )
    )


def orders(made: builders.Dashboard) -> None:
    """What the shop earns its living with."""
    made.with_row(builders.Row("Orders"))
    made.with_panel(
        lines(
            "Orders by outcome",
            "none",
            "Checkouts and changes of orders, a minute.",
            Query(f"sum by (outcome) ({rate('store_orders_total')}) * 60", "{{outcome}}"),
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "Repeated checkouts and stock-outs",
            "none",
            "A minute. A repeated checkout got its first answer again; a stock-out is a line that was refused.",
            Query(f"sum({rate('store_checkout_replays_total')}) * 60", "repeated"),
            Query(f"sum({rate('store_stock_outs_total')}) * 60", "out of stock"),
        )
    )
    made.with_panel(
        lines(
            "Age of the catalog",
            "s",
            "Of the oldest copy in a pod's memory; it grows while Redis is away. -1 before the first.",
            Query(f"max by (pod) (store_snapshot_age_seconds{{{SPACE}}})", "{{pod}}"),
            limits=(30, 300),
        )
    )


def redis(made: builders.Dashboard) -> None:
    """The database, as the store and as its exporter see it."""
    made.with_row(builders.Row("Redis"))
    calls = f"sum by (le, call) ({rate('store_redis_call_seconds_bucket')})"
    made.with_panel(
        lines(
            "Calls by outcome",
            "ops",
            "What the store asks of Redis, a second.",
            Query(f"sum by (outcome) ({rate('store_redis_calls_total')})", "{{outcome}}"),
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "p99 by call",
            "s",
            "With all repeats. Every write waits for the disk.",
            Query(f"topk(10, histogram_quantile(0.99, {calls}))", "{{call}}"),
            limits=(0.1,),
        )
    )
    made.with_panel(
        lines(
            "Redis memory",
            "bytes",
            "In use, and the most it may use; at the most, writes are refused.",
            Query(f"sum(redis_memory_used_bytes{{{REDIS}}})", "used"),
            Query(f"sum(redis_memory_max_bytes{{{REDIS}}})", "at most"),
        )
    )
    made.with_panel(
        lines(
            "Redis clients",
            "none",
            "Connections, and how many wait.",
            Query(f"sum(redis_connected_clients{{{REDIS}}})", "connected"),
            Query(f"sum(redis_blocked_clients{{{REDIS}}})", "blocked"),
        )
    )
    made.with_panel(
        lines(
            "Append-only file",
            "bytes",
            "Its size now, and after the last rewrite.",
            Query(f"sum(redis_aof_current_size_bytes{{{REDIS}}})", "now"),
            Query(f"sum(redis_aof_base_size_bytes{{{REDIS}}})", "after the rewrite"),
        )
    )
    made.with_panel(
        lines(
            "Append-only file: last write",
            "bool",
            "1 while the last write and the last rewrite succeeded. At 0 acknowledged orders are no longer kept.",
            Query(f"min(redis_aof_last_write_status{{{REDIS}}})", "write"),
            Query(f"min(redis_aof_last_bgrewrite_status{{{REDIS}}})", "rewrite"),
        )
    )
