"""The register of rules, and how they are applied to a tree."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kubestore.manifests.findings import Finding
from kubestore.manifests.objects import Obj, World

EXCEPT = "kubestore.dev/except-"
Check = Callable[[World], Iterator[Finding]]
ObjectCheck = Callable[[Obj], Iterator[Finding]]
ScopeCheck = Callable[["Scope"], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it asks for, and the function that looks."""

    name: str
    asks: str
    check: Check


@dataclass
class Scope:
    """Objects that live together: those of one cluster, or of a build that no cluster has."""

    name: str
    objects: list[Obj]
    is_cluster: bool
    # Namespaces whose pods come from a chart.
    charted: frozenset[str] = frozenset()

    def of_kind(self, *kinds: str) -> list[Obj]:
        """Objects of the kinds."""
        return [obj for obj in self.objects if obj.kind.kind in kinds]

    def ours(self, *kinds: str) -> list[Obj]:
        """Objects of the kinds that are written in this tree."""
        return [obj for obj in self.of_kind(*kinds) if obj.ours]

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object of that kind and name in the namespace."""
        for obj in self.of_kind(kind):
            if (obj.namespace, obj.name) == (namespace, name):
                return obj
        return None

    def pods_of(self, namespace: str, selector: dict[str, str]) -> list[Obj]:
        """Workloads of the namespace whose pods the labels select."""
        wanted = set(selector.items())
        return [
            obj
            for obj in self.objects
            if obj.pod_path is not None
            and obj.namespace == namespace
            and wanted <= set(obj.pod_labels.items())
        ]


RULES: dict[str, Rule] = {}


def rule(name: str, asks: str) -> Callable[[Check], Check]:
    """Register a function that looks at the whole tree."""

    def register(check: Check) -> Check:
        RULES[name] = Rule(name, asks, check)
        return check

    return register


def object_rule(name: str, asks: str, *kinds: str) -> Callable[[ObjectCheck], ObjectCheck]:
    """Register a function that looks at one object of ours at a time."""

    def register(check: ObjectCheck) -> ObjectCheck:
        def every(world: World) -> Iterator[Finding]:
            for obj in world.objects:
                if (not kinds or obj.kind.kind in kinds) and obj.ours:
                    yield from check(obj)

        RULES[name] = Rule(name, asks, every)
        return check

    return register


def scope_rule(name: str, asks: str) -> Callable[[ScopeCheck], ScopeCheck]:
    """Register a function that looks at objects that live together."""

    def register(check: ScopeCheck) -> ScopeCheck:
        def every(world: World) -> Iterator[Finding]:
            for scope in scopes(world):
                yield from check(scope)

        RULES[name] = Rule(name, asks, every)
        return check

    return register


def scopes(world: World) -> list[Scope]:
    """Clusters, then builds that are part of none."""
    found = [Scope(c.name, c.objects, True, frozenset(c.charted)) for c in world.clusters]
    placed = {obj.build.name for cluster in world.clusters for obj in cluster.objects}
    placed |= {build.name for build in world.builds if build.name.startswith("clusters/")}
    for build in world.builds:
        if build.name not in placed:
            found.append(Scope(build.name, world.group(build), False))
    return found


def exceptions(world: World) -> dict[tuple[str, str], str]:
    """(subject, rule) -> reason, from the annotations."""
    found = {}
    for obj in world.objects:
        for key, reason in obj.annotations.items():
            if key.startswith(EXCEPT) and obj.ours and reason.strip():
                found[obj.subject, key.removeprefix(EXCEPT)] = reason
    return found


def apply(world: World, without: Iterable[str] = ()) -> list[Finding]:
    """Findings of every rule but those `without`, exceptions taken out."""
    excused = exceptions(world)
    left = set(without)
    found = {
        finding for rule in RULES.values() if rule.name not in left for finding in _findings(rule, world)
    }
    return sorted(finding for finding in found if (finding.subject, finding.rule) not in excused)


def _findings(rule: Rule, world: World) -> list[Finding]:
    """What the rule finds. On an object that breaks its schema it may fail: that one is refused already."""
    try:
        return list(rule.check(world))
    except (AttributeError, KeyError, TypeError, ValueError):
        if world.malformed:
            return []
        raise
