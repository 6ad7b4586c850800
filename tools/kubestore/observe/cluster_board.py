"""The dashboard *Cluster resources*: CPU, memory, network and disk by node, namespace and pod."""

from grafana_foundation_sdk.builders import dashboard as builders

from kubestore.observe.widgets import Query, board, lines, names, number

UID = "kubestore-cluster"
# As the node exporter, kubelet (with cAdvisor) and kube-state-metrics are scraped by kube-prometheus-stack.
HOST = 'job="node-exporter", node=~"$node"'
PODS = 'job="kubelet", metrics_path="/metrics/cadvisor", node=~"$node", namespace=~"$namespace"'
ONE = f'{PODS}, container!="", image!=""'
ASKED = 'job="kube-state-metrics", node=~"$node", namespace=~"$namespace"'
# Interfaces that carry what leaves a node, not the pods' ends of it.
WIRE = f'{HOST}, device!~"lo|veth.*|cali.*|cni.*|docker.*|br-.*|tunl.*|flannel.*"'
REAL = f'{HOST}, fstype!~"tmpfs|overlay|squashfs|ramfs|erofs|nsfs|fuse.*"'
# A pod on the node's network is told the node's traffic as its own.
SHARED = ' unless on (namespace, pod) kube_pod_info{job="kube-state-metrics", host_network="true"}'
EACH = "[$__rate_interval]"
NODE, SPACE, POD = "{{node}}", "{{namespace}}", "{{namespace}}/{{pod}}"


def top(expr: str, by: str = "namespace, pod") -> str:
    """The ten largest of a sum."""
    return f"topk(10, sum by ({by}) ({expr}))"


def build() -> builders.Dashboard:
    """The whole dashboard."""
    made = board(
        UID,
        "Cluster resources",
        "CPU, memory, network and disk by node, namespace and pod; requests and limits beside what is used.",
    )
    seen = 'container_cpu_usage_seconds_total{job="kubelet"'
    made.with_variable(names("node", "Node", f"label_values({seen}}}, node)", "Nodes to show."))
    made.with_variable(
        names(
            "namespace",
            "Namespace",
            f'label_values({seen}, node=~"$node"}}, namespace)',
            "Namespaces to show; panels by node do not follow it.",
        )
    )
    for part in (glance, cpu, memory, asked, network, disk):
        part(made)
    return made


def glance(made: builders.Dashboard) -> None:
    """One number each."""
    made.with_row(builders.Row("At a glance"))
    free = f"node_memory_MemAvailable_bytes{{{HOST}}}"
    size = f"node_memory_MemTotal_bytes{{{HOST}}}"
    idle = f'avg(rate(node_cpu_seconds_total{{{HOST}, mode="idle"}}{EACH}))'
    made.with_panel(
        number(
            "CPU used", "percentunit", "Of all chosen nodes together.", Query(f"1 - {idle}", ""), (0.75, 0.9)
        )
    )
    made.with_panel(
        number(
            "Memory used",
            "percentunit",
            "What the kernel could not give to a new process, of all chosen nodes.",
            Query(f"1 - sum({free}) / sum({size})", ""),
            (0.8, 0.9),
        )
    )
    for what, title in (("cpu", "CPU requested"), ("memory", "Memory requested")):
        requests = f'kube_pod_container_resource_requests{{job="kube-state-metrics", node=~"$node", resource="{what}"}}'
        offered = (
            f'kube_node_status_allocatable{{job="kube-state-metrics", node=~"$node", resource="{what}"}}'
        )
        text = "Of what the chosen nodes can give to pods; above 100 % nothing more is scheduled."
        query = Query(f"sum({requests}) / sum({offered})", "")
        made.with_panel(number(title, "percentunit", text, query, (0.85, 1.0)))
    full = f"max(1 - node_filesystem_avail_bytes{{{REAL}}} / node_filesystem_size_bytes{{{REAL}}})"
    made.with_panel(
        number(
            "Fullest disk",
            "percentunit",
            "Kubelet evicts pods from 85 to 90 % on, depending on its settings.",
            Query(full, ""),
            (0.75, 0.85),
        )
    )
    pods = 'sum(kubelet_running_pods{job="kubelet", node=~"$node"})'
    made.with_panel(number("Pods", "none", "Running on the chosen nodes.", Query(pods, "")))


def cpu(made: builders.Dashboard) -> None:
    """CPU by node, namespace, pod; throttling."""
    made.with_row(builders.Row("CPU"))
    busy = f'1 - avg by (node) (rate(node_cpu_seconds_total{{{HOST}, mode="idle"}}{EACH}))'
    used = f"rate(container_cpu_usage_seconds_total{{{ONE}}}{EACH})"
    made.with_panel(
        lines(
            "CPU by node",
            "percentunit",
            "Share of the node's cores in use.",
            Query(busy, NODE),
            limits=(0.9,),
        )
    )
    made.with_panel(
        lines(
            "CPU by namespace",
            "none",
            "Cores in use, added up.",
            Query(f"sum by (namespace) ({used})", SPACE),
            stacked=True,
        )
    )
    made.with_panel(lines("CPU by pod", "none", "Cores in use, the ten largest.", Query(top(used), POD)))


