"""No load ever leaves this machine."""

import json
import subprocess

import pytest

from kubestore.errors import KubestoreError
from kubestore.prove import target


@pytest.mark.parametrize(
    ("url", "netloc"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:8080/x", "127.0.0.1:8080"),
        ("127.8.9.10:80", "127.8.9.10:80"),
        ("http://198.18.0.11:30080", "198.18.0.11:30080"),
        ("http://198.19.255.255", "198.19.255.255:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_addresses_of_this_machine_and_of_the_test_range_are_allowed(url: str, netloc: str) -> None:
    assert target.parse(url).netloc == netloc


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://192.168.1.1:8080",
        "http://198.20.0.1",
        "http://198.17.255.255",
        "http://example.com",
        "http://127.0.0.1.example.com",
        "https://127.0.0.1",
        "ftp://127.0.0.1",
        "http://0.0.0.0:8080",
        "http://127.0.0.1:99999",
        "http://user@8.8.8.8",
        "",
    ],
)
def test_any_other_address_is_refused_with_a_hint(url: str) -> None:
    with pytest.raises(KubestoreError, match="no load is sent to") as error:
        target.parse(url)
    assert "198.18.0.0/15" in error.value.hint


ROUTES = {
    "a bridge of ours": ([{"dst": "198.18.0.11", "dev": "kubestore0", "prefsrc": "198.18.0.1"}], True),
    "a gateway": ([{"dst": "198.18.0.11", "gateway": "10.0.0.1", "dev": "eth0"}], False),
    "no route": ([], False),
}


@pytest.mark.parametrize("name", ROUTES)
def test_a_test_address_is_loaded_only_when_no_gateway_is_on_the_way(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes, allowed = ROUTES[name]
    answer = subprocess.CompletedProcess(["ip"], 0, json.dumps(routes), "")
    monkeypatch.setattr(target, "run", lambda *_, **__: answer)
    if allowed:
        assert target.here("http://198.18.0.11:30080").port == 30080
    else:
        with pytest.raises(KubestoreError, match="not on this machine now"):
            target.here("http://198.18.0.11:30080")
