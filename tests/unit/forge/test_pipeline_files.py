"""GitHub's own workflow files, run here by act: what is GitHub's alone is left out, the rest is the same."""

import shutil
from pathlib import Path

import pytest

from kubestore.lab.forge.repository import Repository
from kubestore.lab.forge.runs import Runs
from kubestore.lab.forge.settings import Settings

from .conftest import REPO, change, git
from .test_forge import wait_for

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
# Each target says with what it was called.
MAKEFILE = """\
test test-app validate image bump:
\t@echo "$@: env='$(KUBESTORE_ENV)' mode='$(BUMP_MODE)' platforms='$(KUBESTORE_PLATFORMS)'"
"""
FORBIDDEN = "#!/bin/sh\necho 'a step of GitHub alone was run here'\nexit 1\n"


@pytest.mark.parametrize(
    ("workflow", "lines"),
    [
        ("check", ["test: ", "validate: "]),
        (
            "release",
            [
                "test-app: ",
                "image: env='embedded' mode='' platforms=''",
                "bump: env='embedded' mode='push' platforms=''",
            ],
        ),
    ],
)
def test_the_local_runner_does_the_same_but_for_what_is_githubs(
    workflow: str, lines: list[str], served: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("check", "release"):
        shutil.copy(REPO / f".github/workflows/{name}.yaml", checkout / f".github/workflows/{name}.yaml")
    (checkout / ".ci").mkdir()
    (checkout / ".ci/packages").write_text(FORBIDDEN)
    (checkout / ".ci/packages").chmod(0o755)
    commit = change(checkout, "Makefile", MAKEFILE)
    Repository(served).seed(checkout)
    assert git(checkout, "rev-parse", "local/main").stdout.strip() == commit
    runs = Runs(served.runs)
    run = runs.queue(workflow, commit, "by hand")
    done = wait_for(runs, run.number, "passed", "failed")
    log = runs.log(done).read_text()
    assert done.state == "passed", log
    said = [line.partition("| ")[2] for line in log.splitlines() if "| " in line]
    found = [line for line in said if ": env=" in line]
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True)), found
