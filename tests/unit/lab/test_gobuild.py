"""What a build says when it cannot be done, with the real go and a module of our own, and what it leaves: nothing."""

import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubestore import cli, paths, wait
from kubestore.errors import KubestoreError
from kubestore.lab import gobuild, programs
from kubestore.run import start_time
from kubestore.ui import Step

NAME = "example.test/m"
MAIN = f'package main\nimport "{NAME}"\nfunc main() {{ println(m.F()) }}\n'
GO_MOD = f"module {NAME}\n\ngo 1.20\n".encode()
SUM = (
    f"{NAME} v1.0.0 h1:{'A' * 43}=\n"  # what no answer of ours matches
    f"{NAME} v1.0.0/go.mod h1:KLEtMfwa7QX3Nk3wcZoCYnLbVbS7gzTcjgx3cJQ0KyI=\n"
)
HTML = b"<html>please sign in</html>"


def packed(folder: str, more: str = "") -> bytes:
    """A module's zip, its files below `folder`, one with `more` in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{folder}/go.mod", GO_MOD)
        archive.writestr(f"{folder}/more", more)
        archive.writestr(f"{folder}/m.go", "package m\nfunc F() int { return 1 }\n")
    return buffer.getvalue()


ANSWERS = {
    "info": json.dumps({"Version": "v1.0.0", "Time": "2020-01-01T00:00:00Z"}).encode(),
    "mod": GO_MOD,
    "zip": packed(f"{NAME}@v1.0.0", "x" * 2**19),  # more than the small disk of a test holds
}


class Proxy(http.server.ThreadingHTTPServer):
    """A module proxy on loopback that gives `answers` by the end of a path, and 404 for what is not there."""

    answers: dict[str, bytes]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Proxy)
        body = self.server.answers.get(self.path.rpartition(".")[2])
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"not found")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Trial:
    """A module to build, its proxy, and where the program would come to lie."""

    folder: Path
    proxy: Proxy
    target: Path
    log: Path

    def build(self) -> KubestoreError:
        """Build, expecting that it fails."""
        with pytest.raises(KubestoreError) as caught, Step("build") as step:
            gobuild.build(self.folder, ["."], "", self.target, self.log, step)
        assert list(self.target.iterdir()) == []
        assert caught.value.hint
        assert "\n" not in caught.value.what
        return caught.value


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    if not (gobuild.GO / "go" / "bin" / "go").exists():
        pytest.skip("the Go toolchain is not installed: `make up` or `kubestore build` does it")
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    proxy = Proxy(("127.0.0.1", 0), Answer)
    proxy.answers = dict(ANSWERS)
    served = threading.Thread(target=proxy.serve_forever, args=(0.02,))
    served.start()
    monkeypatch.setenv("GOPROXY", f"http://127.0.0.1:{proxy.server_port}")
    monkeypatch.setenv("GOSUMDB", "off")
    folder, target = tmp_path / "module", tmp_path / "target"
    folder.mkdir()
    target.mkdir()
    (folder / "go.mod").write_text(f"module kubestore.dev/t\n\ngo 1.20\n\nrequire {NAME} v1.0.0\n")
    (folder / "main.go").write_text(MAIN)
    (folder / "go.sum").write_text(f"{_sum(proxy, folder, tmp_path)}")
    yield Trial(folder, proxy, target, tmp_path / "build.log")
    proxy.shutdown()
    served.join()
    proxy.server_close()


def _sum(proxy: Proxy, folder: Path, scratch: Path) -> str:
    """The right go.sum, by go itself."""
    env = {
        **os.environ,
        **gobuild.environment(),
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOMODCACHE": f"{scratch}/sums",
    }
    words = [str(word) for word in gobuild.go("mod", "download", "all")]
    subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True)
    return (folder / "go.sum").read_text()


def test_the_module_as_it_should_be_is_found(trial: Trial) -> None:
    assert (gobuild.module_dir(trial.folder, NAME) / "m.go").exists()


@pytest.mark.parametrize(
    ("kind", "body", "cause"),
    [
        ("zip", HTML, "a download was not a module"),
        ("zip", packed("elsewhere"), "a download was not a module"),
        ("zip", None, "the module proxy did not deliver"),
        ("mod", HTML, "a module is not what go.sum says"),
        ("zip", packed(f"{NAME}@v1.0.0").replace(b"return 1", b"return 2"), "a download was not a module"),
    ],
    ids=["HTML for a zip", "another zip", "404", "HTML for go.mod", "a damaged zip"],
)
def test_a_download_that_is_no_module_is_told_and_the_next_try_is_free_of_it(
    trial: Trial, kind: str, body: bytes | None, cause: str
) -> None:
    if body is None:
        del trial.proxy.answers[kind]
    else:
        trial.proxy.answers[kind] = body
    told = trial.build()
    assert cause in told.what
    assert NAME in trial.log.read_text()
    assert "GOPROXY" in told.hint
    with pytest.raises(KubestoreError, match=cause) as caught:
        gobuild.module_dir(trial.folder, NAME)
    assert NAME in caught.value.what
    assert caught.value.hint
    trial.proxy.answers = dict(ANSWERS)
    assert gobuild.module_dir(trial.folder, NAME).exists()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("junk\n", "go.sum is broken: malformed go.sum: {sums}:1"),
        ("", "go.sum is broken: main.go:2:8: missing go.sum entry"),
        (SUM, "a module is not what go.sum says"),
    ],
    ids=["junk", "empty", "of another module"],
)
def test_a_broken_go_sum_is_named_with_its_file(trial: Trial, text: str, cause: str) -> None:
    sums = trial.folder / "go.sum"
    sums.write_text(text)
    told = trial.build()
    assert cause.format(sums=sums) in told.what
    assert f"git checkout -- {sums}" in told.hint


@pytest.mark.parametrize("part", ["build", "mod"])
def test_a_full_disk_is_told_by_a_build(part: str, trial: Trial, tmp_path: Path) -> None:
    small = tmp_path / "cache" / "go" / part
    small.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system takes root to mount")
    try:
        told = trial.build()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert "the disk is full" in told.what
    assert str(small) in told.what
    assert not small.is_mount()
    assert "df -h" in told.hint


def test_a_full_disk_is_one_error_line_wherever_it_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(names: list[str] | None) -> None:
        with open("/dev/full", "w") as full:
            full.write("x")

    monkeypatch.setattr(programs, "build", build)
    monkeypatch.setattr("sys.argv", ["kubestore", "build"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: the disk is full")
    assert hint.startswith("hint:  free some space")


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> programs.Component:
    """A go that is a shell script, and a component of ours; returns the component, which is not built."""
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(gobuild, "GO", tmp_path / "toolchain")
    monkeypatch.setattr(programs, "MODULES", tmp_path)
    go = tmp_path / "toolchain" / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.write_text(f"#!/bin/sh\n[ $1 = build ] || exit 0\n{script}\n")
    go.chmod(0o755)
    component = programs.Component("tiny")
    component.folder.mkdir()
    (component.folder / "go.mod").write_text("module t\n\ntool example.test/tiny\n")
    (component.folder / "go.sum").write_text("")
    monkeypatch.setattr(programs, "COMPONENTS", {"tiny": component})
    return component


def test_a_killed_go_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = stand_in(tmp_path, monkeypatch, "kill -9 $$")
    with pytest.raises(KubestoreError, match=r"build of tiny: the build was killed") as caught:
        programs.build()
    assert "free memory" in caught.value.hint
    assert [path.name for path in component.built.parent.iterdir()] == ["lock"]


def test_what_a_killed_build_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = stand_in(tmp_path, monkeypatch, 'touch "${7}tiny"')
    left = component.built.with_name(f"{component.built.name}.4711.partial")
    left.mkdir(parents=True)
    programs.build()
    assert (component.built / "tiny").exists()
    assert not left.exists()


KILLED = """
import sys
from pathlib import Path
from kubestore import paths
from kubestore.lab import gobuild
from kubestore.ui import Step
here = Path(sys.argv[1])
gobuild.GO = here / "toolchain"
with Step("build") as step:
    gobuild.build(here, ["."], "", here / "target", here / "log", step)
