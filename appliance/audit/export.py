"""Taking the audit log off the box, and what may go from the box afterwards.

An export is a folder that proves itself: the log's segments and checkpoints as they are, beside them each bundle's
signed documents, and one SHA256SUMS over all of it, signed by the station's audit key. Its verify-export.sh checks all
of it with stock tools and without a station; `lockgate audit verify --export` does the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.audit.checkpoints import checkpoint
from appliance.audit.export_documents import holds, undocumented
from appliance.audit.seals import audit_key, seals_of
from appliance.paths import StationPaths
from bundles import limits
from bundles.documents.audit_cut import Cut, LaneCut, sign_cut
from bundles.documents.audit_findings import UNDOCUMENTED, Finding, LogFindings
from bundles.documents.audit_log import CHECKPOINTS, LANES, Segment, checkpoint_lines, segments, site_of, verify
from bundles.documents.audit_seal import Seals
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.format.readme import check_command
from bundles.io.files import failures_named, open_regular, read_small, sync_folder
from bundles.signing import signature_files
from bundles.signing.keys import PublicKey

SUMS: Final = "SHA256SUMS"
README: Final = "README.txt"
SCRIPT: Final = "verify-export.sh"
_SCRIPT: Final = Path(__file__).with_name(SCRIPT)
_TEXT: Final = """\
The audit log of station {site}, exported at {at}.

Head of the log: {head}

To check it with stock tools, with the station's audit key {keyid} in audit.pem (from the station's commissioning
record, never from this medium):

  {checks}
  sh verify-export.sh --site {site} audit.pem .

The last line of verify-export.sh is its verdict; its exit status is 0 only where everything holds. Take the script
from another copy of Lockgate where you do not want to believe this one: it is always the same file.

