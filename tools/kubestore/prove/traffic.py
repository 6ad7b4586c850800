"""The traffic as a process of its own: one JSON line a request, bounded, stopped by a signal or by itself.

`Traffic.start(...)` is how proofs use it; `python -m kubestore.prove.traffic --help` how a person does.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import kubestore
from kubestore import run, wait
from kubestore.errors import KubestoreError
from kubestore.prove import target
from kubestore.prove.clients import Budget, Plan, Record, crowd
from kubestore.prove.tally import Tally
from kubestore.prove.wire import Dropped

FLUSH = 0.2


class Journal:
    """The records of a run as lines of a file, written a few times a second."""

    def __init__(self, file: TextIO) -> None:
        self.requests = 0
        self._file = file
        self._lines: list[str] = []

    def add(self, record: Record) -> None:
        """Keep one record for the next flush."""
        self.requests += 1
        row = [
            record.kind, record.method, round(record.start, 4), round(record.latency, 5),
            record.status, record.version, record.error,
        ]  # fmt: skip
        self._lines.append(json.dumps(row, separators=(",", ":")))

    def flush(self) -> None:
        """Write what is kept, whole lines only."""
        if self._lines:
            self._file.write("\n".join(self._lines) + "\n")
            self._file.flush()
            self._lines.clear()

    def end(self, facts: dict[str, Any]) -> None:
        """The last line: facts about the run itself."""
        self.flush()
        self._file.write(json.dumps({"end": facts}) + "\n")
        self._file.flush()


async def send(plan: Plan, journal: Journal) -> dict[str, Any]:
    """Run the plan; returns the facts of its end (seconds, CPU seconds, requests, quiet closes)."""
    budget = Budget(plan.requests, plan.seconds)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, budget.stopped.set)

    async def flusher() -> None:
        while True:
            await asyncio.sleep(FLUSH)
            journal.flush()

    began = time.monotonic()
    writer = asyncio.create_task(flusher())
    try:
        quiet = await crowd(plan, budget, journal.add)
    finally:
        writer.cancel()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(time.monotonic() - began, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "requests": journal.requests,
        "quiet_closes": quiet,
    }


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line of the process."""
    parser = argparse.ArgumentParser(prog="kubestore.prove.traffic", description=__doc__)
    parser.add_argument("url", help="the store: a literal address of this machine or in 198.18.0.0/15")
    parser.add_argument("--out", type=Path, required=True, help="where the JSON lines go")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second in all")
    parser.add_argument("--seconds", type=float, default=60.0, help="the longest it may run")
    parser.add_argument("--requests", type=int, default=100_000, help="the most it may send")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Send, write, and end with 0 when the run came to its end, whatever the store answered."""
    given = arguments(argv)
    try:
        plan = Plan(
            target.here(given.url), rate=given.rate, seconds=given.seconds,
            requests=given.requests, seed=given.seed,
        )  # fmt: skip
        with given.out.open("w") as file:
            journal = Journal(file)
            journal.end(asyncio.run(send(plan, journal)))
    except KubestoreError as error:
        print(error.lines(), file=sys.stderr)
        return 1
    except Dropped as error:
        print(KubestoreError(f"the store at {given.url} does not answer: {error}").lines(), file=sys.stderr)
        return 1
    return 0


class Traffic:
    """Running traffic and what it has met so far."""

    def __init__(self, process: run.Process, journal: Path, log: Path, seconds: float) -> None:
        self.tally = Tally()
        self._process = process
        self._journal = journal
        self._log = log
        self._seconds = seconds

    @staticmethod
    def start(
        url: str, *, rate: float = 300.0, seconds: float = 300.0, requests: int = 200_000, seed: int = 0
    ) -> "Traffic":
        """Start the process and wait for its first answer (10 s). Raises `KubestoreError`."""
        target.here(url)
        folder = Path(tempfile.mkdtemp(prefix="kubestore-traffic-"))
        journal, log = folder / "requests.jsonl", folder / "traffic.log"
        package = str(Path(kubestore.__file__).parents[1])
        process = run.spawn(
            [sys.executable, "-m", "kubestore.prove.traffic", url, "--out", journal, "--rate", str(rate),
             "--seconds", str(seconds), "--requests", str(requests), "--seed", str(seed)],
            log=log, env={"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])},
        )  # fmt: skip
        traffic = Traffic(process, journal, log, seconds)
        with contextlib.ExitStack() as undo:
            undo.callback(process.stop)
            wait.until(traffic._answered, f"a first answer from {url}", 15, every=0.1)
            undo.pop_all()
        return traffic

    def _answered(self) -> bool:
        self.look()
        if not self._process.alive() and not self.tally.requests:
            raise KubestoreError(f"the traffic ended at once: {run.tail(self._log.read_text(), 3)}")
        return self.tally.requests > 0

    def look(self) -> Tally:
        """The tally with everything that has been written so far."""
        self.tally.feed(self._journal)
        return self.tally

    def alive(self) -> bool:
        """Whether it still sends."""
        return self._process.alive()

    def stop(self) -> Tally:
        """Let each client finish the request that it is at, end, and return the whole tally.

        Raises `KubestoreError` when the run did not come to its own end, since its figures are then
        those of a part only.
        """
        self._process.stop(20)
        tally = self.look()
        if not tally.facts:
            raise KubestoreError(
                f"the traffic died: {run.tail(self._log.read_text(), 5)}", f"see {self._log}"
            )
        return tally

    def __enter__(self) -> "Traffic":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
