"""The repository's own manifests: they pass, a fork can adopt them, and what is said of them is true."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubestore.errors import KubestoreError
from kubestore.lab import programs
from kubestore.manifests import (
    adopt,
    flows,
    images,
    objects,
    remotes,
    render,
    repository,
    schemas,
    validate,
    verbs,
)
from kubestore.manifests.objects import World
from kubestore.paths import REPO

BEFORE = repository.load(REPO)
SECONDS = 20
# argocd asks for a cluster's address, though it looks at a file only.
NOWHERE = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {"token": "none"}}],
        "current-context": "nowhere",
    }
)


@pytest.fixture(scope="module")
def report() -> validate.Report:
    """One validation of the checkout."""
    return validate.validate(REPO, fast=True)


@pytest.fixture(scope="module")
def world() -> World:
    """The checkout, rendered."""
    return objects.world(REPO, render.build_all(REPO, remotes.gitconfig()))


def test_the_repository_passes_and_nothing_is_skipped(report: validate.Report) -> None:
    assert report.findings == []
    assert (report.checked, report.skipped) == (report.seen, 0)
    assert report.builds >= 28


def test_every_kind_that_we_deploy_has_a_committed_schema(world: World) -> None:
    assert {obj.kind.file for obj in world.objects} <= schemas.known()


def test_two_clusters_differ_in_their_overlays_only() -> None:
    for file in ("redis.yaml", "store.yaml", "argocd.yaml"):
        texts = {
            (REPO / "clusters" / name / file).read_text().replace(name, "X")
            for name in ("staging", "production")
        }
        assert len(texts) == 1


def test_our_images_are_pinned_and_listed_for_every_cluster(world: World) -> None:
    used = images.used(world)
    assert {use.cluster for use in used} == {"embedded", "minikube", "production", "staging"}
    assert all(use.tag or use.digest for use in used)
    redis = {use.tag for use in used if use.image == "docker.io/library/redis"}
    assert len(redis) == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ghcr.io/a/b:1@sha256:00", ("ghcr.io/a/b", "1", "sha256:00")),
        ("registry:5000/a/b", ("registry:5000/a/b", "", "")),
        ("docker.io/library/redis:8.0.2", ("docker.io/library/redis", "8.0.2", "")),
    ],
)
def test_an_image_is_split_at_tag_and_digest_but_not_at_a_port(
    text: str, parts: tuple[str, str, str]
) -> None:
    assert images.split(text) == parts


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """A copy of the checkout without its history."""
    ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "results", "node_modules")
    return Path(shutil.copytree(REPO, tmp_path / "fork", ignore=ignore))


def test_a_fork_is_adopted_in_one_command_and_still_passes(fork: Path) -> None:
    changed = adopt.adopt(fork, "https://git.example.org/you/shop.git", "someone-else", "shop.example.org")
    assert str(repository.FILE) in changed
    after = repository.load(fork)
    assert (after.url, after.owner) == ("https://git.example.org/you/shop.git", "someone-else")
    assert (after.host, after.staging_host) == ("shop.example.org", "staging.shop.example.org")
    for file in (path for path in fork.rglob("*") if path.is_file()):
        text = file.read_bytes()
        assert BEFORE.owner.encode() not in text, file
        assert BEFORE.host.encode() not in text, file
    assert validate.validate(fork, fast=True).findings == []


def test_adopting_the_same_name_again_changes_nothing(fork: Path) -> None:
    assert adopt.adopt(fork, BEFORE.url, BEFORE.owner, BEFORE.host) == []


@pytest.mark.parametrize(
    ("url", "owner", "host"),
    [
        ("git@github.com:you/shop.git", "you", ""),
        ("https://github.com/you/shop", "You", ""),
        ("https://github.com/you/shop", "you", "localhost"),
        ("", "you", ""),
    ],
)
def test_a_wrong_argument_of_adopt_changes_no_file(fork: Path, url: str, owner: str, host: str) -> None:
    before = (fork / repository.FILE).read_text()
    with pytest.raises(KubestoreError, match="is not one"):
        adopt.adopt(fork, url, owner, host)
    assert (fork / repository.FILE).read_text() == before


def test_a_damaged_repository_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "apps" / "repository").mkdir(parents=True)
    (tmp_path / repository.FILE).write_text("data: {}\n")
    with pytest.raises(KubestoreError, match="url"):
        repository.load(tmp_path)


def test_validate_prints_each_finding_on_a_line_and_fails(tmp_path: Path) -> None:
    tree = shutil.copytree(REPO / "tests/manifests/valid", tmp_path / "tree")
    service = tree / "apps/web/base/service.yaml"
    service.write_text(service.read_text().replace("targetPort: http", "targetPort: https"))
    for form, wanted in (
        (
            "text",
            "apps/web/base/service.yaml:12  Service/web  spec.ports[0].targetPort: https is no named port",
        ),
        ("github", "::error file=apps/web/base/service.yaml,line=12,title=service-port::Service/web"),
    ):
        done = CliRunner().invoke(verbs.validate, ["--fast", "--root", str(tree), "--format", form])
        assert done.exit_code == 1
        assert done.stdout.startswith(wanted)
    done = CliRunner().invoke(verbs.validate, ["--fast", "--root", str(tree), "--format", "json"])
    assert json.loads(done.stdout)[0]["rule"] == "service-port"
    assert "1 findings" in done.stderr


def test_validate_says_what_it_counted(tmp_path: Path) -> None:
    done = CliRunner().invoke(verbs.validate, ["--fast", "--root", str(REPO / "tests/manifests/valid")])
    assert done.exit_code == 0
    assert "25 objects seen, 25 checked, 0 skipped" in done.stderr


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(verbs.validate, ["--root", str(tmp_path)])
    assert isinstance(done.exception, KubestoreError)
    assert "clusters" in done.exception.what


def test_a_remote_base_that_cannot_be_reached_is_counted_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Path(shutil.copytree(REPO / "tests/manifests/valid", tmp_path / "tree"))
    file = tree / "apps/spaces/base/kustomization.yaml"
    gone = "https://127.0.0.1:9/nobody/nothing//deploy?ref=v1"
    file.write_text(file.read_text().replace("resources:\n", f"resources:\n  - {gone}\n"))
    monkeypatch.setattr(remotes, "gitconfig", dict)
    report = validate.validate(tree, fast=True)
    assert [text.partition(":")[0] for text in report.not_rendered] == ["apps/spaces/base"]


def test_all_of_it_takes_its_seconds(report: validate.Report) -> None:
    again = validate.validate(REPO, fast=True)
    assert again.seconds < SECONDS


# Only a cluster needs it, and its build takes minutes, so that `make test` does not ask for it.
needs_argocd = pytest.mark.skipif(
    not (programs.COMPONENTS["kubernetes"].built / "argocd").exists(),
    reason="argocd is not built; `make up` builds it",
)


@needs_argocd
@pytest.mark.parametrize(
    ("kind", "status", "wanted"),
    [
        ("app", {}, "Progressing"),
        ("app", {"health": {"status": "Degraded"}}, "Degraded"),
        ("hpa", {}, "Progressing"),
        ("hpa", {"conditions": [("ScalingActive", "False", "FailedGetResourceMetric")]}, "Progressing"),
        ("hpa", {"conditions": [("AbleToScale", "True", "ReadyForNewScale")]}, "Healthy"),
        ("hpa", {"conditions": [("AbleToScale", "False", "FailedGetScale")]}, "Degraded"),
    ],
)
def test_argocd_reads_our_health_checks(
    kind: str, status: dict[str, object], wanted: str, world: World, tmp_path: Path
) -> None:
    from kubestore.run import run

    settings = next(obj for obj in world.objects if obj.subject == "ConfigMap/argocd-cm")
    (tmp_path / "cm.yaml").write_text(json.dumps(settings.data))
    version, name = {
        "app": ("argoproj.io/v1alpha1", "Application"),
        "hpa": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    }[kind]
    if isinstance(listed := status.get("conditions"), list):
        status = {"conditions": [dict(zip(("type", "status", "reason"), one, strict=True)) for one in listed]}
        for condition in status["conditions"]:  # type: ignore[attr-defined]
            condition["message"] = "why"
    document = {"apiVersion": version, "kind": name, "metadata": {"name": "x"}, "spec": {}, "status": status}
    (tmp_path / "object.yaml").write_text(json.dumps(document))
    command = ["admin", "settings", "resource-overrides", "health", tmp_path / "object.yaml"]
    options = ["--argocd-cm-path", tmp_path / "cm.yaml", "--load-cluster-settings=false"]
    said = run([programs.path("argocd"), *command, *options], timeout=30).stdout
    assert f"STATUS: {wanted}" in said


@needs_argocd
@pytest.mark.parametrize(
    ("cluster", "who", "what", "may"),
    [
        ("minikube", "viewer", ("get", "applications", "store/store"), "Yes"),
        ("minikube", "viewer", ("sync", "applications", "store/store"), "No"),
        ("minikube", "somebody", ("get", "applications", "store/store"), "No"),
        ("production", "viewer", ("get", "applications", "store/store"), "No"),
        ("production", "kubestore-viewers", ("get", "logs", "store/store"), "Yes"),
        ("production", "kubestore-viewers", ("update", "applications", "store/store"), "No"),
        ("production", "kubestore-deployers", ("sync", "applications", "store/store"), "Yes"),
        ("production", "kubestore-deployers", ("sync", "applications", "data/redis"), "No"),
    ],
)
def test_argocd_gives_each_role_its_rights_and_no_more(
    cluster: str, who: str, what: tuple[str, str, str], may: str, world: World, tmp_path: Path
) -> None:
    from kubestore.run import run

    build = next(one for one in world.clusters if one.name == cluster)
    found = next(obj for obj in build.objects if obj.subject == "ConfigMap/argocd-rbac-cm")
    lines = [text for key, text in sorted(found.data["data"].items()) if key.endswith(".csv")]
    file = tmp_path / "policy.csv"
    file.write_text("\n".join(lines))
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    command = ["admin", "settings", "rbac", "can", who, *what, "--policy-file", file]
    env = {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    assert run([programs.path("argocd"), *command], env=env, timeout=30, check=False).stdout.strip() == may


def test_every_application_links_to_its_repository(world: World) -> None:
    for cluster in world.clusters:
        for application in cluster.applications:
            source = application.obj.get("spec", "source") or application.obj.get("spec", "sources")[-1]
            link = application.obj.annotations.get("link.argocd.argoproj.io/repository", "")
            assert link.startswith("Repository|http"), application.obj.name
            assert (
                source.get("repoURL") is None
                or "chart" in source
                or link == f"Repository|{source['repoURL']}"
            )


def test_the_page_of_policies_is_what_is_rendered(world: World) -> None:
    assert (REPO / "docs/policies.md").read_text() == flows.page(world), (
        "run `kubestore policies > docs/policies.md`"
    )


@pytest.mark.parametrize("folder", ["apps", "clusters"])
def test_every_app_opens_with_a_short_readme(folder: str) -> None:
    files = [
        REPO / folder / "README.md",
        *((path / "README.md") for path in (REPO / "apps").iterdir() if path.is_dir()),
    ]
    for file in files:
        assert len(file.read_text().splitlines()) <= 25, file
