"""Overrides: what two people say where the ledger or the clock alone would refuse, and what else guards an import.

An override counts when it is byte for byte what this station would have made for that key and subject, in its time,
signed by a key pinned for purpose `release`. Two people of distinct owners must have said the same; on an open station,
which is for trying it out, one suffices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

from appliance import clock
from appliance.api.intake import Differing
from appliance.limits import intake as limits
from appliance.station import Station
from appliance.store.ports import Reader
from appliance.store.reads.decisions import clock_floor, differing_overrides, open_overrides
from appliance.store.writes.ledger import SayOverride, SignedOverride
from bundles.documents import signed as documents
from bundles.documents.signed import Override
from bundles.errors import LockgateError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.io.times import later
from bundles.people import count, is_same
from bundles.signing.keys import check_keyid
from bundles.signing.trust import TrustFolder

PEOPLE: Final = 2
"""Who must say an override, whatever a release takes."""
_SLACK: Final = timedelta(days=1)
"""How far the station's clock may stand behind a floor: as `bundles.decide.bundle` has it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What people agree on: a stream's floor (`sequence`, `digest`), or the clock's (`floor`)."""

    stream: str
    sequence: int
    digest: str
    floor: str

    @property
    def act(self) -> str:
        return "clock-floor" if self.floor else "stream-floor"

    def text(self) -> str:
        """One line that stands for it."""
        return f"{self.act} {self.stream} {self.sequence} {self.digest} {self.floor}"


def people_needed(station: Station) -> int:
    """How many people an override takes here."""
    return 1 if station.config.open else PEOPLE


def draft(station: Station, subject: Subject, keyid: str, why: str) -> bytes:
    """The exact bytes for a person to sign. Raises UsageError, MalformedError."""
    return _draft(station, subject, check_keyid(keyid), why)


def check_source(station: Station, stream: str) -> None:
    """Whether anything could come on the stream: a name that was mistyped is nobody's. Raises NotFoundError."""
    source, _, destination = stream.partition(".")
    pinned = {site for record in TrustFolder.load(station.paths.trust).records for site in record.sites}
    if destination == station.config.site and source not in pinned:
        near = get_close_matches(source, sorted(pinned), 1)
        said = f"did you mean {near[0]}.{destination}? " if near else ""
        raise NotFoundError(
            "no key is pinned for the site that it comes from", thing=stream, remedy=f"{said}see: lockgate key list"
        )


def check(station: Station, subject: Subject, why: str) -> None:
    """Whether people could say this at all. Raises UsageError."""
    _draft(station, subject, "0" * 16, why)


def _draft(station: Station, subject: Subject, keyid: str, why: str) -> bytes:
    source, _, destination = subject.stream.partition(".")
    if destination != station.config.site or not source:
        raise UsageError(
            "not a stream to this site", thing=subject.stream, remedy=f"write SOURCE.{station.config.site}"
        )
    if not why.strip() or len(why) > limits.REASON:
        raise UsageError("a reset needs a reason", thing=subject.stream, remedy=f"give --why, up to {limits.REASON}")
    now = clock.now()  # once: a second look may be a second later, and the document then valid for too long
    try:
        return documents.encode(
            Override(
                site=station.config.site,
                act=subject.act,
                stream=subject.stream,
                sequence=subject.sequence,
                digest=subject.digest,
                floor=subject.floor,
                why=why,
                keyid=keyid,
                created=now,
                not_after=later(now, timedelta(hours=station.config.approval_hours)),
            )
        )
    except MalformedError as error:
        raise UsageError(error.what, thing=error.thing, remedy=error.remedy or "see: lockgate intake stream") from None


