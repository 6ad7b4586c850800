"""Small HTTP questions to our own servers, without a proxy and with a time limit."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message

from kubestore.errors import KubestoreError


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Message
    text: str


def get(url: str, timeout: float = 5) -> Answer:
    """GET `url`; an error status is an answer too. Raises `KubestoreError` when nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as reply:
            return Answer(reply.status, reply.headers, reply.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode(errors="replace"))
    except (OSError, ValueError) as error:
        raise KubestoreError(f"{url}: {getattr(error, 'reason', error)}") from error
