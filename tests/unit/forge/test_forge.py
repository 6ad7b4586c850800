"""A real git server: what it takes, what it refuses, what it starts."""

import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import bootstrap, programs
from kubestore.lab.forge import Forge, code, daemons, hooks, leftovers, nginx
from kubestore.lab.forge.repository import Repository
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.run import Process

from .conftest import change, git, program

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
LIMIT = 30.0


def wait_for(runs: Runs, number: int, *states: str) -> Run:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        run = runs.get(number)
        if run.state in states:
            return run
        time.sleep(0.05)
    raise AssertionError(f"run {number} is {runs.get(number)} and not one of {states}")


def workflows(runs: Runs) -> list[str]:
    return [run.workflow for run in runs.all()]


def push(at: Path, *words: str) -> str:
    return git(at, "push", "local", *words, check=False).stderr


def test_main_goes_forward_and_nothing_else_is_taken(served: Settings, checkout: Path) -> None:
    repository = Repository(served)
    repository.seed(checkout)
    first = repository.main
    assert first == git(checkout, "rev-parse", "HEAD").stdout.strip()

    assert "takes the branch main only" in push(checkout, "HEAD:refs/heads/feature")
    assert "cannot be deleted" in push(checkout, "--delete", "main")
    git(checkout, "commit", "--quiet", "--amend", "-m", "another start")
    assert "rewrite main's history" in push(checkout, "--force", "main")
    git(checkout, "reset", "--quiet", "--hard", str(first))

    change(checkout, "broken", "x")
    said = push(checkout, "main")
    assert "broken:1 is broken" in said
    assert "make validate" in said
    assert repository.main == first
    git(checkout, "reset", "--quiet", "--hard", str(first))

    newer = change(checkout, "docs/a.md", "words")
    assert "no release" in push(checkout, "main")
    assert repository.main == newer


def test_a_bump_needs_no_second_check_and_nothing_else_passes_as_one(checkout: Path) -> None:
    name = "apps/store/overlays/embedded/kustomization.yaml"
    release = f"images:\n  - name: x\n    newTag: {'a' * 12}@sha256:{'b' * 64}\n"
    start = git(checkout, "rev-parse", "HEAD").stdout.strip()
    added = change(checkout, name, "images:\n  - name: x\n    newTag: unreleased\n")
    bumped = change(checkout, name, release)
    other = change(checkout, name, release + "replicas: []\n")
    beside = change(checkout, "apps/other", "x")

    def quick(old: str, new: str) -> bool:
        return hooks.only_a_bump((old, new, "refs/heads/main"), checkout, {})

    assert quick(added, bumped)
    assert not any([quick(start, added), quick(bumped, other), quick(added, beside), quick("0" * 40, bumped)])


def test_a_release_runs_while_a_check_gives_way_and_stop_leaves_nothing(
    served: Settings, checkout: Path
) -> None:
    Repository(served).seed(checkout)
    runs = Runs(served.runs)

    change(checkout, "docs/a.md", "words")
    push(checkout, "main")
    check = wait_for(runs, 1, "running")

    commit = change(checkout, "app/message", "hello from the app\n")
    said = push(checkout, "main")
    assert "git pull --rebase local main" in said
    release, newer = [run for run in runs.all() if run.commit == commit]
    assert (release.workflow, newer.workflow) == ("release", "check")
    assert wait_for(runs, release.number, "passed", "failed").state == "passed"
    assert "hello from the app" in runs.log(release).read_text()
    assert wait_for(runs, check.number, "superseded").attempts == 0

    change(checkout, "app/fail", "")
    push(checkout, "main")
    failed = wait_for(runs, 4, "failed", "passed")
    assert (failed.workflow, failed.state) == ("release", "failed")

    running = wait_for(runs, 5, "running")
    deadline = time.monotonic() + LIMIT
    while not leftovers.found(served) and time.monotonic() < deadline:
        time.sleep(0.05)
    daemons.stop(served)
    assert leftovers.found(served) == []
    assert wait_for(runs, running.number, "queued").attempts == 0


def test_the_registry_answers_and_a_dead_process_is_started_again(served: Settings) -> None:
    with urllib.request.urlopen(f"http://{served.registry}/v2/", timeout=5) as answer:
        assert answer.status == 200
    remembered = Process.load(served.folder / "run" / "registry.json")
    assert remembered is not None
    remembered.stop()
    assert daemons.dead(served) == ["registry"]
    daemons.start(served)
    assert daemons.dead(served) == []


