"""Content keys, so that what is made from a file is made again only when the file says something else."""

import hashlib
from pathlib import Path


def requirements_key(root: Path) -> str:
    """Names the Python environment that a checkout needs; the Makefile names its stamp alike."""
    return hashlib.sha256((root / "requirements" / "dev.txt").read_bytes()).hexdigest()[:12]
