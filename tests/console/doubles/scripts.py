"""What happens in the demo: plans, the scripts of jobs and their effects, the finder, the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from appliance.api.audit import Event
from appliance.api.bundles import ChosenReference, OutgoingBundle, Plan, PlannedArtifact, PlannedMedium, PlannedVolume
from appliance.api.content import FoundItem
from appliance.api.errors import ErrorDocument
from appliance.artifact_choice import Wish
from appliance.patterns import covers
from appliance.permissions import matches
from bundles.errors import FailedError, NotFoundError, UsageError
from bundles.format.media import capacity
from tests.console.doubles import data, intake
from tests.console.doubles.jobs import DemoJob, Phase, waiting
from tests.console.doubles.state import DemoState
from tui.guides.new_bundle import FULL

_TAMPERED: Final = ErrorDocument(
    error="RefusedError",
    what="a volume's bytes are not what was signed",
    thing="alpha.bravo-000008/volumes/0002.7z",
    remedy="do not use this medium; ask alpha to cut it again, and keep it for examination",
    exit_status=3,
)


_FORKED: Final = ErrorDocument(
    error="RefusedError",
    code="fork",
    what="a fork: the ledger has another bundle of this sequence",
    thing="alpha.bravo-000004",
    remedy="two bundles were made under one number: ask the source site, and trust neither",
    exit_status=3,
)
_BAD_MEDIUM: Final = "/media/usb-red"


def _refused(code: str, what: str, thing: str, remedy: str) -> ErrorDocument:
    return ErrorDocument(error="RefusedError", code=code, what=what, thing=thing, remedy=remedy, exit_status=3)


_BLOBS: Final = 9
"""Blobs of each artifact here; all but one of them are known to be inside."""


def plan(station: DemoState, params: Mapping[str, Any]) -> Plan:
    """A plan for the draft's references: blobs packed into volumes in order."""
    asked = list(params["references"])
    if not asked:
        raise UsageError("nothing to carry", thing="references", remedy="pick at least one artifact")
    references = list(dict.fromkeys(name for reference in asked for name in _named(reference)))
    found = []
    for reference in references:
        artifact = data.artifact(reference)
        if artifact is None:
            raise UsageError("no such artifact", thing=reference, remedy="look in Repositories")
        found.append(artifact)
    is_delta = params.get("since", FULL) != FULL
    whole = sum(artifact.total_size for artifact in found)
    total = whole // _BLOBS if is_delta else whole
    largest = capacity(params.get("volume") or "fat32")
    sizes = [largest] * (total // largest) + ([total % largest] if total % largest else [])
    wanted = [str(medium["path"]) for medium in params["media"]]
    known = {medium.path: medium.free for medium in station.carried.media}
    if any(medium.read_only and medium.path in wanted for medium in station.carried.media):
        raise FailedError("the medium is read-only", thing=wanted[0], remedy="choose another one")
    free = [known.get(path, 100 * data.GB) for path in wanted]
    if sum(free) < total:
        raise FailedError(
            "the media are too small for the bundle",
            thing=f"{total - sum(free)} bytes more are needed",
            remedy="free some space, or add another medium",
        )
    is_open = params.get("changed") or references != asked
    return Plan(
        chosen=tuple(ChosenReference(reference=name) for name in references) if is_open else (),
        artifacts=tuple(
            PlannedArtifact(
                repository=artifact.reference.rpartition(":")[0],
                tags=artifact.tags,
                digest=artifact.digest,
                kind=artifact.kind,
            )
            for artifact in found
        ),
        blobs=(1 if is_delta else _BLOBS) * len(found),
        requires=(_BLOBS - 1) * len(found) if is_delta else 0,
        required_bytes=whole - total,
        base="receipt 3" if is_delta else "nothing: the bundle is full",
        bytes=total,
        volume=largest,
        volumes=tuple(
            PlannedVolume(index=number, medium=medium, size=size)
            for number, (size, medium) in enumerate(zip(sizes, _assign(sizes, free), strict=True), 1)
        ),
        media=tuple(PlannedMedium(path=path, free=room) for path, room in zip(wanted, free, strict=True)),
    )


def _named(reference: str) -> list[str]:
    """The demo's artifacts that a reference or pattern names."""
    wish = Wish.parse(reference)
    if wish.exact is not None:
        return [reference]
    found = [
        f"{one.name}:{tag.tag}"
        for one in data.repositories()
        if (one.name == wish.repository or matches(wish.repository, one.name))
        for tag in data.tags(one.name)
        if covers(wish.tag, tag.tag)
    ]
    if not found:
        raise NotFoundError("nothing has a name like this", thing=reference, remedy="look in Repositories")
    return found


def _assign(sizes: list[int], free: list[int]) -> list[int]:
    """The medium of each volume: filled in order."""
    assigned: list[int] = []
    medium, left = 0, free[0]
    for size in sizes:
        while size > left and medium + 1 < len(free):
            medium += 1
            left = free[medium]
        assigned.append(medium + 1)
        left -= size
    return assigned


def start(station: DemoState, kind: str, params: dict[str, Any]) -> DemoJob:
    """A new job of a kind. Raises UsageError as the station would."""
    number = 1 + max((int(job.id.removeprefix("j")) for job in station.demo_jobs), default=0)
    job = DemoJob(
        id=f"j{number:04d}",
        kind=kind,
        params=params,
        phases=(Phase(kind, data.MB, 2.0),),
        end=dict,
        began=station.seconds(),
        created=station.now(),
        time_of=station.time_of,
        actor=station.account,
    )
    match kind:
        case "build":
            _build(station, job)
        case "import":
            _import(station, job)
        case "receipt":
            job.end = lambda: {"path": params["out"], "number": 4}
        case "gc" | "scrub" | "inspect":
            pass  # the demo finds nothing to take away, and its reports stay as they are
        case _:
            raise UsageError("no such kind of job", thing=kind, remedy="use build, import or receipt")
    return job


def _build(station: DemoState, job: DemoJob) -> None:
    params = job.params
    made = plan(station, {**params, "media": [{"path": path} for path in params["out"]]})
    stream = f"{station.site}.{params['to']}"
    sequence = 1 + max((one.sequence for one in station.outgoing if one.stream == stream), default=0)
    bundle = f"{stream}-{sequence:06d}"
    folder = str(PurePosixPath(params["out"][0]) / bundle)
    seconds = max(made.bytes / (400 * data.MB), 2.0)
    volumes = tuple(f"volumes/{volume.index:04d}.7z" for volume in made.volumes)
    job.phases = (
        Phase("lay out and hash", made.bytes, seconds, tuple(f"hashed {name}" for name in volumes)),
        Phase("write", made.bytes, seconds * 1.5, tuple(f"wrote and synced {name}" for name in volumes)),
        Phase("compare", made.bytes, seconds, tuple(f"{name} reads back as signed" for name in volumes)),
    )
    job.gate = 1
    job.shares = tuple(
        (medium.path, sum(volume.size for volume in made.volumes if volume.medium == number))
        for number, medium in enumerate(made.media, 1)
    )
    job.to_sign = waiting(
        f"SHA256SUMS of {bundle}\n".encode(),
        params["sign_with"],
        {
            "id": bundle,
            "to": params["to"],
            "artifacts": len(made.artifacts),
            "volumes": len(volumes),
            "bytes": made.bytes,
        },
    )

    def end() -> dict[str, Any]:
        digest = data.digest(bundle)
        station.carried.artifacts[bundle] = [
            {"repository": one.repository, "tags": list(one.tags), "digest": one.digest, "kind": one.kind}
            for one in made.artifacts
        ]
        station.outgoing.insert(
            0,
            OutgoingBundle(
                id=bundle, stream=stream, sequence=sequence, digest=digest, state="written", created=station.now()
            ),
        )
        station.carried.media = [
            msgspec.structs.replace(medium, bundles=(*medium.bundles, bundle), free=medium.free - made.bytes)
            if medium.path == params["out"][0]
            else medium
            for medium in station.carried.media
        ]
        return {
            "path": folder,
            "id": bundle,
            "digest": digest,
            "volumes": len(volumes),
            "bytes": made.bytes,
            "signed_by": [params["sign_with"]],
            "missing_signers": list(params.get("cosigners", ())),
        }

    job.end = end


def _import(station: DemoState, job: DemoJob) -> None:
    path = str(job.params["paths"][0]).rstrip("/")
    medium = next((one for one in station.carried.media if path == one.path or path.startswith(one.path + "/")), None)
    names = medium.bundles if medium else ()
    name = PurePosixPath(path).name if PurePosixPath(path).name in names else names[0] if names else ""
    if not name:
        raise FailedError("no bundle here", thing=path, remedy="choose a medium that holds one")
    sequence = int(name.rpartition("-")[2])
    entry = intake.make(
        sequence,
        "quarantined",
        station.now(),
        sizes=4,
        artifacts=station.carried.artifacts.get(name),
        stream=name.rpartition("-")[0],
    )
    job.entry = entry
    lines = tuple(f"volumes/{volume.index:04d}.7z: every byte is the signed one" for volume in entry.volumes)
    job.phases = (
        Phase("", 0, 1.2, (f"{name}: signed by Release Engineering, alpha",)),
        Phase("verify and store", entry.bytes, 9.0, lines),
    )
    known = {one.sequence for one in station.entries if one.stream == entry.stream}
    if sequence in known:
        job.phases, job.end = (
            job.phases[:1],
            _refused("replay", f"a replay: {name} is in the ledger", name, "nothing is to be done"),
        )
        return
    if sequence > max(known, default=0) + 1:
        before = intake.bundle_id(sequence - 1, entry.stream)
        job.phases, job.end = job.phases[:1], _refused("gap", f"a gap: {before} did not come", name, "import it first")
        return
    if medium is not None and medium.path == _BAD_MEDIUM:
        job.phases = (job.phases[0], Phase("verify and store", entry.bytes, 4.0, lines[:1]))
        job.end, job.damaged = _TAMPERED, 2
        return

    def end() -> dict[str, Any]:
        station.entries = [entry, *(one for one in station.entries if one.digest != entry.digest)]
        return {
            "id": entry.id,
            "digest": entry.digest,
            "state": entry.state,
            "artifacts": entry.artifacts,
            "bytes": entry.bytes,
        }

    job.end = end


def find(station: DemoState, query: str) -> Iterator[FoundItem]:
    """Anything whose name holds the query, or whose digest begins with it."""
    for repository in data.repositories():
        if query in repository.name:
            yield FoundItem(kind="repository", text=repository.name, ref=repository.name)
    for repository in data.repositories():
        for tag in data.tags(repository.name):
            reference = f"{repository.name}:{tag.tag}"
            if query in reference:
                yield FoundItem(kind="tag", text=reference, ref=reference)
            elif tag.digest.removeprefix("sha256:").startswith(query.removeprefix("sha256:") or "-"):
                yield FoundItem(kind="digest", text=tag.digest, ref=f"{repository.name}@{tag.digest}")
    for entry in station.entries:
        if query in entry.id:
            yield FoundItem(kind="intake", text=f"{entry.id} {entry.state}", ref=entry.id)
    for job in station.demo_jobs:
        if query in f"{job.id} {job.kind}":
            yield FoundItem(kind="job", text=f"{job.id} {job.kind}", ref=job.id)
    yield from _people_and_keys(station, query.lower())


def _people_and_keys(station: DemoState, query: str) -> Iterator[FoundItem]:
    for key in station.trusted:
        if query in f"{key.keyid} {key.owner}".lower():
            yield FoundItem(kind="key", text=f"{key.owner} {key.keyid}", ref=key.keyid)
    for account in station.accounts:
        if query in f"{account['name']} {account['full_name']}".lower():
            yield FoundItem(kind="account", text=f"{account['name']} {account['full_name']}", ref=account["name"])


def bundles(*, inside: bool) -> tuple[OutgoingBundle, ...]:
    """What was sent before the demo starts, newest first."""
    if not inside:
        return tuple(
            OutgoingBundle(
                id=intake.bundle_id(sequence),
                stream=intake.STREAM,
                sequence=sequence,
                digest=data.digest(intake.bundle_id(sequence)),
                state="written",
                created=data.day(60 + sequence // 2, "07:45:00"),
            )
            for sequence in range(8, 0, -1)
        )
    return tuple(
        OutgoingBundle(
            id=f"bravo.charlie-{sequence:06d}",
            stream="bravo.charlie",
            sequence=sequence,
            digest=data.digest(f"bravo.charlie-{sequence:06d}"),
            state="voided" if sequence == 2 else "written",
            created=data.day(50 + sequence * 3, "16:10:00"),
        )
        for sequence in (3, 2, 1)
    )


def history(station: DemoState) -> list[DemoJob]:
    """Jobs of the demo's past, newest first: one runs, one was refused, one failed, others are done."""
    gb = data.GB

    def job(number: int, kind: str, ago: float, seconds: float, **fields: Any) -> DemoJob:
        return DemoJob(
            id=f"j{number:04d}",
            kind=kind,
            phases=(
                Phase(
                    fields.pop("phase", kind),
                    fields.pop("bytes", gb),
                    seconds,
                    ("volumes/0001.7z: every byte is the signed one",),
                ),
            ),
            began=station.began - ago,
            created=station.time_of(station.began - ago),
            time_of=station.time_of,
            **fields,
        )

    full = ErrorDocument(
        error="FailedError",
        what="the medium is full",
        thing="/media/usb-old",
        remedy="free some space or choose another medium, and build again",
    )
    return [
        job(
            41,
            "import",
            90,
            300,
            phase="verify and store",
            bytes=9 * gb,
            params={"paths": ["/media/disc"]},
            end=dict,
        ),
        job(40, "import", 1_140, 60, params={"paths": ["/media/usb-blue"]}, end=dict, actor="importer"),
        job(39, "import", 4_000, 12, params={"paths": ["/media/usb-red"]}, end=_TAMPERED, actor="importer"),
        job(38, "build", 90_000, 40, params={"to": "charlie", "out": ["/media/usb-old"]}, end=full),
        job(37, "receipt", 172_000, 2, params={"out": "/media/usb-blue/receipt.json"}, end=dict),
        job(36, "build", 260_000, 80, params={"to": "charlie", "out": ["/media/usb-blue"]}, end=dict),
        job(35, "import", 690_000, 3, params={"paths": ["/media/usb-old"]}, end=_FORKED, actor="importer"),
    ]


def events() -> Iterator[Event]:
    acts = (
        ("import", "importer", "alpha.bravo-000007", "done"),
        ("import", "importer", "alpha.bravo-000008", "refused"),
        ("approve", "deputy", "alpha.bravo-000005", "done"),
        ("approve", "officer", "alpha.bravo-000005", "done"),
        ("reject", "officer", "alpha.bravo-000004", "done"),
        ("release", "officer", "alpha.bravo-000003", "done"),
    )
    for number, (act, actor, thing, outcome) in enumerate(acts):
        yield Event(time=data.day(64 - number, "13:41:07"), act=act, actor=actor, thing=thing, outcome=outcome)
