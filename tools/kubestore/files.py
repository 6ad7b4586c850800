"""Files that are there whole or not at all, so that a full disk or a killed process breaks none."""

import os
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace a file's text; `mode` is that of the file before the umask. What was there stays when it fails."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        partial.touch(mode=mode)
        partial.write_text(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
