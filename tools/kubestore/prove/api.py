"""Reading the API server over one kept connection: a look costs about 2 ms, a kubectl 50 times that.

Proofs look several times a second while two cores are shared with what they measure, hence this. Changes
to the cluster go through kubectl.
"""

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubestore.errors import KubestoreError

TIMEOUT = 5.0


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The entry called `name` in one of a kubeconfig's lists."""
    for item in items:
        if item["name"] == name:
            return item
    raise KubestoreError(f"the kubeconfig has no entry {name}")


class Api:
    """One API server, with the identity of a kubeconfig's current context."""

    def __init__(self, kubeconfig: Path) -> None:
        try:
            config = yaml.safe_load(kubeconfig.read_text())
        except OSError as error:
            raise KubestoreError(f"{kubeconfig}: {error.strerror}", "is the cluster up? `make up`") from error
        context = named(config["contexts"], config["current-context"])["context"]
        cluster = named(config["clusters"], context["cluster"])["cluster"]
        user = named(config["users"], context["user"])["user"]
        self._netloc = urlsplit(cluster["server"]).netloc
        self._tls = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as identity:
            for part in ("client-certificate-data", "client-key-data"):
                identity.write(base64.b64decode(user[part]) + b"\n")
            identity.flush()
            self._tls.load_cert_chain(identity.name)
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str, timeout: float = TIMEOUT) -> Any:
        """GET a path and return the object. Raises `KubestoreError`; a 404 has `not found` in its text."""
        return json.loads(self.text(path, timeout))

    def text(self, path: str, timeout: float = TIMEOUT) -> str:
        """The same without reading it as JSON."""
        for kept in (True, False):
            reused = self._connection is not None
            try:
                return self._ask(path, timeout)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not (kept and reused):
                    raise KubestoreError(f"API server: {type(error).__name__} {error}") from error
        raise AssertionError("unreachable")

    def _ask(self, path: str, timeout: float) -> str:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self._netloc, context=self._tls, timeout=timeout)
        self._connection.request("GET", path, headers={"Accept": "application/json"})
        answer = self._connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        if answer.status == 404:
            raise KubestoreError(f"{path}: not found")
        if answer.status != 200:
            raise KubestoreError(f"{path}: {answer.status} {body[:200]}")
        return body

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
