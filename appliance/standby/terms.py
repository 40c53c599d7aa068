"""Terms: two people's signed word that a stand-by becomes the primary, and how a station reads it.

Both sign the same bytes, each with a key that is pinned for releases. Who reads a word believes its own trust folder
alone, anew each time, so that a key that was revoked since does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance import clock
from appliance.distinct_people import people_behind
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.standby.documents import is_node
from bundles import limits as format_limits
from bundles.documents.audit_log import is_head
from bundles.documents.signed import TERM_TYPE, check_signature
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io import strict_json
from bundles.io.files import failures_named, read_small, write_atomic
from bundles.oci.reference import check_site
from bundles.signing.keys import PrivateKey
from bundles.signing.signature_files import by_key, files_of, join
from bundles.signing.trust import TrustFolder, TrustRecord

PEOPLE: Final = 2
"""How many people promote a stand-by, on an open station too."""


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person signs: `node` is the primary of `term`, and goes on from the state `number` of term `before`, whose
    log ended with `head`."""

    type: str = TERM_TYPE
    site: str
    term: int
    node: str
    before: int
    number: int
    head: str

    @property
    def name(self) -> str:
        """The file's name without its end."""
        return f"{self.term}-{self.node}"

    def raw(self) -> bytes:
        """The bytes that are signed."""
        return strict_json.canonical(msgspec.to_builtins(self))


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word as it lies in a folder, with its signatures: keyid to kind to bytes."""

    word: Word
    signatures: dict[str, dict[str, bytes]]


def parse(raw: bytes) -> Word:
    """Raises MalformedError."""
    fields = strict_json.loads_canonical(
        raw, ceiling=format_limits.SIGNED_DOCUMENT, nodes=format_limits.SIGNED_DOCUMENT_NODES, what="a term"
    )
    try:
        word = msgspec.convert(fields, Word, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("a malformed term", thing=str(error)[:160]) from None
    check_site(word.site)
    if word.type != TERM_TYPE or not is_node(word.node) or not is_head(word.head):
        raise MalformedError("a malformed term", thing=word.name[:80])
    if not 1 <= word.before < word.term or word.number < 1 or word.raw() != raw:
        raise MalformedError("a malformed term", thing=word.name[:80])
    return word


def load(folder: Path) -> list[Spoken]:
    """Every word in a folder; what is none is left out: it counts for nothing. Raises FailedError where the folder
    cannot be read."""
    if not folder.is_dir():
        return []
    with failures_named(folder, "the terms of the pair cannot be read"):
        names = sorted(path.name for path in folder.iterdir())[: limits.STANDBY_TERMS]
    found = []
    for name in (name for name in names if name.endswith(".json")):
        with suppress(LockgateError):
            word = parse(read_small(folder / name, format_limits.SIGNED_DOCUMENT))
            if name == f"{word.name}.json":
                found.append(Spoken(word, _signatures(folder, names, word.name)))
    return found


def _signatures(folder: Path, names: Iterable[str], stem: str) -> dict[str, dict[str, bytes]]:
    return {
        keyid: {kind: read_small(folder / name, format_limits.SIGNED_DOCUMENT) for kind, name in kinds.items()}
        for keyid, kinds in by_key(names, stem).items()
    }


def signers(spoken: Spoken, trust: TrustFolder) -> list[TrustRecord]:
    """Whose signatures count for a word now."""
    raw, found = spoken.word.raw(), []
    if spoken.word.site != trust.site:
        return []
    for keyid, kinds in spoken.signatures.items():
        record = trust.find(keyid)
        signature = None if record is None else join(record.key.algorithm, kinds)
        if signature is not None:
            with suppress(LockgateError):
                found.append(check_signature(raw, keyid, signature, trust, at=clock.now(), site=None))
    return found


def believed(folder: Path, paths: StationPaths) -> list[Spoken]:
    """The words in `folder` that two people said by the trust folder and the accounts of the station in `paths`, by
    their terms. Raises FailedError."""
    found = load(folder)
    if not found:
        return []
    trust = TrustFolder.load(paths.trust)
    counting = [one for one in found if people_behind(paths, signers(one, trust)) >= PEOPLE]
    return sorted(counting, key=lambda one: (one.word.term, one.word.node))


def say(folder: Path, word: Word, key: PrivateKey, paths: StationPaths) -> list[TrustRecord]:
    """Sign a word and keep it in `folder`; who has said it now. Raises RefusedError for a key that is not pinned for
    releases, UsageError where the same person has said it already, FailedError."""
    trust = TrustFolder.load(paths.trust)
    signature = key.sign(word.raw())
    mine = check_signature(word.raw(), key.public.keyid, signature, trust, at=clock.now(), site=None)
    spoken = [one for one in load(folder) if one.word == word]
    others = [one for every in spoken for one in signers(every, trust) if one.keyid != mine.keyid]
    if others and people_behind(paths, [*others, mine]) == people_behind(paths, others):
        raise UsageError(
            "the same person has said so already", thing=mine.owner, remedy="another one gives the same command"
        )
    with failures_named(folder, "the terms of the pair cannot be written"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(folder / f"{word.name}.json", word.raw(), 0o600)
    for name, data in files_of(word.name, mine.keyid, signature).items():
        write_atomic(folder / name, data, 0o600)
    return [*others, mine]


def publish(source: Path, target: Path) -> None:
    """Copy the words of one folder into another that lacks them. Raises FailedError."""
    for spoken in load(source):
        with failures_named(target, "the exchange cannot be written"):
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {
            name: data for keyid, kinds in spoken.signatures.items() for name, data in _named(spoken, keyid, kinds)
        }
        for name, data in {**files, f"{spoken.word.name}.json": spoken.word.raw()}.items():
            if not _says(target / name, data):
                write_atomic(target / name, data, 0o600)


def _says(path: Path, data: bytes) -> bool:
    """Whether a file has these bytes: what somebody else put in its place is written over."""
    try:
        return read_small(path, format_limits.SIGNED_DOCUMENT) == data
    except LockgateError:
        return False


def _named(spoken: Spoken, keyid: str, kinds: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(f"{spoken.word.name}.{keyid}.{kind}", data) for kind, data in kinds.items()]
