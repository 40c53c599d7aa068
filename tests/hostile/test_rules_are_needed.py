"""Take a rule out, and the attack that it holds off goes through: no rule is there for nothing, and no fixture passes
for another reason than the rule that it is for."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundles import limits, verify
from bundles.decide import bundle, sequence
from bundles.decide.sequence import LedgerRow, ledger_verdict
from bundles.documents import signed as documents
from bundles.errors import LockgateError, RefusedError
from bundles.format import sums
from bundles.io import files, strict_json
from bundles.ports import no_progress
from bundles.signing import hybrid, policy
from bundles.signing.keys import create_private
from bundles.signing.policy import SignerRule, TrustPolicy
from bundles.signing.ssh import sshsig
from bundles.signing.trust import Revocation, TrustFolder, TrustRecord
from tests.bundles.small import LATER, SmallBundle, manifest_of, sign, trust_of
from tests.hostile.test_hot_media import at_first
from tests.signing.soft_token import SoftToken
from tests.verify.test_ledger import bundle as numbered
from tests.verify.test_ledger import digest

RECEIPT = documents.Receipt(
    site="bravo", number=1, previous=None, created=LATER, streams=[], blobs=[]
)  # fmt: skip


@dataclass
class Ground:
    """What an attack is made on: a good bundle, its trust, and a folder to work in."""

    made: SmallBundle
    folder: Path
    trust: TrustFolder

    def verify(self, trust: TrustFolder | None = None, now: str = LATER, *further: Path) -> None:
        verify.verify([self.folder, *further], trust or self.trust, now, no_progress)

    def resign(self, signers: list[str], **changes: object) -> None:
        """Lay other small files over the medium, honestly signed by the bundle's own key."""
        signed = sign(manifest_of(self.made.content, self.made.laid_out, signers, **changes), [self.made.key])
        (self.folder / "manifest.json").write_bytes(signed.manifest_bytes)
        (self.folder / "README.txt").write_bytes(signed.readme)
        self.root(signed.sums)

    def root(self, raw: bytes) -> None:
        """Another SHA256SUMS, honestly signed."""
        (self.folder / "SHA256SUMS").write_bytes(raw)
        (self.folder / f"SHA256SUMS.{self.made.key.public.keyid}.sig").write_bytes(self.made.key.sign(raw))

    def sums_with(self, path: str, sha256: str) -> bytes:
        lines = {line.path: line.sha256 for line in sums.parse(self.made.signed.sums)} | {path: sha256}
        return sums.render([sums.SumLine(value, name) for name, value in lines.items()])

    def pinned(self, **changes: Any) -> TrustFolder:
        """The trust folder with something else said of the key."""
        return TrustFolder("bravo", (dataclasses.replace(self.trust.records[0], **changes),))

    def added(self, owner: str) -> TrustFolder:
        """A second signer, named and signed, and who owns both keys."""
        second = create_private()
        self.resign([self.made.key.public.keyid, second.public.keyid])
        root = (self.folder / "SHA256SUMS").read_bytes()
        (self.folder / f"SHA256SUMS.{second.public.keyid}.sig").write_bytes(second.sign(root))
        first = self.trust.records[0]
        return TrustFolder("bravo", (first, dataclasses.replace(first, key=second.public, owner=owner)))


def a_changed_readme(ground: Ground) -> None:
    (ground.folder / "README.txt").write_bytes(b"trust me")
    ground.verify()


def a_list_with_another_volume(ground: Ground) -> None:
    ground.root(ground.sums_with("volumes/0001.7z", "0" * 64))
    ground.verify()


def a_stripped_co_signature(ground: Ground) -> None:
    ground.resign([ground.made.key.public.keyid, "0" * 16])
    ground.verify()


def a_signature_too_many(ground: Ground) -> None:
    trust = ground.added("Second")
    ground.resign([ground.made.key.public.keyid])
    (extra,) = {path.name for path in ground.folder.glob("*.sig")} - {f"SHA256SUMS.{ground.made.key.public.keyid}.sig"}
    other = create_private()
    (ground.folder / extra).unlink()
    root = (ground.folder / "SHA256SUMS").read_bytes()
    (ground.folder / f"SHA256SUMS.{other.public.keyid}.sig").write_bytes(other.sign(root))
    record = dataclasses.replace(trust.records[1], key=other.public)
    ground.verify(TrustFolder("bravo", (trust.records[0], record)))


