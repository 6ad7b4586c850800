"""kubectl, against one kubeconfig."""

import json
from pathlib import Path
from typing import Any

from kubestore.lab import programs
from kubestore.run import run


class Kubectl:
    """The cluster behind one kubeconfig file."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def run(self, *args: str | Path, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl and return what it printed. Raises CommandFailed."""
        command = [programs.path("kubectl"), "--kubeconfig", self.kubeconfig, *args]
        return run(command, input=input, timeout=timeout).stdout

    def json(self, *args: str | Path, timeout: float = 60) -> Any:
        """The same with `-o json`, parsed."""
        return json.loads(self.run(*args, "-o", "json", timeout=timeout))