"""


def test_go_ends_with_the_process_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("setpriv of util-linux is not installed")
    stand_in(
        tmp_path,
        monkeypatch,
        f"echo $$ > {tmp_path}/partial; mv {tmp_path}/partial {tmp_path}/pid; exec sleep 60",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as builder:
        wait.until((tmp_path / "pid").exists, "go", 20, every=0.02)
        pid = int((tmp_path / "pid").read_text())
        assert start_time(pid)
        builder.kill()
    wait.until(lambda: start_time(pid) is None, "end of go", 5, every=0.02)


def test_two_that_build_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = stand_in(
        tmp_path, monkeypatch, f'echo built >> {tmp_path}/count; sleep 0.3; touch "${{7}}tiny"'
    )
    failures: list[BaseException] = []

    def build() -> None:
        try:
            programs.build()
        except BaseException as error:
            failures.append(error)

    builders = [threading.Thread(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(10)
    assert failures == []
    assert (tmp_path / "count").read_text() == "built\n"
    assert (component.built / "tiny").exists()


def test_a_build_that_never_ends_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "exit 1")
    monkeypatch.setattr(programs, "WAIT_S", 0.2)
    with programs._alone(Step("other")):
        began = time.monotonic()
        with pytest.raises(KubestoreError, match="another process has held"):
            programs.build()
    assert time.monotonic() - began < 5
