"""What GitHub would tell Argo CD after a push, signed with the same secret.

Argo CD compares host and path of `repository.html_url` with an Application's repoURL, and with
`manifest-generate-paths` it looks for the Application's folder in the files of `commits`.
"""

import hashlib
import hmac
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from kubestore.errors import KubestoreError

HTML_URL = "http://forge.kubestore.test:3000/kubestore"
LIMIT = 10.0


def payload(old: str, new: str, files: Mapping[str, Sequence[str]]) -> bytes:
    """The body of a push event of branch main; `files` has the keys `added`, `modified`, `removed`."""
    body: dict[str, Any] = {
        "ref": "refs/heads/main",
        "before": old,
        "after": new,
        "repository": {
            "html_url": HTML_URL,
            "default_branch": "main",
            "full_name": "kubestore",
            "name": "kubestore",
        },
        "commits": [{"id": new, **{kind: list(names) for kind, names in files.items()}}],
    }
    return json.dumps(body).encode()


def headers(body: bytes, secret: bytes) -> dict[str, str]:
    """The headers of a delivery, its signature among them."""
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
    }


def send(url: str, body: bytes, secret: bytes) -> None:
    """Deliver one event within `LIMIT` seconds. Raises `KubestoreError` when it was not taken."""
    request = urllib.request.Request(url, body, headers(body, secret), method="POST")  # noqa: S310 - ours
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE  # Argo CD signs its certificate itself; the body carries no secret
    try:
        with urllib.request.urlopen(request, timeout=LIMIT, context=trust):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        with error:
            raise KubestoreError(
                f"{url} answered {error.code}: {error.read(200).decode(errors='replace')}"
            ) from error
    except OSError as error:
        raise KubestoreError(f"{url}: {error}") from error