lanes/*.jsonl         events, a line each; prev is the sha256 of the line before it in the same lane
checkpoints.jsonl     the station's signed statements of where each lane stood
bundles/ID-DIGEST/    what was signed about a bundle: SHA256SUMS and its signatures, manifest.json, report.json,
                      reports/HEX.json (every report by its sha256), decisions/NNN.json and NNN.json.KEYID.sig
keys/KEYID.pem        the public keys of those who signed, and KEYID.json: whose they are and what they were pinned for
"""


def export(paths: StationPaths, out: Path, documents: Mapping[str, bytes], *, site: str, at: str) -> str:
    """Write the log and `documents` (by path) to the new folder `out`. Returns the head it ends with.

    Raises UsageError where the folder exists, FailedError where it cannot be written; one that is not
    whole is removed again.
    """
    if os.path.lexists(out):
        raise UsageError("the export's folder exists", thing=str(out), remedy="name a new one")
    with failures_named(out, "the export cannot be written"):
        out.mkdir(mode=0o700)
    try:
        with failures_named(out, "the export cannot be written"):
            head = checkpoint(paths)
            key = audit_key(paths)
            (out / LANES).mkdir()
            lines = checkpoint_lines(paths.audit)
            for segment in segments(paths.audit):
                _copy_whole_lines(segment.path, out / LANES / segment.path.name)
            checks = check_command(key.public.keyid, key.public.algorithm, "audit.pem")
            text = _TEXT.format(site=site, at=at, head=head, keyid=key.public.keyid, checks=checks)
            _write(out / CHECKPOINTS, b"".join(lines))
            _write(out / README, text.encode())
            _write(out / SCRIPT, _SCRIPT.read_bytes())
            for name, data in documents.items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                _write(out / name, data)
            names = sorted(_files(out))
            sums = "".join(f"{_sha256(out / name)}  {name}\n" for name in names).encode()
            _write(out / SUMS, sums)
            for name, signature in signature_files.files_of(SUMS, key.public.keyid, key.sign(sums)).items():
                _write(out / name, signature)
            for folder, _, _ in os.walk(out):
                sync_folder(Path(folder))
            sync_folder(out.parent)
            return head
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def verify_export(
    folder: Path, key: PublicKey, site: str, expect_head: str = "", seals: Seals | None = None
) -> LogFindings:
    """Everything in an export: its signature, every file, no file beside them, the log's own chain, and the document of
    each decision that the log names; on the station itself, which has `seals`, also who wrote each event.

    Raises RefusedError where another key signed it, or where it is another station's: that is no change to it.
    """
    found = _verify(folder, key, site, expect_head, seals)
    for one in undocumented(folder):
        if one.due:
            found.find(f"lane {one.lane:02}", 0, f"event {one.seq}: {one.what}", UNDOCUMENTED, one.lane)
        else:
            found.unchecked.append(one.what)
    return found


def _verify(folder: Path, key: PublicKey, site: str, expect_head: str, seals: Seals | None) -> LogFindings:
    """Everything but the documents that the log names."""
    if not folder.is_dir():
        raise UsageError("no such folder", thing=str(folder), remedy="give the folder of an export")
    problems: list[Finding] = []
    sums = folder / SUMS
    signed = signature_files.by_key((path.name for path in folder.iterdir()), SUMS)
    mine = signed.get(key.keyid, {})
    listed: dict[str, str] = {}
    if not sums.is_file() or not signed:
        problems.append(Finding(SUMS, 0, f"it, or its signature by key {key.keyid}, is missing"))
    elif not mine:
        raise RefusedError(
            "the export is signed by another key than the one given",
            thing=f"signed by {', '.join(sorted(signed))}, given {key.keyid}",
            remedy="give the audit key that signed it (lockgate key export audit, at the station that made it)",
        )
    else:
        raw = read_small(sums, limits.SIGNED_DOCUMENT)
        files = {kind: read_small(folder / name, limits.SIGNATURE_FILE) for kind, name in mine.items()}
        if not holds(key, raw, files):
            problems.append(Finding(SUMS, 0, f"the signature by key {key.keyid} does not hold"))
        elif (other := site_of(folder, key)) not in ("", site):
            raise RefusedError(
                "the export is of another station than the one given", thing=f"it is of {other}, given {site}",
                remedy=f"give --site {other}, if that is the station you mean",
            )  # fmt: skip
        lines = raw.decode(errors="replace").splitlines()
        listed = {line[66:]: line[:64] for line in lines if len(line) > 66}
    here = set(_files(folder)) - {SUMS, *mine.values()}
    for name in sorted(here ^ set(listed)):
        problems.append(Finding(name, 0, "it is missing" if name in listed else "a file that SHA256SUMS does not name"))
    for name in sorted(here & set(listed)):
        if _sha256(folder / name) != listed[name]:
            problems.append(Finding(name, 0, "its bytes are not the ones SHA256SUMS names"))
    found = verify(folder, key, site, expect_head, seals=seals)
    found.findings[:0] = problems
    return found


def prunable(paths: StationPaths, exported: Path, site: str) -> Cut | None:
    """The lanes' oldest segments that an export holds byte for byte and that nobody writes any more, whole segments
    alone; None where there are none. The event of a decision whose document the export lacks stays, and what came after
    it in its lane: no later export could tell of it. Raises RefusedError where the export does not verify."""
    key = audit_key(paths).public
    found = _verify(exported, key, site, "", seals_of(paths))
    if found.findings:
        raise RefusedError("the export does not verify", thing=found.findings[0].text(), remedy="export it anew")
    stay: dict[int, int] = {}
    for one in undocumented(exported):
        if one.due:
            stay[one.lane] = min(one.seq, stay.get(one.lane, one.seq))
    lanes: dict[int, list[Segment]] = {}
    for segment in segments(paths.audit):
        lanes.setdefault(segment.lane, []).append(segment)
    cuts: list[LaneCut] = []
    for lane, mine in lanes.items():
        gone: dict[str, str] = {}
        for segment, behind in itertools.pairwise(mine):
            if lane in stay and int(str(_first_event(behind.path)["seq"])) > stay[lane]:
                break
            copy, digest = exported / LANES / segment.path.name, _sha256(segment.path)
            if not copy.is_file() or _sha256(copy) != digest:
                break
            gone[segment.path.name] = digest
        if gone:
            stays = mine[len(gone)]
            first = _first_event(stays.path)
            cuts.append(
                LaneCut(
                    lane=lane, first=stays.number, from_=int(str(first["seq"])), prev=str(first["prev"]), segments=gone
                )
            )
    return Cut(site=site, sums=_sha256(exported / SUMS), head=found.head, lanes=cuts) if cuts else None


def announced(paths: StationPaths, cut: Cut) -> dict[str, object]:
    """The detail of the event `audit.prune`: the cut, signed by the station's audit key."""
    return sign_cut(cut, audit_key(paths))


def prune(paths: StationPaths, cut: Cut) -> int:
    """Remove what `prunable` found, once an event (`audit.prune`) says so. Returns how many segments went."""
    names = [name for lane in cut.lanes for name in lane.segments]
    lanes = paths.audit / LANES
    with failures_named(lanes, "the audit log cannot be changed"):
        for name in names:
            (lanes / name).unlink(missing_ok=True)
        sync_folder(lanes)
    return len(names)


def _first_event(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        raise FailedError("the lane's newest segment is empty", thing=str(path), remedy="try again later")
    fields: dict[str, object] = json.loads(line)
    return fields


def _files(folder: Path) -> list[str]:
    return [str((Path(where) / name).relative_to(folder)) for where, _, names in os.walk(folder) for name in names]


def _copy_whole_lines(source: Path, target: Path) -> None:
    with os.fdopen(open_regular(source), "rb") as file:
        data = file.read()
    _write(target, data[: data.rfind(b"\n") + 1])


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with os.fdopen(open_regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
