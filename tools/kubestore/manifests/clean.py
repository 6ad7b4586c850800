"""Texts that a slow check has found clean, remembered by their hash, so that the next look is quick.

A text is remembered under everything that the verdict depends on: another version of the checker, another
schema or another setting is another file. Only what was found clean is remembered, never a finding.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from kubestore import paths

MOST = 20_000


class Clean:
    """What one check, `made_of` its program and settings, has found clean."""

    def __init__(self, check: str, *made_of: bytes) -> None:
        digest = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
        self._file = paths.CACHE / "clean" / f"{check}-{digest}"
        try:
            self._known = set(self._file.read_text().split())
        except FileNotFoundError:
            self._known = set()

    def knows(self, text: bytes) -> bool:
        """Whether exactly this text was found clean before."""
        return _digest(text) in self._known

    def learn(self, texts: Iterable[bytes]) -> None:
        """Remember these; a file that has grown too long is begun anew."""
        new = {_digest(text) for text in texts} - self._known
        if not new:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        mode = "w" if len(self._known) > MOST else "a"
        with self._file.open(mode) as file:
            file.write("".join(f"{digest}\n" for digest in sorted(new)))
        self._known |= new


def of_folder(folder: Path) -> bytes:
    """A hash of every file in a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.digest()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
