"""Rules that no schema can say. Each is one function with a name; `tests/manifests` has a fixture for each.

An object may be excepted from a rule by the annotation `kubestore.dev/except-<rule>` with the reason as its
value; each exception is listed in the report.
"""

from kubestore.manifests.rules import applications, files, monitoring, network, references, secrets, workloads
from kubestore.manifests.rules.registry import RULES, Rule, apply

__all__ = [
    "RULES",
    "Rule",
    "applications",
    "apply",
    "files",
    "monitoring",
    "network",
    "references",
    "secrets",
    "workloads",
]