def another_sites_bundle(ground: Ground) -> None:
    ground.verify(TrustFolder("charlie", ground.trust.records))


def an_expired_bundle(ground: Ground) -> None:
    ground.verify(now="2030-01-01T00:00:00Z")


def a_revoked_key(ground: Ground) -> None:
    ground.verify(ground.pinned(revoked=Revocation(at=LATER, why="lost")))


def a_key_for_something_else(ground: Ground) -> None:
    ground.verify(ground.pinned(purposes=("receipt",)))


def a_key_of_another_site(ground: Ground) -> None:
    ground.verify(ground.pinned(sites=("delta",)))


def a_key_from_nowhere(ground: Ground) -> None:
    ground.verify(TrustFolder("bravo", ()))


def a_bad_signature(ground: Ground) -> None:
    (path,) = ground.folder.glob("*.sig")
    path.write_bytes(create_private().sign(b"something else"))
    ground.verify()


def two_keys_of_one_owner(ground: Ground) -> None:
    trust = ground.added(ground.trust.records[0].owner)
    rule = SignerRule(purpose="bundle", site="", signers=2, algorithms=[], gaps=False, silence_days=0)
    ground.verify(dataclasses.replace(trust, policy=TrustPolicy((rule,))))


def half_a_hybrid_signature(_: Ground) -> None:
    key = create_private(hybrid.ALGORITHM)
    first, second = hybrid.split(key.sign(b"data"))
    if not key.public.verify(b"data", first + bytes([second[0] ^ 1]) + second[1:]):
        raise RefusedError("does not hold")


def an_ssh_signature_for_mail(_: Ground) -> None:
    token = SoftToken("sk-ssh-ed25519@openssh.com")
    if not token.public.verify(b"data", token.sign(b"data", namespace="file")):
        raise RefusedError("does not hold")


def a_linked_file(ground: Ground) -> None:
    path = ground.folder / "README.txt"
    path.rename(ground.folder.parent / "elsewhere")
    path.symlink_to(ground.folder.parent / "elsewhere")
    files.read_small(path, limits.README_FILE)


def a_huge_small_file(ground: Ground) -> None:
    readme = b"x" * (limits.README_FILE + 1)
    (ground.folder / "README.txt").write_bytes(readme)
    ground.root(ground.sums_with("README.txt", hashlib.sha256(readme).hexdigest()))
    ground.verify()


def endless_signatures(ground: Ground) -> None:
    names = {f"SHA256SUMS.{number:016x}.sig": b"" for number in range(limits.SIGNATURES + 1)}
    small = verify.gather([ground.folder]).files
    bundle._check_names(dataclasses.replace(small, signatures=names))


def media_of_two_bundles(ground: Ground) -> None:
    other = SmallBundle(ground.folder.parent.parent / "other", sequence=2)
    ground.verify(None, LATER, other.folder)


def a_duplicate_key(_: Ground) -> None:
    strict_json.loads(b'{"a":1,"a":2}', ceiling=100, nodes=1_000_000, what="it")


def a_json_bomb(_: Ground) -> None:
    strict_json.loads(b"[" * 100 + b"]" * 100, ceiling=10_000, nodes=1_000_000, what="it")


def another_spelling_of_a_document(_: Ground) -> None:
    strict_json.loads_canonical(b'{ "a":1}', ceiling=100, nodes=1_000_000, what="it")


def a_receipt_shown_as_anothers_word(ground: Ground) -> None:
    raw = documents.encode(RECEIPT)
    key, trust = ground.made.key, ground.pinned(purposes=("release",))
    documents.check_signature(raw, key.public.keyid, key.sign(raw), trust, at=LATER, site=None)


def a_replay(_: Ground) -> None:
    try:
        ledger_verdict([LedgerRow(1, digest(1), "released")], numbered(1, previous=None), digest(1))
    except RefusedError as error:
        if error.what.startswith("a replay"):
            raise