def memory(made: builders.Dashboard) -> None:
    """Memory by node, namespace, pod."""
    made.with_row(builders.Row("Memory"))
    node = f"node_memory_MemTotal_bytes{{{HOST}}} - node_memory_MemAvailable_bytes{{{HOST}}}"
    held = f"container_memory_working_set_bytes{{{ONE}}}"
    made.with_panel(
        lines(
            "Memory by node",
            "bytes",
            "In use, and what the node has.",
            Query(f"sum by (node) ({node})", NODE),
            Query(f"sum by (node) (node_memory_MemTotal_bytes{{{HOST}}})", f"{NODE} has"),
        )
    )
    made.with_panel(
        lines(
            "Memory by namespace",
            "bytes",
            "Working set (what kubelet counts before it evicts), added up.",
            Query(f"sum by (namespace) ({held})", SPACE),
            stacked=True,
        )
    )
    made.with_panel(lines("Memory by pod", "bytes", "Working set, the ten largest.", Query(top(held), POD)))


def asked(made: builders.Dashboard) -> None:
    """What is used beside what was requested and what is allowed."""
    made.with_row(builders.Row("Requests and limits"))
    for what, unit, use in (
        ("cpu", "none", f"rate(container_cpu_usage_seconds_total{{{ONE}}}{EACH})"),
        ("memory", "bytes", f"container_memory_working_set_bytes{{{ONE}}}"),
    ):
        requests = f'kube_pod_container_resource_requests{{{ASKED}, resource="{what}"}}'
        limits = f'kube_pod_container_resource_limits{{{ASKED}, resource="{what}"}}'
        title = {"cpu": "CPU", "memory": "Memory"}[what]
        made.with_panel(
            lines(
                f"{title}: used, requested, limit",
                unit,
                "Of the chosen namespaces. Requests far above use waste nodes; limits far above requests promise "
                "more than there is.",
                Query(f"sum({use})", "used"),
                Query(f"sum({requests})", "requested"),
                Query(f"sum({limits})", "limit"),
                width=6,
            )
        )
    by = "namespace, pod, container"
    held = f"sum by ({by}) (container_memory_working_set_bytes{{{ONE}}})"
    cap = f'sum by ({by}) (kube_pod_container_resource_limits{{{ASKED}, resource="memory"}})'
    made.with_panel(
        lines(
            "Nearest to the memory limit",
            "percentunit",
            "At 100 % the kernel ends the container. The ten highest.",
            Query(f"topk(10, {held} / {cap})", "{{namespace}}/{{pod}} {{container}}"),
            limits=(0.8, 0.95),
            width=6,
        )
    )
    held_back = f"sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total{{{ONE}}}{EACH}))"
    periods = f"sum by (namespace, pod) (rate(container_cpu_cfs_periods_total{{{ONE}}}{EACH}))"
    made.with_panel(
        lines(
            "CPU held back",
            "percentunit",
            "Share of 0.1 s periods in which a pod met its CPU limit. The ten highest.",
            Query(f"topk(10, {held_back} / {periods})", POD),
            limits=(0.25,),
            width=6,
        )
    )


def network(made: builders.Dashboard) -> None:
    """Bytes in and out."""
    made.with_row(builders.Row("Network"))
    for title, by, legend, selector in (
        ("Network by node", "node", NODE, f"node_network_WAY_bytes_total{{{WIRE}}}"),
        ("Network by namespace", "namespace", SPACE, f"container_network_WAY_bytes_total{{{PODS}}}"),
        ("Network by pod", "namespace, pod", POD, f"container_network_WAY_bytes_total{{{PODS}}}"),
    ):
        queries = []
        for way, word in (("receive", "in"), ("transmit", "out")):
            own = f"rate({selector.replace('WAY', way)}{EACH}){'' if by == 'node' else SHARED}"
            summed = f"sum by ({by}) ({own})"
            expr = f"topk(5, {summed})" if "pod" in by else summed
            queries.append(Query(expr, f"{legend} {word}"))
        text = "Bytes a second in and out" + (", the five largest each." if "pod" in by else ".")
        text += "" if by == "node" else " Pods on the node's own network are left out."
        made.with_panel(lines(title, "Bps", text, *queries))


def disk(made: builders.Dashboard) -> None:
    """How full disks and claims are, and what is read and written."""
    made.with_row(builders.Row("Disk"))
    free, size = (f"node_filesystem_{what}_bytes{{{REAL}}}" for what in ("avail", "size"))
    made.with_panel(
        lines(
            "Disk by node",
            "percentunit",
            "How full each file system of a node is.",
            Query(f"max by (node, mountpoint) (1 - {free} / {size})", "{{node}} {{mountpoint}}"),
            limits=(0.75, 0.85),
            width=6,
        )
    )
    made.with_panel(
        lines(
            "Reads and writes by node",
            "Bps",
            "Bytes a second of all disks of a node.",
            Query(f"sum by (node) (rate(node_disk_read_bytes_total{{{HOST}}}{EACH}))", f"{NODE} read"),
            Query(f"sum by (node) (rate(node_disk_written_bytes_total{{{HOST}}}{EACH}))", f"{NODE} written"),
            width=6,
        )
    )
    made.with_panel(
        lines(
            "Writes by pod",
            "Bps",
            "Bytes a second that pods write to disks, the ten largest.",
            Query(top(f'rate(container_fs_writes_bytes_total{{{PODS}, container!=""}}{EACH})'), POD),
            width=6,
        )
    )
    claim = 'kubelet_volume_stats_WHAT_bytes{job="kubelet", node=~"$node", namespace=~"$namespace"}'
    used, capacity = (claim.replace("WHAT", what) for what in ("used", "capacity"))
    by = "namespace, persistentvolumeclaim"
    made.with_panel(
        lines(
            "Claims",
            "percentunit",
            "How full each persistent volume claim is. Volumes that are plain folders of a node tell nothing.",
            Query(
                f"max by ({by}) ({used}) / max by ({by}) ({capacity})",
                "{{namespace}}/{{persistentvolumeclaim}}",
            ),
            limits=(0.75, 0.85),
            width=6,
        )
    )
