"""The only addresses that a proof may send to: this machine, and the range that is set aside for tests."""

import ipaddress
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from kubestore.errors import KubestoreError
from kubestore.run import run

ALLOWED = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
    ipaddress.ip_network("198.18.0.0/15"),  # RFC 2544: for tests of network devices, never routed
)


@dataclass(frozen=True)
class Target:
    """A store that may be loaded: a literal address and a port."""

    host: str
    port: int

    @property
    def netloc(self) -> str:
        """The address as the Host header and a URL have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"http://{self.netloc}"


def parse(url: str) -> Target:
    """The target that `url` names.

    Raises `KubestoreError` for anything but plain http to a literal address inside `ALLOWED`: a name
    could come to mean another machine while the load runs.
    """
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        port = parts.port or 80
    except ValueError as error:
        raise refused(url, f"has a port that is no port ({error})") from error
    if parts.scheme not in ("", "http"):
        raise refused(url, f"is {parts.scheme}, not plain http")
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise refused(url, "is not a literal address") from error
    if not any(address in network for network in ALLOWED):
        raise refused(url, "is not ours")
    return Target(host, port)


def here(url: str) -> Target:
    """The target that `url` names, when this machine reaches it without a gateway.

    With the cluster down its addresses would leave by the default route, to whoever answers there: raises
    `KubestoreError` then, as for a foreign address.
    """
    found = parse(url)
    if ipaddress.ip_address(found.host).is_loopback:
        return found
    routes = json.loads(
        run(["ip", "-json", "route", "get", found.host], check=False, timeout=10).stdout or "[]"
    )
    if not routes or any("gateway" in route or "dev" not in route for route in routes):
        raise KubestoreError(f"no load is sent to {url}: it is not on this machine now", "is it up? make up")
    return found


def refused(url: str, why: str) -> KubestoreError:
    """The error that every load against a foreign address ends with."""
    ranges = ", ".join(str(network) for network in ALLOWED)
    return KubestoreError(f"no load is sent to {url}: it {why}", f"allowed are addresses in {ranges}")