def a_gap(_: Ground) -> None:
    ledger_verdict([LedgerRow(1, digest(1), "released")], numbered(3, previous=2), digest(3))


def a_volume_that_becomes_a_link_while_it_is_read(ground: Ground) -> None:
    volume = sorted((ground.folder / "volumes").iterdir())[-1]

    def meddle() -> None:
        volume.rename(ground.folder.parent / "elsewhere")
        volume.symlink_to(ground.folder.parent / "elsewhere")

    verify.verify([ground.folder], ground.trust, LATER, at_first(meddle))


def nothing(*_: object, **__: object) -> None:
    """A rule that was taken out."""


def without(target: object, name: str, value: object = nothing) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(target, name, value)


def first_half(self: hybrid.HybridPublic, data: bytes, signature: bytes) -> bool:
    return self.classical is not None and len(signature) > 0


def believe_the_medium(self: TrustFolder, keyid: str) -> TrustRecord | None:
    return BELIEVED[0]


BELIEVED: list[TrustRecord] = []

ROWS: dict[Callable[[Ground], None], Callable[[pytest.MonkeyPatch], None]] = {
    a_changed_readme: without(bundle, "_check_small_files"),
    a_volume_that_becomes_a_link_while_it_is_read: without(os, "O_NOFOLLOW", 0),
    a_list_with_another_volume: without(bundle, "_check_lines"),
    a_stripped_co_signature: without(verify, "require_all_signers"),
    a_signature_too_many: without(bundle, "_check_named"),
    another_sites_bundle: without(bundle, "_check_destination"),
    an_expired_bundle: without(bundle, "_check_times"),
    a_revoked_key: without(TrustRecord, "objection"),
    a_key_for_something_else: without(TrustRecord, "objection"),
    a_key_of_another_site: without(TrustRecord, "objection"),
    a_key_from_nowhere: without(TrustFolder, "find", believe_the_medium),
    a_bad_signature: without(bundle, "_check_signatures", lambda *_: tuple(BELIEVED)),
    two_keys_of_one_owner: without(policy, "count", lambda owners: len(list(owners))),
    half_a_hybrid_signature: without(hybrid.HybridPublic, "holds", first_half),
    an_ssh_signature_for_mail: without(sshsig, "NAMESPACE", "file"),
    a_linked_file: without(os, "O_NOFOLLOW", 0),
    a_huge_small_file: lambda patch: patch.setitem(verify._CEILINGS, sums.README, 1 << 30),
    endless_signatures: without(bundle.limits, "SIGNATURES", 1 << 30),
    media_of_two_bundles: without(verify, "_join", lambda first, *_: first),
    a_duplicate_key: without(strict_json, "_no_duplicates", dict),
    a_json_bomb: without(strict_json, "measure", lambda *_, **__: (0, 0)),
    another_spelling_of_a_document: without(strict_json, "canonical", lambda _: b'{ "a":1}'),
    a_receipt_shown_as_anothers_word: lambda patch: patch.setitem(
        documents.PURPOSE_OF, documents.RECEIPT_TYPE, "release"
    ),
    a_replay: without(sequence, "_check_seen"),
    a_gap: without(sequence, "_gap", lambda *_: ""),
}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    made = SmallBundle(tmp_path / "made")
    trust = trust_of(tmp_path / "trust", made.key)
    BELIEVED[:] = trust.records
    return Ground(made, made.folder, trust)


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_an_attack_is_held_off(ground: Ground, attack: Callable[[Ground], None]) -> None:
    with pytest.raises(LockgateError):
        attack(ground)


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: attack.__name__)
def test_without_its_rule_the_attack_goes_through(
    ground: Ground, attack: Callable[[Ground], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if attack is endless_signatures:  # how many are tried is settled before the cap is gone
        names = {f"SHA256SUMS.{number:016x}.sig": b"" for number in range(limits.SIGNATURES + 1)}
        small = dataclasses.replace(verify.gather([ground.folder]).files, signatures=names)
        ROWS[attack](monkeypatch)
        bundle._check_names(small)
        return
    ROWS[attack](monkeypatch)
    attack(ground)
