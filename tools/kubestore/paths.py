"""Where things are: the checkout, the cache that clones share, the state of instances."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("KUBESTORE_CACHE") or Path.home() / ".cache" / "kubestore")
STATE = Path(os.environ.get("KUBESTORE_STATE") or Path.home() / ".local" / "state" / "kubestore")