def verify(station: Station, payload: bytes, keyid: str, signature: bytes) -> tuple[Override, str]:
    """A signed override and whose it is. Raises RefusedError for anything that does not count."""
    now = clock.now()
    record = documents.check_signature(payload, keyid, signature, station.trust(), at=now, site=None)
    try:
        override = documents.decode(payload, Override)
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing, remedy="sign the document that the station gives") from None
    if override.keyid != keyid or override.site != station.config.site or len(override.why) > limits.REASON:
        raise RefusedError("an override for another key or site", thing=override.stream, remedy="sign it anew")
    span = clock.seconds(override.not_after) - clock.seconds(override.created)
    out_of_time = override.created > later(now, timedelta(minutes=1)) or now > override.not_after
    if out_of_time or span > station.config.approval_hours * 3600:
        raise RefusedError(
            "the override is out of its time",
            thing=f"{override.created} to {override.not_after}",
            remedy="sign it anew",
        )
    return override, record.owner


def say(station: Station, payload: bytes, keyid: str, signature: bytes, actor: str) -> tuple[SayOverride, Override]:
    """The write that records a person's word, with whom else it counts. Raises RefusedError."""
    override, owner = verify(station, payload, keyid, signature)
    subject = Subject(override.stream, override.sequence, override.digest, override.floor)
    counting, reasons = [], {owner: f"{owner}: {override.why}"}
    words = [(owner, actor)]
    for said in open_overrides(station.reader, subject.text()):
        try:
            earlier, whose = verify(station, said.document.encode(), said.keyid, said.signature)
        except LockgateError:
            continue  # a key that was revoked meanwhile, or a word that is out of its time
        counting.append(said.keyid)
        if said.keyid != keyid:
            words.append((said.owner, said.actor))
        if not any(is_same(whose, person) for person in reasons):
            reasons[whose] = f"{whose}: {earlier.why}"
    people = min(count(whose for whose, _ in words), len({by for _, by in words}))  # as SayOverride counts them
    needed = people_needed(station)
    write = SayOverride(
        subject=subject.text(),
        said=SignedOverride(
            keyid=keyid, owner=owner, document=payload.decode(), signature=signature, created=override.created
        ),
        counting=tuple(counting), needed=needed, sets=people >= max(needed, 1),
        stream=override.stream, sequence=override.sequence,
        digest=override.digest, floor=override.floor, why="; ".join(reasons.values()), actor=actor, at=clock.now(),
    )  # fmt: skip
    return write, override


def differing(station: Station, override: Override, keyid: str) -> tuple[Differing, ...]:
    """What others said of the same stream's floor, or of the same clock, that is not what `override` says and counts
    still. Words of its own key, which may have changed its mind, are not among it."""
    subject = Subject(override.stream, override.sequence, override.digest, override.floor)
    found = []
    for said in differing_overrides(station.reader, f"{subject.act} {subject.stream} ", subject.text()):
        try:
            other, owner = verify(station, said.document.encode(), said.keyid, said.signature)
        except LockgateError:
            continue  # as in `say`
        if said.keyid != keyid:
            found.append(Differing(owner=owner, sequence=other.sequence, digest=other.digest, floor=other.floor))
    return tuple(found)


def trusted_now(reader: Reader) -> str:
    """The station's best idea of the time: the clock's, and never before its own clock at an import, or what two people
    set. What a bundle says of the time does not move it.

    Raises RefusedError where the clock stands more than a day behind that: then one of the two is wrong.
    """
    return _not_before(reader, "", "{} came in at {}")


def stream_now(reader: Reader, stream: str) -> str:
    """The time that a stream's keys and bundles are held against: `trusted_now`, and never before the newest bundle of
    that stream was made. Raises RefusedError as `trusted_now`, for that stream alone."""
    return max(trusted_now(reader), _not_before(reader, stream, "{} was made {}"))


def _not_before(reader: Reader, stream: str, what: str) -> str:
    found = clock_floor(reader, stream)
    now = clock.now()
    if found is None:
        return now
    floor, of = found
    if floor > later(now, _SLACK):
        raise RefusedError(
            "the clock stands before what has come in already",
            thing=f"it is {now} here, and {what.format(of or 'a bundle', floor)}",
            remedy="set this station's clock; where another's clock was wrong, two people set the floor back with:"
            f" lockgate intake stream reset {stream or 'STREAM'} --clock TIME --key KEY --why TEXT",
        )
    return max(now, floor)
