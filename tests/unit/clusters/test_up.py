"""`up --cluster …`: what is missing is told at once, nothing is changed before all of it holds, and a dry run shows all."""

import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from kubestore.clusters import pins
from kubestore.lab import verbs
from tests.unit.clusters.conftest import Machine, _line
from tests.unit.clusters.stand_in import OURS

CURRENT = ("up", "--cluster", "current", "--yes")
CRD = {"crd/applications.argoproj.io": {"metadata": {"name": "applications.argoproj.io"}}}


def root(url: str, path: str = "clusters/minikube") -> dict[str, Any]:
    """Argo CD with a root Application."""
    return {
        **CRD,
        "argocd/applications.argoproj.io/root": {"spec": {"source": {"repoURL": url, "path": path}}},
    }


def workload(namespace: str) -> dict[str, Any]:
    """Somebody's Argo CD."""
    return {"deployments,statefulsets": [{"metadata": {"name": "argocd-server", "namespace": namespace}}]}


def test_all_that_is_missing_is_told_at_once(machine: Machine) -> None:
    machine.without("kind")
    machine.facts |= {"daemon": "stopped", "client": "v1.31.0"}
    error = machine.refuses("up", "--cluster", "kind")
    for text in (
        "kind is not installed",
        "daemon does not answer",
        "kubectl 1.31 does not fit Kubernetes 1.37",
    ):
        assert text in error.what
    assert error.what.count("mend:") == 3


@pytest.mark.parametrize(
    ("cluster", "without", "facts", "what"),
    [
        ("kind", "docker", {}, "docker is not installed"),
        ("minikube", "docker", {}, "docker is not installed"),
        ("minikube", "minikube", {}, "minikube is not installed"),
        ("kind", "kubectl", {}, "kubectl is not installed"),
        ("current", "kubectl", {}, "kubectl is not installed"),
        ("current", "git", {}, "git is not installed"),
        ("kind", "", {"daemon": "stopped"}, "the Docker daemon does not answer"),
        ("minikube", "", {"daemon": "stopped"}, "the Docker daemon does not answer"),
        ("kind", "", {"kind-version": "v0.27.0"}, "kind 0.27 is too old, 0.33 is needed"),
        ("kind", "", {"memory": 2}, "Docker has 2.0 GiB of memory"),
        ("minikube", "", {"cpus": 1}, "Docker has 1 CPU"),
        ("kind", "", {"taken": [30080]}, "port 30080 of this machine is taken"),
        ("current", "", {"context": ""}, "kubectl has no current context"),
        ("current", "", {"server": None}, "context elsewhere does not answer"),
        ("current", "", {"rights": "few"}, "context elsewhere has too few rights"),
        ("current", "", {"server": "v1.33.1"}, "kubectl 1.37 does not fit Kubernetes 1.33"),
        ("current", "", {"classes": False}, "elsewhere has no default StorageClass"),
        ("current", "", {"objects": CRD}, "elsewhere has an Argo CD already, which is not ours"),
        ("current", "", {"lists": workload("gitops")}, "has an Argo CD already in namespace gitops"),
        ("current", "", {"lists": workload("argocd")}, "has an Argo CD already in namespace argocd"),
        (
            "current",
            "",
            {"objects": root("https://git.example.org/other.git")},
            "the Argo CD of elsewhere follows clusters/minikube of https://git.example.org/other.git",
        ),
        (
            "current",
            "",
            {"objects": {"namespace/store": {"metadata": {}}}},
            "namespace store is there and not ours",
        ),
        (
            "current",
            "",
            {
                "objects": {
                    "apiservice/v1beta1.metrics.k8s.io": {"metadata": {"name": "v1beta1.metrics.k8s.io"}}
                }
            },
            "elsewhere brings a metrics-server of its own",
        ),
    ],
)
def test_what_is_wrong_is_one_line_with_a_hint_and_nothing_is_changed(
    cluster: str, without: str, facts: dict[str, Any], what: str, machine: Machine
) -> None:
    if without:
        machine.without(without)
    machine.facts |= facts
    error = machine.refuses("up", "--cluster", cluster, "--yes")
    assert error.what.startswith(what) or what in error.what
    assert "\n" not in error.what


def test_a_question_that_fails_never_counts_as_nobody_there(machine: Machine) -> None:
    machine.facts["flaky"] = "crd"
    assert "TLS handshake timeout" in machine.refuses(*CURRENT).what


@pytest.mark.parametrize("stdin", ["n\n", ""])
def test_somebodys_cluster_is_changed_only_after_a_yes(stdin: str, machine: Machine) -> None:
    assert "not confirmed" in machine.refuses("up", "--cluster", "current", stdin=stdin).what


