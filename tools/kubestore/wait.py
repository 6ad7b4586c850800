"""Bounded waiting: every wait has a limit and says what it last saw."""

import time
from collections.abc import Callable
from typing import TypeVar

from kubestore.errors import KubestoreError

T = TypeVar("T")


def until(
    check: Callable[[], T | None],
    what: str,
    timeout: float,
    every: float = 0.5,
    last: Callable[[], str] | None = None,
) -> T:
    """Call `check` every `every` seconds until it returns something true, and return that.

    A `KubestoreError` raised by `check` counts as "not yet" and is what was last seen, unless `last`
    tells better. Raises `KubestoreError` after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    seen = "nothing yet"
    while True:
        try:
            found = check()
            if found:
                return found
        except KubestoreError as error:
            seen = error.what
        if time.monotonic() >= deadline:
            raise KubestoreError(f"{what}: not within {timeout:.0f} s; last seen: {last() if last else seen}")
        time.sleep(every)