def test_a_push_says_that_its_run_has_nobody_to_run_it(served: Settings, checkout: Path) -> None:
    Repository(served).seed(checkout)
    change(checkout, "docs/a.md", "one")
    assert "runner does not run" not in push(checkout, "main")
    runner = Process.load(served.folder / "run" / "runner.json")
    assert runner is not None
    runner.stop(20)
    change(checkout, "docs/a.md", "two")
    assert "runner does not run; kubestore up starts it" in push(checkout, "main")


def test_others_may_only_read(served: Settings) -> None:
    daemons.stop(served)
    stranger = replace(
        served, address="127.0.0.2"
    )  # nginx trusts its own address, and we come from 127.0.0.1
    text = nginx.config(stranger, "/bin/false", daemons.PATH)
    assert "geo $own { default 0; 127.0.0.2/32 1; }" in text
    stranger.save()
    try:
        daemons.start(stranger)
        refused = [
            ("GET", f"{stranger.url}/info/refs?service=git-receive-pack"),
            ("POST", f"{stranger.url}/git-receive-pack"),
            ("POST", f"http://{stranger.registry}/v2/a/blobs/uploads/"),
            ("DELETE", f"http://{stranger.registry}/v2/a/manifests/b"),
        ]
        for method, url in refused:
            assert status(method, url) == 403, url
        assert status("GET", f"{stranger.url}/info/refs?service=git-upload-pack") == 200
        assert status("GET", f"http://{stranger.registry}/v2/") == 200
    finally:
        daemons.stop(stranger)


def status(method: str, url: str) -> int:
    """The answer's code to a request from 127.0.0.1."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_clone_that_was_killed_half_way_does_not_stop_the_next_rendering(
    served: Settings, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    monkeypatch.setattr(Instance, "forge_url", property(lambda _: served.url))
    kustomize = program("kustomize")
    monkeypatch.setattr(programs, "path", lambda _: Path(kustomize))
    instance = Instance("test", 0)
    (instance.dir / "bootstrap" / ".git").mkdir(parents=True)  # all that git had made when it was killed
    change(checkout, "apps/x/kustomization.yaml", "configMapGenerator:\n  - name: one\n    literals: [a=b]\n")
    Repository(served).seed(checkout)
    for _ in range(2):
        assert "kind: ConfigMap" in bootstrap.render(instance, "apps/x")


def test_a_port_in_use_is_named(settings: Settings) -> None:
    import socket

    settings.save()
    with socket.socket() as taken:
        taken.bind((settings.address, settings.git_port))
        taken.listen()
        with pytest.raises(KubestoreError, match=f"port {settings.git_port}"):
            daemons.start(settings)


def test_a_history_that_went_another_way_is_left_alone(
    served: Settings, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(served)
    repository.seed(checkout)
    theirs = change(checkout, "docs/a.md", "one")
    push(checkout, "main")
    git(checkout, "reset", "--quiet", "--hard", "HEAD~1")
    change(checkout, "docs/a.md", "two")
    repository.seed(checkout)
    assert repository.main == theirs
    assert "separate ways" in capsys.readouterr().err


def test_an_image_counts_as_released_while_the_registry_keeps_it(
    tmp_path: Path, checkout: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "a" * 64
    change(checkout, "apps/repository/configmap.yaml", "data:\n  owner: somebody\n")
    change(
        checkout,
        "apps/store/overlays/embedded/kustomization.yaml",
        f"    newTag: {'b' * 12}@sha256:{digest}\n",
    )
    settings.save()
    repository = Repository(settings)
    repository.create()
    git(checkout, "push", "--quiet", "--no-verify", str(repository.path), "HEAD:main")
    forge = Forge(Instance("test", 0))
    monkeypatch.setattr(forge, "settings", lambda: settings)
    assert not forge._released(repository)
    kept = Path(settings.registry_data) / "docker/registry/v2/repositories/somebody/kubestore-store"
    link = kept / "_manifests/revisions/sha256" / digest / "link"
    link.parent.mkdir(parents=True)
    link.touch()
    assert forge._released(repository)


def test_hooks_use_a_copy_of_the_tool_that_edits_do_not_reach(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, text in {"tools/t.py": "1", "app-src/a.py": "2", "requirements/go.txt": "3"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    kept = code.keep(tmp_path / "forge", source)
    (source / "tools/t.py").write_text("half-edi")
    assert (kept / "tools/t.py").read_text() == "1"
    code._key.cache_clear()
    assert code.keep(tmp_path / "forge", source) != kept
    for number in range(code.KEPT + 1):
        (source / "tools/t.py").write_text(str(number))
        code._key.cache_clear()
        code.keep(tmp_path / "forge", source)
    assert len(list((tmp_path / "forge/code").iterdir())) == code.KEPT
