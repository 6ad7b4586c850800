"""The pipeline runner: takes queued runs one after another and executes the real workflow files with act.

It also tells Argo CD of accepted pushes, so that neither a push nor a run waits for that.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from kubestore.environment import requirements_key
from kubestore.errors import KubestoreError
from kubestore.lab.forge import leftovers, webhook
from kubestore.lab.forge.git import git
from kubestore.lab.forge.pause import measured
from kubestore.lab.forge.repository import Repository
from kubestore.lab.forge.runs import Run, Runs
from kubestore.lab.forge.settings import Settings
from kubestore.lab.forge.workflows import FOLDER
from kubestore.run import merged, tail

PLATFORM = "ubuntu-24.04=-self-hosted"
TIME_LIMIT = {"release": 600.0, "check": 1200.0}
POLL = 0.3
AFTER_TROUBLE = 2.0
TRIES = 2
TELL_LIMIT = 300.0
STOPPED, GAVE_WAY, LATE = -1, -2, 124


class Runner:
    """Works off the queue of one forge."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runs = Runs(settings.runs)
        self.repository = Repository(settings)
        self.stopping = False

    def stop(self, *_: object) -> None:
        """Finish as soon as possible; a run under way is queued again."""
        self.stopping = True

    def forever(self) -> None:
        """Work until the process is told to stop."""
        taken_up = False
        while not self.stopping:
            try:
                if not taken_up:
                    self._take_up()
                    taken_up = True
                self._turn()
            except OSError as error:  # a full disk, which somebody may mend
                taken_up = False
                with contextlib.suppress(OSError):
                    print(f"the runner goes on after: {error}", flush=True)
                time.sleep(AFTER_TROUBLE)

    def _turn(self) -> None:
        """Do what there is to do; a short pause when there is nothing."""
        self.tell()
        self._supersede()
        run = self.runs.next()
        if run and not (run.workflow == "check" and measured(self.settings.folder)):
            self.execute(run)
            self.runs.prune()
        else:
            time.sleep(POLL)

    def _take_up(self) -> None:
        """Queue once more what a runner that died left running."""
        self._sweep()
        for run in self.runs.all():
            if run.state == "running":
                if run.attempts < TRIES:
                    self.runs.change(run, state="queued")
                else:
                    self.runs.finish(run, "failed", "the runner died twice while it ran")

    def _sweep(self) -> None:
        """End what the last run has started."""
        if left := leftovers.sweep(self.settings):
            print(f"processes of a run cannot be ended: {left}", flush=True)

    def _supersede(self) -> None:
        """Only the newest commit is checked."""
        checks = [run for run in self.runs.all() if run.state == "queued" and run.workflow == "check"]
        for run in checks[:-1]:
            self.runs.finish(run, "superseded", f"run {checks[-1].number} checks a newer commit")

    def execute(self, run: Run) -> None:
        """Run one workflow to its end, in a fresh clone."""
        run = self.runs.change(run, state="running", started=time.time(), attempts=run.attempts + 1)
        clone = self.runs.log(run).parent / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        try:
            git("clone", "--quiet", self.settings.url, clone, at=self.settings.folder, timeout=120)
            git("checkout", "--quiet", "-B", "main", run.commit, at=clone)
            code = self._act(run, clone)
        except KubestoreError as error:
            self.runs.finish(run, "failed", error.what)
        except OSError as error:
            self.runs.finish(run, "failed", f"{error.filename or 'a write'}: {error.strerror}")
        else:
            self._conclude(run, code)
        finally:
            shutil.rmtree(clone, ignore_errors=True)

    def _conclude(self, run: Run, code: int) -> None:
        """Write how a run ended; one that was interrupted waits for its turn again."""
        if code in (STOPPED, GAVE_WAY):
            self.runs.change(run, state="queued", started=0.0, attempts=run.attempts - 1)
        else:
            reason = "" if code == 0 else _reason(self.runs.log(run), code)
            self.runs.finish(run, "failed" if code else "passed", reason)

    def _must_give_way(self, run: Run) -> bool:
        """Whether a check under way holds up a release or figures, or checks a commit that is not the newest."""
        if run.workflow == "release":
            return False
        if measured(self.settings.folder):
            return True
        return any(other.state == "queued" and other.number != run.number for other in self.runs.all())

    def _act(self, run: Run, clone: Path) -> int:
        """Execute the workflow file with act; returns its exit code, or why it was cut short."""
        environment = self.environment(clone)
        command = [self.settings.act, "push", "-P", PLATFORM, "-W", f"{FOLDER}/{run.workflow}.yaml", "--rm"]
        command += ["--artifact-server-path=", "--no-skip-checkout=false", "--env", "CI=true"]
        for name in sorted(environment):
            command += ["--env", f"{name}={environment[name]}"]
        marked = {**environment, "NO_COLOR": "1", **leftovers.environment(self.settings)}
        # A check takes what nobody else wants: the cluster on this machine has customers.
        calm = ["chrt", "--idle", "0"] if run.workflow == "check" else []
        with self.runs.log(run).open("w") as log:
            child = subprocess.Popen(
                leftovers.held(self.settings, [*calm, *command]), cwd=clone, env=merged(marked),
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            deadline = time.monotonic() + TIME_LIMIT.get(run.workflow, 600)
            try:
                while child.poll() is None:
                    if self.stopping or self._must_give_way(run):
                        return STOPPED if self.stopping else GAVE_WAY
                    if time.monotonic() > deadline:
                        return LATE
                    self.tell()
                    time.sleep(POLL)
                return child.returncode
            finally:
                _end_group(child)
                self._sweep()

    def environment(self, clone: Path) -> dict[str, str]:
        """What makes the workflow deploy to this cluster instead of GitHub's."""
        settings = self.settings
        own = Path(settings.python).parent.parent
        key = requirements_key(clone)
        cached = Path(settings.cache) / "venv" / key
        return {
            "KUBESTORE_CACHE": settings.cache,
            "KUBESTORE_ENV": "embedded",
            "KUBESTORE_INSTANCE": settings.instance,
            "KUBESTORE_REGISTRY": settings.registry,
            "KUBESTORE_REGISTRY_PLAIN_HTTP": "1",
            "KUBESTORE_STATE": settings.state,
            "VENV": str(own if (own / f".ready-{key}").exists() else cached),
        }

    def tell(self) -> None:
        """Tell Argo CD of accepted pushes; one that cannot be told for minutes is left to its polling."""
        for note in sorted(self.settings.events.glob("*.json")):
            try:
                secret = (Path(self.settings.secrets) / "webhook").read_bytes()
                event = json.loads(note.read_text())
                files = self.repository.changed(event["old"], event["new"])
                webhook.send(
                    self.settings.webhook_url, webhook.payload(event["old"], event["new"], files), secret
                )
            except (KubestoreError, OSError, ValueError) as error:
                if time.time() - note.stat().st_mtime < TELL_LIMIT:
                    return
                print(f"Argo CD was not told: {error}", flush=True)
            note.unlink(missing_ok=True)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End act and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        time.sleep(0.2)
    child.wait()


def _reason(log: Path, code: int) -> str:
    """Why a run failed: the lines of its log that say so."""
    if code == LATE:
        return "its time was over"
    lines = [line for line in log.read_text(errors="replace").splitlines() if "| " in line]
    telling = [line.partition("| ")[2] for line in lines if "error" in line.lower() or "FAILED" in line]
    return tail("\n".join(telling[-3:])) or f"exit code {code}"


def main() -> None:
    """Run the runner of the forge in the folder that the first argument names; one at a time."""
    settings = Settings.load(Path(sys.argv[1]))
    with (settings.folder / "run" / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        runner = Runner(settings)
        signal.signal(signal.SIGTERM, runner.stop)
        runner.forever()


if __name__ == "__main__":
    main()
