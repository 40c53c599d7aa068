"""Inspection: this station's own report about what is in quarantine, and the `inspect` job that makes it anew.

A new report is another document: whoever approved the bundle by the old one is asked again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.api.states import DECIDABLE
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.content_records import news, recalled
from appliance.content_records import row_of as row_of_look
from appliance.gates.wanted import rules_of
from appliance.image_signatures.applied import load_applied
from appliance.intake import inspectors
from appliance.intake.content import check_content, check_held, sizes_of
from appliance.intake.inspectors.layer_cache import Notebook, findings_key
from appliance.intake.inspectors.port import Subject
from appliance.intake.missing_volumes import whole_without
from appliance.intake.stream_lock import stream_turn
from appliance.jobs.kinds import JobContext, Result
from appliance.malware_records import row_of
from appliance.release_check.tag_owners import TagOwners
from appliance.rotations.accepting import describe, keep_carried
from appliance.scanning.scan_job import scan_images
from appliance.settings.image_policy import ImagePolicy
from appliance.station import Station
from appliance.store.reads.intake import Entry, find_entry, missing_volumes, previous_of, read_manifest, signed_files
from appliance.store.writes.content_looks import KeepContentLooks
from appliance.store.writes.intake import Inspected, KeepLayers
from appliance.store.writes.malware import KeepMalware
from bundles.decide.bundle import Opened, decide, require_all_signers
from bundles.documents import signed
from bundles.documents.rotation_carried import of_manifest
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError, UsageError
from bundles.format.manifest import BundleManifest
from bundles.image_signatures.pins import Pins
from bundles.io.files import read_small, write_atomic
from bundles.limits import SIGNED_DOCUMENT
from bundles.oci.digest import Digest

_ACT = Act.INTAKE_INSPECT
_ANEW = Act.INTAKE_REINSPECT
"""Another act: the newest `intake.inspect` is of the bundle that came in last (appliance.lifecycle.restored_copy)."""
_DRAFT = "report.json"
"""The report in the job's folder: a job that was cut off does not void approvals twice."""


def make_report(station: Station, opened: Opened) -> bytes:
    """What every inspector finds, canonical. The source's key rotations are kept, for people to accept.

    Raises FailedError where a required inspector is missing or could not look.
    """
    reader, whole = station.reader, opened.manifest
    absent = tuple(missing_volumes(reader, str(opened.digest)))
    manifest = whole_without(station.blobs, whole, set(absent)) if absent else whole
    previous = previous_of(reader, manifest.stream, manifest.sequence)
    notebook = Notebook(reader, findings_key(station.paths.findings_key))
    policy, (image_policy, image_policy_error) = station.policy(), _image_policy(station)
    rules, key = rules_of(None if image_policy is None else image_policy.content_rule), index_key(station.paths)
    subject = Subject(
        notebook=notebook,
        sources=policy.sources,
        opened=replace(opened, manifest=manifest),
        missing_volumes=absent,
        left_out=len(whole.artifacts) - len(manifest.artifacts),
        checked=check_content(station.blobs, manifest),
        blobs=station.blobs,
        metadata=station.metadata,
        previous=None if previous is None else read_manifest(reader, previous.digest),
        owners=TagOwners(station, {artifact.repository for artifact in manifest.artifacts}),
        pins=Pins.of(station.trust(), clock.now()),
        image_policy=image_policy,
        image_policy_error=image_policy_error,
        malware=station.config.malware,
        folder=station.paths.jobs,
        rules=rules.rules,
        missing_rules=rules.missing,
        recall=partial(recalled, reader, key, rules.rules),
        salt=key,
        rotations=_rotations(station, whole),
    )
    report = inspectors.inspect(
        subject, station.config.site, clock.now(), policy.required_inspectors, inspectors.INSPECTORS
    )
    if notebook.rows:
        station.writer.submit(KeepLayers(layers=tuple(notebook.rows), at=clock.now()))
    looks = [row_of_look(key, str(digest), clock.now(), rules.rules, one) for digest, one in subject.looked.items()]
    if new := news(reader, key, looks):
        station.writer.submit(KeepContentLooks(rows=new))
    if subject.scans:
        rows = tuple(row_of(key, str(digest), engine, scanned) for engine, digest, scanned in subject.scans)
        station.writer.submit(KeepMalware(rows=rows))
    return signed.encode(report)


