"""`lockgate-verify approve DIR… --trust DIR --report FILE --key PEM --out FILE`: decide about a bundle elsewhere.

On an officer's own machine, with the medium, a copy of the station's trust folder and its inspection report: the bundle
is verified to the last byte, the report is held against it, and what is then signed is the very document that the
station would have made. `lockgate intake approve ID --approval FILE` takes it there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from bundles import limits
from bundles.documents import report_page, signed
from bundles.documents.signed import Approval, Report
from bundles.errors import MalformedError, RefusedError, UsageError
from bundles.io.display import safe
from bundles.io.files import read_small, write_atomic
from bundles.io.times import FORMAT, later
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey
from bundles.signing.signature_files import files_of
from bundles.signing.trust import TrustFolder, TrustRecord
from bundles.verifier.arguments import Words
from bundles.verifier.examine import Findings, examine
from bundles.verifier.key import open_key
from bundles.verifier.places import require_place
from bundles.verifier.report import text

NAME: Final = "lockgate-verify approve"
_HOURS: Final = 24
_REASON: Final = 2_000
"""Characters of a reason, as the station takes it."""


def run(words: Sequence[str]) -> int:
    """The command. Its status: 0 signed, 1 failed, 2 usage, 3 refused, 4 incomplete; nothing is signed but for 0."""
    asked = parser().parse_args(words)
    decision, why = ("reject" if asked.reject else "approve"), str(asked.why)
    _check_asked(asked, why)
    require_place(asked.out, asked.folders, asked.trust, off_medium=False)
    trust = TrustFolder.load(asked.trust)
    now = datetime.now(UTC).strftime(FORMAT)
    found = examine(asked.folders, trust, now, no_progress)
    if found.error is not None:
        print(text(found), file=sys.stderr)
        raise found.error
    raw = read_small(asked.report, limits.SIGNED_DOCUMENT)
    report = _held_against(raw, found, trust, asked.report)
    key = open_key(asked.key, asked.passphrase_fd)
    record = _pinned(key, trust)
    document = Approval(
        site=trust.site, bundle=report.bundle, digest=report.digest, report=str(Digest.of(raw)), decision=decision,
        why=why, keyid=key.public.keyid, created=now, not_after=later(now, timedelta(hours=asked.hours)),
    )  # fmt: skip
    payload = signed.encode(document)
    shown = [text(found), "", *_shown(document, report, record)]
    print("\n".join(shown), file=sys.stderr if asked.json else sys.stdout)
    _agree(decision, yes=asked.yes)
    signature = key.sign(payload)
    signed.check_signature(payload, key.public.keyid, signature, trust, at=now, site=None)
    write_atomic(asked.out, payload, replace=False)
    for name, data in files_of(asked.out.name, key.public.keyid, signature).items():
        write_atomic(asked.out.with_name(name), data, replace=False)
    fields = {"path": str(asked.out), "approval": msgspec.to_builtins(document), "owner": record.owner}
    print(json.dumps(fields, indent=2, sort_keys=True) if asked.json else safe(str(asked.out)))
    return 0


def _check_asked(asked: argparse.Namespace, why: str) -> None:
    if asked.reject and not why.strip():
        raise UsageError("a rejection needs a reason", remedy="say it with --why")
    if len(why) > _REASON:
        raise UsageError("the reason is too long", thing=f"{len(why)} characters", remedy=f"use {_REASON}")
    if not 1 <= asked.hours <= 24 * 366:
        raise UsageError("not a number of hours", thing=str(asked.hours), remedy="give 1 or more")
    if asked.out.exists() or asked.out.is_symlink():
        raise UsageError("the file exists", thing=str(asked.out), remedy="give a new one with --out")
    if not asked.out.absolute().parent.is_dir():
        raise UsageError("no such folder", thing=str(asked.out.absolute().parent), remedy="check --out")


def _held_against(raw: bytes, found: Findings, trust: TrustFolder, path: Path) -> Report:
    """The report, where it is about the very bundle that was verified here. Raises RefusedError."""
    try:
        report = signed.decode(raw, Report)
    except MalformedError as error:
        raise RefusedError(
            error.what, thing=str(path), remedy="have it written with: lockgate intake report ID --out FILE"
        ) from None
    manifest = found.manifest
    wanted = {"site": trust.site, "bundle": "" if manifest is None else manifest.id, "digest": found.digest}
    for name, value in wanted.items():
        if getattr(report, name) != value:
            raise RefusedError(
                f"the report is about another {name}", thing=f"{path}: {getattr(report, name)}, not {value}",
                remedy="bring the report of this bundle from the station",
            )  # fmt: skip
    return report


def _pinned(key: PrivateKey, trust: TrustFolder) -> TrustRecord:
    record = trust.find(key.public.keyid)
    if record is None or "release" not in record.purposes:
        raise RefusedError(
            "the key is not pinned for releases at the station", thing=f"{key.public.keyid} at {trust.site}",
            remedy="have it pinned with: lockgate key trust FILE --purpose release --owner WHO",
        )  # fmt: skip
    return record


def _shown(document: Approval, report: Report, record: TrustRecord) -> list[str]:
    """What will be signed, and what the station found."""
    lines = [f"what {report.site} found at {report.created}"]
    lines += [f"  {line}" for line in report_page.lines(report_page.page(msgspec.to_builtins(report)))]
    lines += [
        "",
        f"what you sign: {document.decision} {document.bundle} at {document.site}",
        f"  bundle    {document.digest}",
        f"  report    {document.report}",
        f"  as        {record.owner}, key {document.keyid}",
        f"  good      {document.created} to {document.not_after}",
    ]
    if document.why:
        lines.append(f"  why       {document.why}")
    return [safe(line) for line in lines]


def _agree(decision: str, *, yes: bool) -> None:
    """Raises UsageError where nobody can be asked, RefusedError where they do not agree."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody was asked", remedy=f"sign at a terminal, or give --yes to {decision} unasked")
    print(f"Type {decision} to sign it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != decision:
        raise RefusedError("nothing was signed", remedy=f"type {decision} where you mean it")


def parser() -> Words:
    """The command's words."""
    made = Words(
        prog=NAME,
        description="Verify a bundle, show what its station found, and sign an approval of it with your own key."
        " The last line is the approval's file; its signature is beside it. Carry both to the station.",
        epilog="Exit status: 0 signed, 1 failed, 2 usage, 3 refused, 4 incomplete. Nothing is signed but for 0.",
    )
    made.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="The bundle's folder on each medium.")
    made.add_argument("--trust", metavar="DIR", type=Path, required=True, help="A copy of the station's trust folder.")
    made.add_argument("--report", metavar="FILE", type=Path, required=True, help="The station's inspection report.")
    made.add_argument("--key", metavar="PEM", type=Path, required=True, help="Your private key.")
    made.add_argument("--out", metavar="FILE", type=Path, required=True, help="A new file for the approval.")
    made.add_argument("--hours", metavar="N", type=int, default=_HOURS, help=f"How long it is good (default {_HOURS}).")
    made.add_argument("--reject", action="store_true", help="Reject the bundle instead, for good.")
    made.add_argument("--why", metavar="TEXT", default="", help="The reason; a rejection needs one.")
    made.add_argument("--passphrase-fd", metavar="N", type=int, help="Read the passphrase from descriptor N.")
    made.add_argument("--yes", action="store_true", help="Do not ask before signing.")
    made.add_argument("--json", action="store_true", help="Print one JSON document.")
    return made
