"""Rows of `transitions`, `decisions` and `approvals`, and what bundles were signed with, that are not what the audit
log says: missing, changed or made up.

Signatures are verified anew before anything goes by them, so that a row that was made up releases nothing; but people
read who approved what, and exports and receipts tell it to the other side.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from appliance.release_check.changed_ledger import Finding, is_known
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.step_record import DecisionEvent
from appliance.station import Station
from appliance.store.reads.record_rows import (
    FOLLOWS,
    DecisionRow,
    approval_rows,
    decision_rows,
    entry_states,
    kept_reports,
    small_files,
    step_rows,
    unnoted_reports,
    unpaired_steps,
)
from bundles.io import strict_json
from bundles.oci.digest import Digest

_LAST: Final = {
    "quarantined": ("quarantined", "inspected"), "approved": ("approved",), "released": ("released",),
    "withdrawn": ("withdrawn",), "rejected": ("rejected",),
}  # fmt: skip
"""The last step of a bundle, by its state."""
_STATION: Final = "station"
"""Who withdraws again what an older copy of the database had forgotten (appliance.lifecycle.forgotten_blocks)."""


def changed_steps(station: Station, log: LogRecord) -> Iterator[Finding]:
    """Each such row. Of what the log no longer holds, and no cut kept, nothing is said."""
    states = entry_states(station.reader)
    yield from _steps(station, log, states)
    yield from _reports(station, log, states)
    yield from _decisions(station, log, states)
    yield from _files(station, log, states)


def _steps(station: Station, log: LogRecord, states: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    steps: dict[str, list[str]] = defaultdict(list)
    seen = Counter[tuple[str, str]]()
    for digest, name, state, actor, _ in step_rows(station.reader):
        steps[digest].append(state)
        seen[digest, state] += 1
        if not _is_said(log, digest, state, actor, seen[digest, state]):
            yield f"the step {state} of {name}", "unexplained", name
    exact = {digest: named for digest, named in states.items() if log.deeds.steps.is_exact(digest)}
    for digest, (name, state) in exact.items():
        taken = steps.get(digest, [])
        skipped = any(pair not in FOLLOWS for pair in zip(["", *taken], taken, strict=False))
        if skipped or not taken or taken[-1] not in _LAST.get(state, ()):
            yield f"a step of {name}", "missing", name
    for digest, state in unpaired_steps(station.reader):
        if digest in exact:
            yield f"the step {state} of {exact[digest][0]}, or its entry in the ledger", "missing", exact[digest][0]
    for digest in sorted(unnoted_reports(station.reader) & exact.keys()):
        yield f"the step inspected of {exact[digest][0]}", "missing", exact[digest][0]


def _reports(station: Station, log: LogRecord, states: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Every report that there ever was is kept, also where another is the one that counts."""
    noted: dict[str, set[str]] = defaultdict(set)
    for digest, _, state, _, note in step_rows(station.reader):
        if state == "inspected" and note:
            noted[digest].add(note)
    for digest, named, text in kept_reports(station.reader):
        name = _name(states, digest)
        noted[digest].discard(named)
        if str(Digest.of(text)) != named:
            yield f"the report {named} of {name}", "changed", name
        elif log.deeds.steps.is_exact(digest) and not log.deeds.steps.has_report(digest, named):
            yield f"the report {named} of {name}", "unexplained", name
    for digest, missing in sorted(noted.items()):
        for named in sorted(missing) if log.deeds.steps.is_exact(digest) else ():
            yield f"the report {named} of {_name(states, digest)}", "missing", _name(states, digest)


def _is_said(log: LogRecord, digest: str, state: str, actor: str, number: int) -> bool:
    """Whether an event explains the `number`th row of a bundle's step. Where not every event is known, only what the
    bundle came to is asked for."""
    record = log.deeds.steps
    if record.is_exact(digest) or (record.whole and digest not in log.imported):
        actors = record.steps.get((digest, state), [])
        return number <= len(actors) and actor in (*actors, _STATION)
    match state:
        case "quarantined":
            return digest in log.imported
        case "released":
            return digest in log.ever
        case "withdrawn" | "rejected":
            return digest in log.undone
        case _:
            return digest in log.imported or not record.whole


def _decisions(station: Station, log: LogRecord, states: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    record = log.deeds.steps
    used = Counter[DecisionEvent]()
    rows = decision_rows(station.reader)
    here: set[tuple[str, str]] = set()
    documents: set[tuple[str, str, str]] = set()
    for row in rows:
        here.add((row.digest, row.keyid))
        said = _said(row)
        documents.add((row.digest, row.keyid, said.document))
        plain = said._replace(document="")  # an event of an earlier version does not name the document
        key = said if used[said] < record.decisions.get(said, 0) else plain
        used[key] += 1
        if used[key] > record.decisions.get(key, 0) and (
            record.is_exact(row.digest) or record.whole or is_known(log, row.created)
        ):
            yield _thing(row.keyid, _name(states, row.digest)), "unexplained", _name(states, row.digest)
    lost = {(digest, keyid) for (digest, keyid, document), at in record.kept.items()
            if at > log.deeds.restored and (digest, keyid, document) not in documents}  # fmt: skip
    lost |= {key for key, at in record.counted.items() if at > log.deeds.restored and key not in here}
    full = {(row.digest, row.keyid, row.document, row.signature) for row in rows}
    standing: dict[tuple[str, str], tuple[str, str, str, bytes]] = {}
    for approval in approval_rows(station.reader):
        standing[approval[:2]] = approval
        if approval not in full and record.is_exact(approval[0]):
            lost.add(approval[:2])
    for digest, keyid in sorted(lost):
        yield _thing(keyid, _name(states, digest)), "missing", _name(states, digest)
    newest = {(row.digest, row.keyid): row for row in rows}
    for digest, keys in sorted(record.live.items()):
        for keyid in sorted(keys) if record.is_exact(digest) and digest in states else ():
            last, counts = newest.get((digest, keyid)), standing.get((digest, keyid))
            if last is not None and (counts is None or counts[2:] != (last.document, last.signature)):
                name = _name(states, digest)
                yield f"the standing {_thing(keyid, name)[4:]}", "changed" if counts else "missing", name


def _said(row: DecisionRow) -> DecisionEvent:
    try:
        decision = str(json.loads(row.document)["decision"])
    except (ValueError, LookupError, TypeError, RecursionError):
        decision = ""
    return DecisionEvent(row.digest, decision, row.keyid, row.actor, str(Digest.of(row.document.encode())))


def _thing(keyid: str, name: str) -> str:
    return f"the decision by {keyid} about {name}"


def _name(states: Mapping[str, tuple[str, str]], digest: str) -> str:
    return states[digest][0] if digest in states else digest


def _files(station: Station, log: LogRecord, states: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """What a bundle was signed with is kept as it came."""
    for digest, (name, _) in sorted(log.imported.items()):
        if digest not in states:
            continue
        files = small_files(station.reader, digest)
        said = log.deeds.streams.imports.get(digest)
        if not any(one.startswith("SHA256SUMS.") for one in files):
            if said is not None:
                yield f"the signatures of {name}", "missing", name
        elif said is not None and said.files and said.files != digest_of(files):
            yield f"the signed files of {name}", "changed", name


def digest_of(files: Mapping[str, bytes]) -> str:
    """The digest of a bundle's small files, as the event of its import names it: of the SHA-256 of each, by name."""
    return str(Digest.of(strict_json.canonical({name: Digest.of(data).hex for name, data in files.items()})))