def test_a_fork_without_a_release_is_refused(machine: Machine) -> None:
    name = "apps/store/overlays/minikube/kustomization.yaml"
    machine.edit(name, lambda text: text.replace("newTag: 1", "newTag: unreleased # 1"))
    machine.edit(name, lambda text: "\n".join(line.partition(" #")[0] for line in text.splitlines()) + "\n")
    machine.push()
    assert "names no image of the store for minikube" in machine.refuses(*CURRENT).what


def test_a_folder_that_the_fork_does_not_have_is_refused(machine: Machine) -> None:
    assert "has no clusters/moon/bootstrap" in machine.refuses(*CURRENT, "--as", "moon").what


def test_a_branch_that_the_fork_does_not_have_is_named(machine: Machine) -> None:
    machine.edit("apps/repository/configmap.yaml", lambda text: _line(text, "branch", "live"))
    assert machine.refuses(*CURRENT).what.endswith("has no branch live")


@pytest.fixture
def private() -> Iterator[HTTPServer]:
    """A git host that tells strangers nothing: 401, and 404 for what it says is not there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
            gone = self.path.startswith("/gone")
            self.send_response(404 if gone else 401)
            if not gone:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["shop.git", "gone.git"])
def test_a_fork_that_strangers_cannot_read_is_refused(
    name: str, private: HTTPServer, machine: Machine
) -> None:
    url = f"http://127.0.0.1:{private.server_port}/{name}"
    machine.edit("apps/repository/configmap.yaml", lambda text: _line(text, "url", url))
    error = machine.refuses(*CURRENT)
    assert f"Argo CD cannot read {url}" in error.what
    assert "KUBESTORE_GIT_TOKEN" in error.hint


def test_this_persons_own_git_settings_do_not_open_a_private_fork(
    private: HTTPServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = machine.folder / "gitconfig"
    config.write_text('[credential]\n\thelper = "!echo username=me; echo password=mine #"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    url = f"http://127.0.0.1:{private.server_port}/shop.git"
    machine.edit("apps/repository/configmap.yaml", lambda text: _line(text, "url", url))
    machine.refuses(*CURRENT)
    assert "Basic bWU6bWluZQ==" not in private.seen  # type: ignore[attr-defined]


def test_a_token_is_shown_to_the_forks_host_and_nowhere_else(
    private: HTTPServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBESTORE_GIT_TOKEN", "secret-token")
    monkeypatch.setenv("KUBESTORE_GIT_USERNAME", "me")
    url = f"http://127.0.0.1:{private.server_port}/shop.git"
    machine.edit("apps/repository/configmap.yaml", lambda text: _line(text, "url", url))
    error = machine.refuses(*CURRENT)
    assert "Basic bWU6c2VjcmV0LXRva2Vu" in private.seen  # type: ignore[attr-defined]
    assert "secret-token" not in error.lines() + "".join(machine.calls)


@pytest.mark.parametrize(
    ("cluster", "context", "maker"),
    [
        ("kind", "kind-kubestore", f"kind create cluster --name=kubestore --image={pins.KIND_IMAGE}"),
        ("minikube", "kubestore", "minikube start --profile=kubestore --driver=docker"),
        ("current", "elsewhere", ""),
    ],
)
def test_a_dry_run_shows_every_command_and_runs_none(
    cluster: str, context: str, maker: str, machine: Machine
) -> None:
    done = machine.kubestore("up", "--cluster", cluster, "--dry-run")
    assert done.exit_code == 0, done.output
    assert machine.changes == []
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert lines[0].startswith("git clone --quiet --depth=1 --branch=main -- file://")
    assert any(line.startswith(maker) for line in lines) is bool(maker) or not maker
    steps = [line for line in lines if line.startswith("kubectl ")]
    assert all(shlex.split(line, comments=True)[:3] == ["kubectl", "--context", context] for line in steps)
    verbs = [shlex.split(line, comments=True)[3] for line in steps]
    assert verbs == [
        "apply",
        *["create"] * 5,
        "apply",
        "wait",
        "apply",
        "rollout",
        "rollout",
    ]
    assert "manifests/crds?ref=v3.6.1" in done.stdout
    assert f"{cluster}/tree/clusters/minikube/bootstrap" in done.stdout


def test_a_dry_run_shows_no_secret(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda size: "made-at-random")
    done = machine.kubestore("up", "--cluster", "kind", "--dry-run")
    assert "Secret redis/redis-auth: password" in done.stdout
    assert "made-at-random" not in done.output


def test_a_dry_run_without_tools_and_network_notes_what_is_missing(machine: Machine) -> None:
    machine.without("kind")
    machine.facts["daemon"] = "stopped"
    machine.edit(
        "apps/repository/configmap.yaml", lambda text: _line(text, "url", "file:///nowhere/fork.git")
    )
    done = machine.kubestore("up", "--cluster", "kind", "--dry-run")
    assert done.exit_code == 0, done.output
    for text in ("kind is not installed", "daemon does not answer", "/nowhere/fork.git"):
        assert text in done.stderr
    assert "kind create cluster" in done.stdout


def test_what_is_not_pushed_is_told(machine: Machine) -> None:
    machine.edit("apps/README.md", lambda text: text + "\n")
    from tests.unit.clusters.conftest import git

    git(machine.checkout, "commit", "--quiet", "--all", "-m", "not pushed")
    done = machine.kubestore("up", "--cluster", "kind", "--dry-run")
    assert "What is not pushed is not deployed" in done.stderr


def test_secrets_that_are_there_are_left_alone(machine: Machine) -> None:
    held = {"data": {"password": "cGFzcw=="}}
    ours = {f"namespace/{name}": {"metadata": {"labels": OURS}} for name in ("argocd", "redis", "store")}
    machine.facts["objects"] = {**ours, "redis/secret/redis-auth": held}
    done = machine.kubestore("up", "--cluster", "current", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "Secret redis/redis-auth" not in done.stdout
    assert "Secret store/redis-auth" in done.stdout


def test_the_embedded_cluster_has_no_dry_run(machine: Machine) -> None:
    assert "--dry-run" in machine.refuses("up", "--dry-run").what


def test_a_cluster_of_ones_own_always_gets_argocd(machine: Machine) -> None:
    assert "--without-argocd" in machine.refuses("up", "--cluster", "kind", "--without-argocd").what


@pytest.mark.parametrize(
    ("verb", "facts", "command"),
    [
        ("down", {"kind": "running"}, "docker stop kubestore-control-plane"),
        ("purge", {"kind": "stopped"}, "kind delete cluster --name=kubestore"),
        ("down", {"minikube": "Running"}, "minikube stop --profile=kubestore"),
        ("purge", {"minikube": "Stopped"}, "minikube delete --profile=kubestore"),
    ],
)
def test_down_and_purge_use_the_tool_that_made_the_cluster(
    verb: str, facts: dict[str, str], command: str, machine: Machine
) -> None:
    machine.facts |= facts
    assert machine.kubestore(verb, "--cluster", next(iter(facts))).exit_code == 0
    assert machine.changes == [command]


@pytest.mark.parametrize("verb", ["down", "purge"])
@pytest.mark.parametrize("cluster", ["kind", "minikube"])
def test_down_and_purge_of_what_is_not_there_do_nothing(verb: str, cluster: str, machine: Machine) -> None:
    assert machine.kubestore(verb, "--cluster", cluster).exit_code == 0
    assert machine.changes == []


@pytest.mark.parametrize("verb", ["down", "purge", "status", "load"])
def test_somebody_elses_cluster_is_never_stopped_deleted_or_loaded(verb: str, machine: Machine) -> None:
    machine.facts["objects"] = root("https://git.example.org/other.git")
    words = [verb, "--cluster", "current", *(["--yes"] if verb in ("down", "purge") else [])]
    assert "nothing on it is ours" in machine.refuses(*words).what


def test_status_of_a_cluster_that_is_stopped_says_how_to_start_it(machine: Machine) -> None:
    machine.facts["kind"] = "stopped"
    error = machine.refuses("status", "--cluster", "kind")
    assert (error.what, error.hint) == ("the kind cluster is stopped", "make up CLUSTER=kind")


@pytest.mark.parametrize(
    ("facts", "without", "name"),
    [({}, "", "kind"), ({}, "kind", "minikube"), ({"daemon": "stopped"}, "", ""), ({}, "docker", "")],
)
def test_where_docker_runs_half_an_hour_of_building_can_be_avoided(
    facts: dict[str, Any], without: str, name: str, machine: Machine, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machine.facts |= facts
    machine.kubestore("status", "--cluster", "kind")  # the stand-ins know the facts from here
    if without:
        machine.without(without)
    monkeypatch.setattr("kubestore.lab.programs.missing", lambda: iter(["kubernetes"]))
    verbs._tell_of_docker()
    said = capsys.readouterr().err
    assert (f"`make up CLUSTER={name}` takes minutes" in said) if name else said == ""
    monkeypatch.setattr("kubestore.lab.programs.missing", lambda: iter([]))
    verbs._tell_of_docker()
    assert capsys.readouterr().err == "", "once all is built there is nothing to avoid"
