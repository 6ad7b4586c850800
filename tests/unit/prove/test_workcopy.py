"""A clone from the forge: pushes, rebases, reverts, and the bump's line."""

from pathlib import Path

import pytest

from kubestore.errors import KubestoreError
from kubestore.prove.workcopy import OVERLAY, Workcopy
from kubestore.run import run

TAG = "t1@sha256:" + "a" * 64


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bare repository with one commit, and a temporary folder of its own for clones."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bare = tmp_path / "forge.git"
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    work = tmp_path / "seed"
    run(["git", "init", "--quiet", "--initial-branch=main", work])
    file = work / OVERLAY
    file.parent.mkdir(parents=True)
    file.write_text("images:\n  - name: x\n    newTag: unreleased\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
    run(["git", "add", "--all"], cwd=work)
    run(["git", *who, "commit", "--quiet", "-m", "one"], cwd=work)
    run(["git", "push", "--quiet", str(bare), "main"], cwd=work)
    return str(bare)


def test_a_bump_is_seen_and_its_tag_read(forge: str) -> None:
    mine, runner = Workcopy.clone(forge), Workcopy.clone(forge)
    mine.write("a", "1")
    pushed = mine.push_change("feat: a")
    runner.reset()
    runner.set_tag(TAG)
    runner.push_change("deploy(embedded): store unreleased -> t1")
    bump = mine.bump_after(pushed.sha, 5)
    assert bump.output == "deploy(embedded): store unreleased -> t1"
    assert mine.tag() == TAG
    assert mine.tags() == [TAG]


def test_a_push_after_the_bump_moved_main_is_rebased(forge: str) -> None:
    mine, other = Workcopy.clone(forge), Workcopy.clone(forge)
    other.write("b", "1")
    other.push_change("feat: b")
    mine.write("a", "1")
    mine.push_change("feat: a")
    assert mine.read("b") == "1"


def test_reverts_go_newest_first_in_one_push(forge: str) -> None:
    mine = Workcopy.clone(forge)
    mine.write("a", "1\n")
    first = mine.push_change("feat: a")
    mine.write("a", "2\n")
    second = mine.push_change("feat: a again")
    mine.revert(second.sha, first.sha)
    mine.reset()
    assert not (mine.folder / "a").exists()


def test_an_edit_that_changes_nothing_is_an_error(forge: str) -> None:
    with pytest.raises(KubestoreError, match="finds nothing to change"):
        Workcopy.clone(forge).edit(OVERLAY, lambda text: text)