def _rotations(station: Station, manifest: BundleManifest) -> list[dict[str, str]]:
    """Keep the key rotations that a bundle carries, for two people to accept, and what is to be said of each."""
    try:
        carried = of_manifest(manifest)
    except MalformedError as error:
        return [{"id": "", "state": "refused", "why": error.diagnostics()}]
    keep_carried(station.paths.root, manifest.source, carried)
    return [describe(station.paths, manifest.source, one) for one in carried]


def _image_policy(station: Station) -> tuple[ImagePolicy | None, str]:
    """The policy for images in force, or why it cannot be read: that is reported, and no release goes by it."""
    try:
        applied = load_applied(station.paths)
    except LockgateError as error:
        return None, error.diagnostics()
    return (None if applied is None else applied.policy), ""


def record(station: Station, entry_digest: str, name: str, report: bytes, actor: str, *, act: Act = _ACT) -> str:
    """Keep a report: an event, then one transaction. Returns its digest."""
    digest = str(Digest.of(report))
    event = AuditEvent(act, actor, name, "done", {"digest": entry_digest, "report": digest})
    with recording(station.audit, event):
        station.writer.submit(
            Inspected(digest=entry_digest, report=report.decode(), report_digest=digest, actor=actor, at=clock.now())
        )
    return digest


def run(context: JobContext) -> Result:
    """Inspect the bundle `params["id"]` anew. The result: id, digest, state, report_digest, sections.

    With `params["scan"]` its images are scanned instead, so that gates can ask what is in them before a release, and
    its report and approvals stay. The result: id, images, made, failed, as of the `scan` job.

    Raises FailedError where it is not in quarantine, or a required inspector could not look; RefusedError where it is
    no longer what was signed.
    """
    name = context.params.get("id")
    if not isinstance(name, str) or not name:
        raise UsageError("no bundle was named", remedy="name its id")
    entry = find_entry(context.station.reader, name)
    try:
        with stream_turn(context.station.paths, entry.stream, context.progress):
            act = _scan if context.params.get("scan") else _inspect
            return act(context, find_entry(context.station.reader, entry.digest))
    except LockgateError as error:
        context.record_failure(_ACT, entry.id, error)
        raise


def _require_quarantined(entry: Entry) -> None:
    if entry.state not in DECIDABLE:
        raise FailedError(
            f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is inspected; withdraw it first"
        )


def _scan(context: JobContext, entry: Entry) -> Result:
    """Scan the images of a bundle in quarantine."""
    _require_quarantined(entry)
    station, whole = context.station, reopened(context.station, entry).manifest
    absent = set(missing_volumes(station.reader, entry.digest))
    manifest = whole_without(station.blobs, whole, absent) if absent else whole
    checked = check_content(station.blobs, manifest)
    images = [Digest.parse(one.artifact.digest) for one in checked if one.kind == "image"]
    return {"id": entry.id, **scan_images(context, entry.id, dict.fromkeys(images))}


def _inspect(context: JobContext, entry: Entry) -> Result:
    station, draft = context.station, context.folder / _DRAFT
    _require_quarantined(entry)
    if not draft.exists():
        context.progress("inspect", 0, 0)
        write_atomic(draft, make_report(station, reopened(station, entry)), 0o600)
    raw = read_small(draft, SIGNED_DOCUMENT)
    if entry.report_digest != str(Digest.of(raw)):
        act = _ACT if entry.report_digest is None else _ANEW
        record(station, entry.digest, entry.id, raw, context.actor, act=act)
    sections = signed.decode(raw, signed.Report).sections
    for section in sections:
        context.log(f"{section.inspector}: {section.outcome}, {section.summary}")
    now = find_entry(station.reader, entry.digest)
    return {"id": now.id, "digest": now.digest, "state": now.state, "report_digest": now.report_digest,
            "sections": [{"inspector": one.inspector, "outcome": one.outcome} for one in sections]}  # fmt: skip


def reopened(station: Station, entry: Entry) -> Opened:
    """A bundle in quarantine by its own signatures, verified anew, its blobs in the store. Raises RefusedError."""
    files = signed_files(station.reader, entry.digest)
    if files is None or str(Digest.of(files.sums)) != entry.digest:
        raise RefusedError(
            "the bundle's signed files are not in the store", thing=entry.id, remedy="have the bundle carried in anew"
        )
    opened = decide(files, station.trust(), entry.received)
    require_all_signers(opened)
    absent = set(missing_volumes(station.reader, entry.digest))
    manifest = whole_without(station.blobs, opened.manifest, absent) if absent else opened.manifest
    check_held(station.blobs, station.metadata, sizes_of(manifest))
    return opened
