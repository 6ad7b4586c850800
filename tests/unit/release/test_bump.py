"""The bump writes one line, pushes it, and never goes back, against a real git repository."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubestore.errors import KubestoreError
from kubestore.release import bump as bumping
from kubestore.release import verbs
from kubestore.release.bump import bump, named, only_bumps, overlay, written

DIGEST = "sha256:" + "a" * 64
TEXT = "images:\n  - name: ghcr.io/OWNER/kubestore-store\n    newTag: unreleased\n"


def git(at: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@kubestore.test", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=at, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(at: Path, subject: str) -> str:
    git(at, "commit", "--quiet", "--allow-empty", "-m", subject)
    git(at, "push", "--quiet", "origin", "HEAD:main")
    return git(at, "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(tmp_path, "clone", "--quiet", "origin.git", "clone")
    at = tmp_path / "clone"
    file = at / overlay("embedded")
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    git(at, "add", ".")
    commit(at, "start")
    return at


def test_one_line_changes_and_the_commit_says_from_what_to_what(clone: Path) -> None:
    tag = commit(clone, "feat: a change")
    assert bump("embedded", tag, DIGEST, clone)
    git(clone, "fetch", "--quiet", "origin")
    assert (
        git(clone, "log", "-1", "--format=%s", "origin/main")
        == f"deploy(embedded): store unreleased -> {tag}"
    )
    assert git(clone, "diff", "--numstat", "origin/main~1", "origin/main").split()[:2] == ["1", "1"]
    assert named((clone / overlay("embedded")).read_text(), Path("x")) == f"{tag}@{DIGEST}"


def test_the_second_bump_to_the_same_image_changes_nothing(clone: Path) -> None:
    tag = commit(clone, "feat: a change")
    assert bump("embedded", tag, DIGEST, clone)
    assert not bump("embedded", tag, DIGEST, clone)


def test_an_older_release_never_replaces_a_newer_one(clone: Path) -> None:
    older, newer = commit(clone, "feat: one"), commit(clone, "feat: two")
    assert bump("embedded", newer, DIGEST, clone)
    assert not bump("embedded", older, DIGEST, clone)


@pytest.mark.parametrize(("tag", "digest"), [("latest", DIGEST), ("a" * 12, "sha256:short"), ("", "")])
def test_what_is_no_tag_or_digest_is_refused(tag: str, digest: str, clone: Path) -> None:
    with pytest.raises(KubestoreError, match="no tag and digest"):
        bump("embedded", tag, digest, clone)


def test_an_unknown_environment_is_named(clone: Path) -> None:
    with pytest.raises(KubestoreError, match="moon"):
        bump("moon", "a" * 12, DIGEST, clone)


@pytest.mark.parametrize("text", ["images: []\n", TEXT + TEXT])
def test_a_file_without_exactly_one_tag_is_refused(text: str) -> None:
    with pytest.raises(KubestoreError, match="newTag lines"):
        named(text, Path("kustomization.yaml"))


def test_nothing_but_the_value_is_written() -> None:
    assert written(TEXT, "b@c") == TEXT.replace("unreleased", "b@c")


NEXT = TEXT.replace("unreleased", f"{'b' * 12}@{DIGEST}")


@pytest.mark.parametrize(
    ("after", "only"),
    [
        (NEXT, True),
        (NEXT + "replicas: []\n", False),
        (NEXT.replace("OWNER", "SOMEBODY"), False),
        (TEXT.replace("unreleased", "latest"), False),
        ("images: []\n", False),
    ],
)
def test_only_a_change_of_the_tag_to_a_release_is_a_bump(after: str, only: bool) -> None:
    assert only_bumps(TEXT, after) is only


def hook(clone: Path, text: str) -> None:
    file = clone.parent / "origin.git" / "hooks" / "pre-receive"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_a_refusal_is_reported_at_once_with_its_words(clone: Path) -> None:
    tag = commit(clone, "feat: a change")
    hook(clone, 'echo "error: main is protected"; exit 1')
    with pytest.raises(KubestoreError, match=r"refused\n(.|\n)*main is protected"):
        bump("embedded", tag, DIGEST, clone)


def test_a_lost_race_is_run_again_on_the_new_main(clone: Path) -> None:
    tag = commit(clone, "feat: a change")
    git(clone.parent, "clone", "--quiet", "origin.git", "rival")
    rival = clone.parent / "rival"
    raced = clone.parent / "raced"
    local = clone / ".git" / "hooks" / "pre-push"
    push = (
        f"git -C {rival} -c user.name=r -c user.email=r@kubestore.test commit --quiet --allow-empty -m rival"
    )
    local.write_text(
        "#!/bin/sh\n"
        f"test -e {raced} && exit 0\ntouch {raced}\nunset GIT_DIR\n"
        f"{push} && git -C {rival} push --quiet origin HEAD:main\n"
    )
    local.chmod(0o755)
    assert bump("embedded", tag, DIGEST, clone)
    git(rival, "fetch", "--quiet", "origin", "main")
    subjects = git(rival, "log", "--format=%s", "-2", "FETCH_HEAD")
    assert subjects.splitlines() == [f"deploy(embedded): store unreleased -> {tag}", "rival"]


def test_in_the_mode_of_pull_requests_main_stays_and_a_branch_of_its_own_is_pushed(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUMP_MODE", "pr")
    tag = commit(clone, "feat: a change")
    branch = bump("embedded", tag, DIGEST, clone)
    assert branch == f"deploy/embedded/{tag}"
    git(clone, "fetch", "--quiet", "origin")
    assert git(clone, "log", "-1", "--format=%s", "origin/main") == "feat: a change"
    subject = git(clone, "log", "-1", "--format=%s", f"origin/{branch}")
    assert subject == f"deploy(embedded): store unreleased -> {tag}"


def test_a_release_that_is_run_again_finds_its_branch(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUMP_MODE", "pr")
    tag = commit(clone, "feat: a change")
    assert bump("embedded", tag, DIGEST, clone) == bump("embedded", tag, DIGEST, clone)
    assert len(git(clone, "ls-remote", "--heads", "origin").splitlines()) == 2


def test_an_unknown_mode_is_refused_before_anything_is_pushed(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = commit(clone, "feat: a change")
    monkeypatch.setenv("BUMP_MODE", "mail")
    with pytest.raises(KubestoreError, match="BUMP_MODE=mail"):
        bump("embedded", tag, DIGEST, clone)
    assert git(clone, "ls-remote", "--heads", "origin").count("\n") == 0


@pytest.mark.parametrize(("mode", "told"), [("push", ""), ("pr", "deploy/embedded/{0} deploy/staging/{0}")])
def test_the_verb_names_several_environments_and_tells_the_pipeline_of_branches(
    mode: str, told: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = clone / overlay("staging")
    second.parent.mkdir(parents=True)
    second.write_text(TEXT)
    git(clone, "add", ".")
    tag = commit(clone, "feat: a change")
    output = clone.parent / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setenv("BUMP_MODE", mode)
    monkeypatch.setattr(bumping.bump, "__defaults__", (clone,))
    words = ["--env", "embedded staging", "--tag", tag, "--digest", DIGEST]
    assert CliRunner().invoke(verbs.bump, words, catch_exceptions=False).exit_code == 0
    assert output.read_text() == f"branches={told.format(tag)}\n"
