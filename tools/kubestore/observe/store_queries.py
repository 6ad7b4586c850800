"""PromQL of the dashboard *Store*: everything by the version that a pod runs."""

SPACE = 'namespace="$namespace"'
STORE = f'{SPACE}, container="store"'
HPA = f'job="kube-state-metrics", {SPACE}, horizontalpodautoscaler="store"'
REDIS = 'namespace="redis"'
PROBES = 'route!~"/livez|/readyz"'
EACH = "[$__rate_interval]"
BUILD = f"max by (namespace, pod, version) (store_build_info{{{SPACE}}})"


def by_version(expr: str, *also: str) -> str:
    """`expr` (with labels namespace and pod) summed up by the version that the pod runs, and by `also`."""
    kept = ", ".join([*also, "namespace", "pod"])
    out = ", ".join([*also, "version"])
    return f"sum by ({out}) (sum by ({kept}) ({expr}) * on (namespace, pod) group_left (version) {BUILD})"


def rate(metric: str, *labels: str) -> str:
    """Per second, of a counter of the store; what kubelet's probes ask is no customer's request."""
    if metric.startswith("store_request"):
        labels = (*labels, PROBES)
    return f"rate({metric}{{{', '.join([SPACE, *labels])}}}{EACH})"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, 0 where there is no part."""
    return f"({part} or {whole} * 0) / {whole}"


def quantile(which: float, metric: str) -> str:
    """A quantile by version."""
    return f"histogram_quantile({which}, {by_version(rate(metric), 'le')})"
