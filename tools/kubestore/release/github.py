"""What must be set once on GitHub for a fork: told by `kubestore github`, and by docs/github.md, which is made from it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubestore.manifests.repository import NAME, Repository

CHECK = "required"
ACTIONS_APP = 15368  # GitHub Actions, which alone may report the check


@dataclass(frozen=True)
class Setting:
    """One thing to set: why, where to click, and the commands of `gh` that do the same."""

    title: str
    why: str
    where: str = ""
    commands: tuple[str, ...] = ()


def ruleset(mode: str) -> dict[str, Any]:
    """The protection of main, for GitHub's API; with `mode` push the bump's deploy key goes through it."""
    review = {
        "allowed_merge_methods": ["merge", "squash", "rebase"],
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_approving_review_count": 0,
        "required_review_thread_resolution": True,
    }
    checks = {
        "required_status_checks": [{"context": CHECK, "integration_id": ACTIONS_APP}],
        "strict_required_status_checks_policy": False,
    }
    bypass = [{"actor_type": "DeployKey", "bypass_mode": "always"}] if mode == "push" else []
    return {
        "name": "main",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "bypass_actors": bypass,
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "pull_request", "parameters": review},
            {"type": "required_status_checks", "parameters": checks},
        ],
    }


def settings(whose: Repository) -> Iterator[Setting]:
    """Everything, in the order in which it is done."""
    page, gh = f"https://github.com/{whose.slug}", f"repos/{whose.slug}"
    yield Setting(
        "Whose it is",
        "One command puts the fork's address and the image's owner wherever they stand; commit and push what it changes.",
        commands=(f"kubestore adopt --repo {page}.git --image-owner {whose.owner}",),
    )
    yield Setting(
        "Workflows",
        "A fork's workflows are off until its owner starts them. Each job asks for the rights that it needs, so the "
        "default may stay at reading.",
        f"{page}/actions, then {page}/settings/actions",
        (f"gh api -X PUT {gh}/actions/permissions/workflow -f default_workflow_permissions=read",),
    )
    yield Setting(
        "Which overlays a release names its image in",
        "`minikube staging` when nothing is set. Production is promoted by hand, with `kubestore bump --env production`.",
        f"{page}/settings/variables/actions",
        (f"gh variable set KUBESTORE_ENV --repo {whose.slug} --body 'minikube staging'",),
    )
    yield Setting(
        "The first release",
        "Builds the image for amd64 and arm64, pushes it and names it in Git; later ones follow each push to app-src.",
        f"{page}/actions/workflows/release.yaml",
        (f"gh workflow run release.yaml --repo {whose.slug}",),
    )
    yield from _package(whose)
    yield from _main(whose, page, gh)
    yield from _argocd(whose, page, gh)


def _package(whose: Repository) -> Iterator[Setting]:
    page = f"https://github.com/{whose.slug}/pkgs/container/{NAME}"
    yield Setting(
        "Clusters may pull the image",
        "A new package is private. Make it public (Package settings, Change visibility), or give each cluster a Secret "
        "with a token that may only read packages.",
        page,
        (
            f"kubectl -n store create secret docker-registry ghcr --docker-server=ghcr.io --docker-username={whose.owner}"
            ' --docker-password="$TOKEN"',
            """kubectl -n store patch serviceaccount default -p '{"imagePullSecrets": [{"name": "ghcr"}]}'""",
        ),
    )


def _main(whose: Repository, page: str, gh: str) -> Iterator[Setting]:
    yield Setting(
        "Protection of main",
        f"Pull requests only, the check `{CHECK}` green, no rewriting, no deleting. The verb prints the rules; with "
        "`pr` in place of `push` nobody goes round them.",
        f"{page}/settings/rules",
        (f"kubestore github --ruleset push | gh api -X POST {gh}/rulesets --input -",),
    )
    yield Setting(
        "The bump through the protection, by a key (BUMP_MODE=push, the default)",
        "A workflow's own token cannot be let through a ruleset; a deploy key can. The key may write to this "
        "repository only. Without a ruleset none is needed.",
        f"{page}/settings/keys",
        (
            "ssh-keygen -q -t ed25519 -N '' -C bump -f bump",
            f"gh repo deploy-key add bump.pub --repo {whose.slug} --allow-write --title bump",
            f"gh secret set BUMP_KEY --repo {whose.slug} < bump && rm bump bump.pub",
        ),
    )
    yield Setting(
        "Or the bump by pull request (BUMP_MODE=pr)",
        "Each release then opens one for each overlay, and merging it deploys. GitHub holds the checks of a pull request that a "
        'workflow opened until somebody presses "Approve workflows to run".',
        f"{page}/settings/actions: allow GitHub Actions to create and approve pull requests",
        (
            f"gh variable set BUMP_MODE --repo {whose.slug} --body pr",
            f"gh api -X PUT {gh}/actions/permissions/workflow -f default_workflow_permissions=read"
            " -F can_approve_pull_request_reviews=true",
        ),
    )


def _argocd(whose: Repository, page: str, gh: str) -> Iterator[Setting]:
    yield Setting(
        "Argo CD is told of a push",
        "Where GitHub can reach Argo CD. Without it Argo CD looks for itself every three minutes.",
        f"{page}/settings/hooks",
        (
            "KEY=$(kubestore secret --cluster current webhook)",
            f"gh api {gh}/hooks -f name=web -f 'events[]=push' -f config[url]=https://ARGOCD-HOST/api/webhook"
            ' -f config[content_type]=json -f config[secret]="$KEY"',
        ),
    )
    yield Setting(
        "If the repository is private",
        "Argo CD needs a token that may read its contents: fine-grained, this repository only. `up` keeps it in the Secret "
        "argocd/repository; run it again with a new one before the old one ends.",
        "https://github.com/settings/personal-access-tokens/new",
        (f"KUBESTORE_GIT_USERNAME={whose.owner} KUBESTORE_GIT_TOKEN=… kubestore up --cluster current",),
    )


def text(whose: Repository) -> str:
    """For a terminal."""
    lines = [f"What {whose.slug} needs on GitHub, once:"]
    for number, one in enumerate(settings(whose), start=1):
        lines += ["", f"{number}. {one.title}", f"   {one.why}"]
        lines += [f"   at {one.where}"] if one.where else []
        lines += [f"     {command}" for command in one.commands]
    return "\n".join(lines)


def markdown(whose: Repository) -> str:
    """docs/github.md."""
    lines = [
        "# A fork on GitHub: what is set once",
        "",
        "Made by `kubestore github --markdown`; `kubestore github` prints the same for a terminal. `gh` is GitHub's own "
        "command line.",
        "None of it was run from where this was written: no GitHub can be reached there.",
    ]
    for number, one in enumerate(settings(whose), start=1):
        lines += ["", f"## {number}. {one.title}", "", one.why]
        lines += ["", f"At {one.where}"] if one.where else []
        lines += ["", "```", *one.commands, "```"] if one.commands else []
    return "\n".join(lines) + "\n"


def ruleset_text(mode: str) -> str:
    """The protection of main as JSON."""
    return json.dumps(ruleset(mode), indent=2)
