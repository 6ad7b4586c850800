"""Digests of other people's images: asked of a real HTTP server, written whole, never of another tag."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from kubestore.errors import KubestoreError
from kubestore.manifests import digests, objects, remotes, render
from kubestore.manifests.objects import World
from kubestore.paths import REPO
from kubestore.run import run

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


class Registry(BaseHTTPRequestHandler):
    """Gives a manifest to whoever has fetched a token; `lie` has another digest than it says."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.path.startswith("/token?"):
            scope = "scope=repository%3Aa%2Fb%3Apull" in self.path
            self._send(200, json.dumps({"token": "anybody" if scope else "wrong"}).encode())
        elif self.headers.get("Authorization") != "Bearer anybody":
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="r",scope="repository:a/b:pull"'
            self._send(401, b"", {"WWW-Authenticate": realm})
        elif self.path.endswith("/gone"):
            self._send(404, b"")
        else:
            lie = {"Docker-Content-Digest": "sha256:" + "0" * 64}
            self._send(
                200, MANIFEST, lie if self.path.endswith("/lie") else {"Docker-Content-Digest": DIGEST}
            )

    def _send(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}/a/b"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def world() -> World:
    """The checkout, rendered."""
    return objects.world(REPO, render.build_all(REPO, remotes.gitconfig()))


def test_a_digest_is_counted_from_what_the_registry_sends(registry: str) -> None:
    assert digests.resolve(f"{registry}:1.0") == DIGEST


@pytest.mark.parametrize(("tag", "said"), [("lie", "says sha256:0000"), ("gone", "404")])
def test_a_registry_that_lies_or_lacks_the_tag_is_told(tag: str, said: str, registry: str) -> None:
    with pytest.raises(KubestoreError, match=said):
        digests.resolve(f"{registry}:{tag}")


def test_a_registry_that_is_silent_is_told() -> None:
    with pytest.raises(KubestoreError, match=r"127\.0\.0\.1:9/a/b:1"):
        digests.resolve("127.0.0.1:9/a/b:1")


def test_no_kept_digest_is_of_a_tag_that_is_no_longer_used(world: World) -> None:
    assert digests.stale(world) == [], "kubestore images --pin, or remove these from digests.json"
    assert (REPO / digests.COMPONENT).read_text() == digests.component(digests.kept(REPO))


def test_a_digest_of_another_tag_would_be_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "kept", lambda root: {"quay.io/argoproj/argocd:v0.0.1": DIGEST})
    assert digests.stale(world) == ["quay.io/argoproj/argocd:v0.0.1"]


def test_only_other_peoples_images_of_clusters_that_pull_are_wanted(world: World) -> None:
    found = digests.wanted(world)
    assert any(name.startswith("quay.io/argoproj/argocd:v") for name in found)
    assert not any("kubestore-store" in name or "local-path" in name for name in found)


def test_pinning_writes_nothing_when_one_registry_is_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (REPO / digests.COMPONENT).read_text()

    def resolve(reference: str) -> str:
        if reference.startswith("registry.k8s.io"):
            raise KubestoreError("silent")
        return DIGEST

    monkeypatch.setattr(digests, "resolve", resolve)
    with pytest.raises(KubestoreError, match="silent"):
        digests.pin(world)
    assert (REPO / digests.COMPONENT).read_text() == before


@pytest.fixture
def pinned(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout with every digest filled in."""
    for name in ("apps", "clusters"):
        shutil.copytree(REPO / name, tmp_path / name)
    (tmp_path / digests.KEPT).parent.mkdir(parents=True)
    names = sorted(digests.wanted(world))
    (tmp_path / digests.KEPT).write_text(json.dumps(dict.fromkeys(names, DIGEST)))
    (tmp_path / digests.COMPONENT).write_text(digests.component(dict.fromkeys(names, DIGEST)))
    return tmp_path


@pytest.mark.parametrize("app", ["argocd", "metrics-server", "redis"])
@pytest.mark.parametrize(("cluster", "has"), [("minikube", True), ("production", True), ("embedded", False)])
def test_filled_in_they_reach_every_cluster_but_the_embedded_one(
    app: str, cluster: str, has: bool, pinned: Path
) -> None:
    from kubestore.lab import programs

    folder = pinned / "apps" / app / "overlays" / cluster
    text = run([programs.path("kustomize"), "build", folder], env=remotes.gitconfig(), timeout=120).stdout
    images = [
        container["image"]
        for item in yaml.safe_load_all(text)
        if item["kind"] in ("Deployment", "StatefulSet")
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    assert images
    assert all(image.endswith(f"@{DIGEST}") is has for image in images), images
    assert all(":" in image.partition("@")[0] for image in images), "the tag must stay, for people to read"
