"""What a person sees while waiting: steps with elapsed time, bars and tables, all on standard error."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType


def say(text: str) -> None:
    """One line (or more) on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """Rows under headers, columns aligned to the left."""
    cells = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


class Step:
    """One step of a long work: a live line on a terminal, one line at its end elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.began = time.monotonic()
        self._live = sys.stderr.isatty()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def note(self, detail: str) -> None:
        """What is being done just now, such as `412/1630 packages`."""
        self.detail = detail

    def _line(self, mark: str) -> str:
        elapsed = time.monotonic() - self.began
        return f"{mark} {self.title:<44} {elapsed:6.1f} s  {self.detail}".rstrip()

    def _tick(self) -> None:
        pause = 0.2 if self._live else 20.0
        while not self._done.wait(pause):
            if self._live:
                print("\r\x1b[2K" + self._line("·")[:118], end="", file=sys.stderr, flush=True)
            else:
                say(self._line("·"))

    def __enter__(self) -> "Step":
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._done.set()
        self._ticker.join()
        print("\r\x1b[2K" if self._live else "", end="", file=sys.stderr)
        say(self._line("✗" if kind else "✓"))


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show `title` with the seconds it takes; `note()` tells what is under way."""
    with Step(title) as shown:
        yield shown
