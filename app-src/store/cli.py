"""The command line: what is done to the store's data from beside, by people and by the deployment."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from store import catalog, settings
from store.db import Database, deadline
from store.errors import CorruptDataError, UnavailableError

AUDIT_S = 600


class UsageError(ValueError):
    """The command cannot be carried out as given."""


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        "store", description="Work on the store's data in Redis (STORE_REDIS_HOST …)."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    about = verbs.add_parser("catalog", help="check or apply the catalog of products")
    what = about.add_subparsers(dest="what", required=True, metavar="WHAT")
    check = what.add_parser("check", help="check a file, without Redis")
    apply = what.add_parser("apply", help="make a file the catalog that is sold; repeatable")
    for command in (check, apply):
        command.add_argument("file", nargs="?", type=Path, help="default: STORE_CATALOG_FILE")
    apply.add_argument("--force", action="store_true", help="even if it retires more than half")
    apply.add_argument(
        "--wait", type=float, default=10, metavar="S", help="for Redis, in seconds (default 10)"
    )
    audit = verbs.add_parser("audit", help="does everything add up? exit code 1 if not")
    audit.add_argument(
        "--acks", type=Path, metavar="FILE", help="JSON lines of what clients were told; - for standard input"
    )
    for command in (check, apply, audit):
        command.add_argument("--json", action="store_true", help="print JSON")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an error is one line and a hint on standard error, and exit code 1."""
    options = parser().parse_args(arguments)
    try:
        return _audit(options) if options.verb == "audit" else _catalog(options)
    except (ValueError, UnavailableError, CorruptDataError) as error:
        print(f"error: {error}\nhint:  {_hint(error)}", file=sys.stderr)
        return 1


def _hint(error: Exception) -> str:
    if isinstance(error, UnavailableError):
        return "check STORE_REDIS_HOST and STORE_REDIS_PASSWORD, and that Redis runs"
    if isinstance(error, CorruptDataError):
        return "nothing was changed; `python -m store audit` says what is wrong"
    if isinstance(error, catalog.CatalogError):
        return "correct the file and apply it again; the catalog in use is unchanged"
    if isinstance(error, settings.SettingsError):
        return "correct the environment; the settings are described in store/settings.py"
    return "see `python -m store --help`"


def _catalog(options: argparse.Namespace) -> int:
    config = settings.load()
    path = options.file or config.catalog_file
    if path is None:
        raise UsageError("no file: name one or set STORE_CATALOG_FILE")
    wanted = catalog.read(path)
    if options.what == "check":
        done = catalog.Applied("checked", wanted.revision, active=len(wanted.products))
    else:
        with deadline(time.monotonic() + options.wait):
            done = catalog.apply(Database(config), wanted, force=options.force)
    if options.json:
        print(msgspec.json.encode(done).decode())
    else:
        print(
            f"{done.outcome} {done.revision[:12]}: {done.added} added, {done.changed} changed, "
            f"{done.retired} retired, {done.active} sold"
        )
    if done.outcome == "refused":
        raise catalog.CatalogError(
            f"{path} would retire {done.retired} products, more than half (see --force)"
        )
    return 0


def _audit(options: argparse.Namespace) -> int:
    from store import audit

    with deadline(time.monotonic() + AUDIT_S):
        report = audit.run(Database(settings.load()), options.acks)
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        print(
            f"ledger {report.position}: {report.entries} entries, {report.orders} orders, "
            f"{report.skus} SKUs, {report.acks} acknowledgements"
        )
        for finding in report.findings:
            print(
                f"  {finding.check:20} {finding.subject}  expected {finding.expected}, found {finding.found}"
            )
        print("clean" if not report.findings else f"{len(report.findings)} differences")
    return 1 if report.findings else 0
