"""What the blueprints work with, and how they reach it."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from store.db import Database
from store.metrics import Metrics
from store.settings import Settings
from store.snapshot import Snapshot


@dataclass(frozen=True)
class Parts:
    """One of each for an application."""

    settings: Settings
    metrics: Metrics
    db: Database
    snapshot: Snapshot


def parts() -> Parts:
    """The parts of the application that handles the current request."""
    return cast(Parts, current_app.extensions["store"])
