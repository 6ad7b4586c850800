"""What a fork must set on GitHub: one source for the verb and the page, in step with the workflows."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kubestore.manifests import adopt, repository
from kubestore.paths import REPO
from kubestore.release import github, verbs

WORKFLOWS = {
    file.name: yaml.safe_load(file.read_text()) for file in (REPO / ".github/workflows").glob("*.yaml")
}


def shown(*words: str) -> str:
    done = CliRunner().invoke(verbs.show_github, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_the_page_is_what_the_verb_prints() -> None:
    assert (REPO / "docs/github.md").read_text() == shown("--markdown"), (
        "kubestore github --markdown > docs/github.md"
    )


def test_the_verb_tells_every_setting_of_the_page() -> None:
    whose = repository.load(REPO)
    text = shown()
    for one in github.settings(whose):
        for part in (one.title, one.why, one.where, *one.commands):
            assert part in text


def test_another_forks_page_names_that_fork_alone() -> None:
    other = repository.Repository(
        "https://github.com/you/shop.git", "main", "someone", "a.example", "b.example"
    )
    page = github.markdown(other)
    assert "github.com/you/shop" in page
    assert "kubestore-dev" not in page


@pytest.mark.parametrize(("mode", "through"), [("push", ["DeployKey"]), ("pr", [])])
def test_only_the_bumps_key_goes_round_the_protection(mode: str, through: list[str]) -> None:
    rules = json.loads(shown("--ruleset", mode))
    assert [actor["actor_type"] for actor in rules["bypass_actors"]] == through
    assert {"deletion", "non_fast_forward", "pull_request"} <= {rule["type"] for rule in rules["rules"]}


def test_the_required_check_is_a_job_of_every_pull_request() -> None:
    checks = [rule for rule in github.ruleset("push")["rules"] if rule["type"] == "required_status_checks"]
    names = [one["context"] for one in checks[0]["parameters"]["required_status_checks"]]
    check = WORKFLOWS["check.yaml"]
    assert "pull_request" in check[True]  # YAML 1.1 reads `on` so
    assert names == [job["name"] for job in check["jobs"].values()]


def test_variables_and_secrets_that_the_workflows_read_are_told() -> None:
    text = (REPO / ".github/workflows/release.yaml").read_text()
    told = shown()
    for name in ("vars.BUMP_MODE", "vars.KUBESTORE_ENV", "secrets.BUMP_KEY"):
        assert name in text
        assert name.partition(".")[2] in told


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_grants_nothing_but_what_a_job_names_and_pins_its_actions(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert "uses" not in step or len(step["uses"].partition("@")[2]) == 40


def test_a_pull_request_cannot_write_anything() -> None:
    for job in WORKFLOWS["check.yaml"]["jobs"].values():
        assert job["permissions"] == {"contents": "read"}


def test_code_owners_are_the_owner_of_the_one_file() -> None:
    owner = repository.load(REPO).owner
    lines = [
        line.split() for line in (REPO / ".github/CODEOWNERS").read_text().splitlines() if line[:1] != "#"
    ]
    assert {name for line in lines for name in line[1:]} == {f"@{owner}"}
    for line in lines:
        pattern = line[0].strip("/")
        assert pattern == "*" or list(REPO.glob(pattern)), pattern


def test_an_adopted_forks_page_and_owners_are_its_own(tmp_path: Path) -> None:
    for name in ("docs/github.md", ".github/CODEOWNERS", str(repository.FILE)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    adopt.adopt(tmp_path, "https://github.com/you/shop.git", "someone")
    assert (tmp_path / "docs/github.md").read_text() == github.markdown(repository.load(tmp_path))
    assert "@someone" in (tmp_path / ".github/CODEOWNERS").read_text()


def test_dependabot_looks_where_there_is_something() -> None:
    for update in yaml.safe_load((REPO / ".github/dependabot.yml").read_text())["updates"]:
        wanted = {
            "github-actions": ".github/workflows/*.yaml",
            "pip": "*.in",
            "gomod": "go.mod",
            "docker": "Dockerfile",
        }
        for folder in update.get("directories") or [update["directory"]]:
            pattern = f"{folder.strip('/')}/{wanted[update['package-ecosystem']]}".lstrip("/")
            assert list(REPO.glob(pattern)), pattern


def test_renovate_looks_at_kustomizations_alone_and_leaves_the_stores_image_to_its_release() -> None:
    settings = json.loads((REPO / ".github/renovate.json").read_text())
    assert settings["enabledManagers"] == ["kustomize"]
    off = [rule["matchPackageNames"] for rule in settings["packageRules"] if rule.get("enabled") is False]
    assert off == [["ghcr.io/**/kubestore-store"]]
    held = {name for rule in settings["packageRules"] for name in rule["matchPackageNames"]}
    for name in ("argoproj/argo-cd", "kubernetes-sigs/metrics-server", "docker.io/library/redis"):
        assert name in held
