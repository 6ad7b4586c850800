"""What traffic met: counts, failures with examples, latencies by window, first and last answer by version."""

import json
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubestore.prove.clients import Record

EXAMPLES = 10


def quantile(values: list[float], q: float) -> float:
    """The nearest-rank `q` quantile (0..1) of values that are not empty."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


@dataclass
class Seen:
    """When a version answered: first and last start of a request (epoch seconds), and how often."""

    first: float
    last: float
    count: int = 0


@dataclass(frozen=True)
class Latency:
    """Latencies of `n` requests, in milliseconds."""

    n: int
    p50: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Verdict:
    """The figures of one run of traffic.

    `bound` is the upper end, at 95 %, of the probability that a request fails: 3/N when none did.
    """

    requests: int
    failures: int
    bound: float
    by_kind: dict[str, int]
    posts: int
    failures_by: dict[str, int]
    examples: list[str]
    latency: Latency | None
    rate: float
    quiet_closes: int
    cpu_cores: float
    versions: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nobody saw an error."""
        return self.requests > 0 and self.failures == 0

    def line(self) -> str:
        """One line for a person."""
        text = f"{self.failures} failed of {self.requests} requests"
        text += f" (p < {self.bound:.1e})" if not self.failures else f": {', '.join(self.examples[:3])}"
        return text

    def json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Tally:
    """Counts that grow as the journal of a run grows."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures: list[Record] = []
        self.facts: dict[str, Any] = {}
        self.versions: dict[str, Seen] = {}
        self._kinds: Counter[str] = Counter()
        self._methods: Counter[str] = Counter()
        self._starts = array("d")
        self._latencies = array("d")
        self._offset = 0

    def feed(self, journal: Path) -> None:
        """Read the lines that were added since the last time."""
        if not journal.exists():
            return
        with journal.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for line in data[:whole].splitlines():
            row = json.loads(line)
            if isinstance(row, dict):
                self.facts = row["end"]
            else:
                self.add(Record(*row))

    def add(self, record: Record) -> None:
        """Count one record."""
        self.requests += 1
        self._kinds[record.kind] += 1
        self._methods[record.method] += 1
        if record.failed:
            self.failures.append(record)
            return
        self._starts.append(record.start)
        self._latencies.append(record.latency)
        seen = self.versions.setdefault(record.version, Seen(record.start, record.start))
        seen.first, seen.last = min(seen.first, record.start), max(seen.last, record.start)
        seen.count += 1

    def latency(self, begin: float = 0.0, end: float = float("inf")) -> Latency | None:
        """Latencies of the answered requests that started in [begin, end); None when there are none."""
        pairs = zip(self._starts, self._latencies, strict=True)
        chosen = sorted(latency * 1000 for start, latency in pairs if begin <= start < end)
        if not chosen:
            return None
        return Latency(len(chosen), *(round(v, 2) for v in (
            quantile(chosen, 0.5), quantile(chosen, 0.99), chosen[-1],
        )))  # fmt: skip

    def outage(self, since: float) -> float:
        """Seconds from `since` (epoch) to the start of the last failed request after it; 0 without one."""
        return max((r.start - since for r in self.failures if r.start >= since), default=0.0)

    def verdict(self) -> Verdict:
        """The figures so far."""
        seconds = float(self.facts.get("seconds") or 0) or 1.0
        count = len(self.failures)
        bound = 3 / self.requests if self.requests else 1.0
        by: Counter[str] = Counter(f"{r.kind} {r.method} {r.status or 'no answer'}" for r in self.failures)
        examples = [
            f"{r.kind} {r.method} at {r.start:.2f}: {r.status or 'no answer'} {r.error}".strip()
            for r in self.failures[:EXAMPLES]
        ]
        return Verdict(
            self.requests, count, bound if not count else upper(count, self.requests), dict(self._kinds),
            self._methods["POST"], dict(by), examples, self.latency(), round(self.requests / seconds, 1),
            int(self.facts.get("quiet_closes", 0)),
            round(float(self.facts.get("cpu_seconds", 0)) / seconds, 3),
            {name: asdict(seen) for name, seen in self.versions.items()},
        )  # fmt: skip


def upper(failures: int, requests: int) -> float:
    """A 95 % upper bound of a failure probability when some failed (normal approximation)."""
    share = failures / requests
    return float(min(share + 1.64 * (share * (1 - share) / requests) ** 0.5 + 1.35 / requests, 1.0))
