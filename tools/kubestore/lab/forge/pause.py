"""Checks wait while figures are taken: on GitHub they run on another machine, here they share its processors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubestore.run import Process, start_time


def _file(folder: Path) -> Path:
    return folder / "run" / "measuring.json"


@contextmanager
def measuring(folder: Path) -> Iterator[None]:
    """Let the forge in `folder` run no check until the end of the block, or of this process."""
    if not folder.exists():
        yield
        return
    Process(os.getpid(), start_time(os.getpid()) or 0).save(_file(folder))
    try:
        yield
    finally:
        _file(folder).unlink(missing_ok=True)


def measured(folder: Path) -> bool:
    """Whether somebody takes figures now."""
    return Process.running(_file(folder)) is not None
