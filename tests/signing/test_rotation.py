"""What a key rotation must be before a station would follow it: one test a rule, each failing without it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from bundles import limits
from bundles.documents.rotation import KeyRotation, Successor, Withdrawn, decode, encode
from bundles.documents.rotation_verdict import Accepted, KnownRotations, RotationVerdict, judge
from bundles.errors import FORK, GAP, ROLLBACK, MalformedError, RefusedError
from bundles.oci.digest import Digest
from bundles.signing.hybrid import ALGORITHM as HYBRID
from bundles.signing.keys import PrivateKey, PublicKey, create_private
from bundles.signing.pinning import revoke_key, set_rule, trust_key
from bundles.signing.policy import SignerRule
from bundles.signing.signature_files import files_of, parse_name
from bundles.signing.trust import TrustFolder
from tests.image_signatures.signer import Authority, certify

NOW, UNTIL = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"
Files = dict[str, dict[str, bytes]]


def nothing(_: str) -> KnownRotations:
    """Of a site of which none was accepted yet."""
    return KnownRotations()


@cache
def key(name: str, algorithm: str = "ecdsa-p256") -> PrivateKey:
    """The same key for a name in every test."""
    del name
    return create_private(algorithm)


OLD, NEW, OTHER = key("old"), key("new"), key("other")


def signed(raw: bytes, *keys: PrivateKey) -> Files:
    found: Files = {}
    for one in keys:
        for name, data in files_of("d", one.public.keyid, one.sign(raw)).items():
            parsed = parse_name(name, "d")
            assert parsed is not None
            found.setdefault(parsed[0], {})[parsed[1]] = data
    return found


def follows(old: PublicKey, new: PublicKey, until: str = UNTIL) -> Successor:
    return Successor(follows=old.keyid, keyid=new.keyid, key=new.to_pem().decode(), until=until)


def rotation(*successors: Successor, revoked: tuple[str, ...] = (), **changes: Any) -> KeyRotation:
    fields: dict[str, Any] = {
        "site": "alpha", "number": 1, "previous": None, "created": NOW, "why": "each year",
        "successors": sorted(successors, key=lambda one: one.follows),
        "revoked": [Withdrawn(keyid=keyid, why="lost") for keyid in sorted(revoked)],
    }  # fmt: skip
    return KeyRotation(**fields | changes)


def digest_of(document: KeyRotation) -> str:
    return str(Digest.of(encode(document)))


@pytest.fixture
def pin(folder: Path) -> Callable[..., None]:
    def trust(key: PrivateKey, owner: str = "Anna", purpose: str = "bundle", site: str = "alpha", **more: Any) -> None:
        sites = (site,) if purpose in ("bundle", "receipt") else ()
        trust_key(folder, key.public, purpose=purpose, owner=owner, sites=sites, **more)

    return trust


@pytest.fixture
def verdict(folder: Path) -> Callable[..., RotationVerdict]:
    def ask(
        document: KeyRotation, *keys: PrivateKey, last: Accepted | None = None, others: tuple[bytes, ...] = ()
    ) -> RotationVerdict:
        raw = encode(document)
        return judge(raw, signed(raw, *keys), TrustFolder.load(folder), lambda _: KnownRotations(last, others), NOW)

    return ask


Pin = Callable[..., None]
Ask = Callable[..., RotationVerdict]
ROTATED = rotation(follows(OLD.public, NEW.public))


def test_the_new_key_gets_what_the_old_one_has_and_the_old_one_ends(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    found = verdict(ROTATED, OLD, NEW)
    made, old = found.after
    assert (made.keyid, made.owner, made.purposes, made.sites) == (NEW.public.keyid, "Anna", ("bundle",), ("alpha",))
    assert (old.keyid, old.not_after, made.not_after) == (OLD.public.keyid, UNTIL, None)
    assert ([one.keyid for one in found.signers], found.uncounted) == ([OLD.public.keyid], ())


def test_an_old_key_that_ends_sooner_ends_then(pin: Pin, verdict: Ask) -> None:
    pin(OLD, not_after="2026-06-02T00:00:00Z")
    assert verdict(ROTATED, OLD, NEW).after[1].not_after == "2026-06-02T00:00:00Z"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ((), "nobody who counts here"), ((NEW,), "nobody who counts here"), ((OTHER, NEW), "nobody who counts here"),
        ((OLD,), "the new key did not sign"), ((OLD, OTHER), "the new key did not sign"),
    ],
)  # fmt: skip
def test_old_and_new_key_both_sign(pin: Pin, verdict: Ask, keys: tuple[PrivateKey, ...], why: str) -> None:
    pin(OLD)
    with pytest.raises(RefusedError, match=why):
        verdict(ROTATED, *keys)


def test_another_pinned_key_does_not_name_the_successor_of_one(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    pin(OTHER, "Ben")
    with pytest.raises(RefusedError, match="the old key did not sign") as refused:
        verdict(ROTATED, OTHER, NEW)
    assert refused.value.thing == OLD.public.keyid


def test_a_signature_over_other_bytes_refuses_it_whoever_else_signed(pin: Pin, folder: Path) -> None:
    pin(OLD)
    pin(OTHER, "Ben")
    raw = encode(ROTATED)
    files = signed(raw, OLD, NEW) | signed(raw + b" ", OTHER)
    with pytest.raises(RefusedError, match="does not hold"):
        judge(raw, files, TrustFolder.load(folder), nothing, NOW)
    with pytest.raises(RefusedError, match="does not hold"):
        judge(raw.replace(b"each year", b"any years"), signed(raw, OLD, NEW), TrustFolder.load(folder), nothing, NOW)


def test_as_many_owners_sign_as_the_policy_took_before(pin: Pin, verdict: Ask, folder: Path) -> None:
    pin(OLD)
    pin(OTHER, "Ben")
    set_rule(folder, SignerRule(purpose="bundle", site="alpha", signers=2, algorithms=[], gaps=False, silence_days=0))
    with pytest.raises(RefusedError, match="policy takes more"):
        verdict(ROTATED, OLD, NEW)
    assert len(verdict(ROTATED, OLD, NEW, OTHER).after) == 2


def test_a_second_key_of_one_owner_is_no_second_person(pin: Pin, verdict: Ask, folder: Path) -> None:
    pin(OLD)
    pin(OTHER, "Anna")
    set_rule(folder, SignerRule(purpose="bundle", site="", signers=2, algorithms=[], gaps=False, silence_days=0))
    with pytest.raises(RefusedError, match="policy takes more"):
        verdict(ROTATED, OLD, NEW, OTHER)


def test_a_key_of_a_kind_that_the_policy_does_not_take_follows_none(pin: Pin, verdict: Ask, folder: Path) -> None:
    old = key("hybrid", HYBRID)
    pin(old)
    rule = SignerRule(purpose="bundle", site="alpha", signers=1, algorithms=[HYBRID], gaps=False, silence_days=0)
    set_rule(folder, rule)
    with pytest.raises(RefusedError, match="of a kind that the policy does not take"):
        verdict(rotation(follows(old.public, NEW.public)), old, NEW)
    new = key("new hybrid", HYBRID)
    assert verdict(rotation(follows(old.public, new.public)), old, new).after[0].key == new.public


@pytest.mark.parametrize(
    ("number", "previous", "code"),
    [(1, None, ROLLBACK), (2, "0" * 64, FORK), (3, "1" * 64, FORK), (4, "2" * 64, GAP), (6, "2" * 64, GAP)],
)
def test_an_older_a_forked_and_a_later_one_are_refused(
    pin: Pin, verdict: Ask, number: int, previous: str | None, code: str
) -> None:
    pin(OLD)
    document = rotation(follows(OLD.public, NEW.public), number=number, previous=previous and f"sha256:{previous}")
    with pytest.raises(RefusedError) as refused:
        verdict(document, OLD, NEW, last=Accepted(2, f"sha256:{'2' * 64}"))
    assert refused.value.code == code


def test_the_same_one_is_not_accepted_twice_and_the_next_is(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    with pytest.raises(RefusedError) as refused:
        verdict(ROTATED, OLD, NEW, last=Accepted(1, digest_of(ROTATED)))
    assert refused.value.code == ROLLBACK
    document = rotation(follows(OLD.public, NEW.public), number=3, previous=f"sha256:{'2' * 64}")
    assert verdict(document, OLD, NEW, last=Accepted(2, f"sha256:{'2' * 64}")).rotation.number == 3


def test_one_between_that_is_about_nothing_here_is_passed_and_any_other_is_not(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    last = Accepted(1, f"sha256:{'1' * 64}")
    unknown = rotation(follows(key("a").public, key("b").public), number=2, previous=last.digest)
    document = rotation(follows(OLD.public, NEW.public), number=3, previous=digest_of(unknown))
    assert verdict(document, OLD, NEW, last=last, others=(encode(unknown),)).after
    revokes = rotation(revoked=(OLD.public.keyid,), number=2, previous=last.digest)
    document = rotation(follows(OLD.public, NEW.public), number=3, previous=digest_of(revokes))
    with pytest.raises(RefusedError, match="accept alpha-000002 first") as refused:
        verdict(document, OLD, NEW, last=last, others=(encode(revokes),))
    assert refused.value.code == GAP
    with pytest.raises(RefusedError, match="it is not here"):
        verdict(document, OLD, NEW, last=last, others=(encode(unknown),))


def test_a_revoked_or_ended_key_names_no_successor(pin: Pin, verdict: Ask, folder: Path) -> None:
    pin(OLD)
    pin(OTHER, "Ben")
    revoke_key(folder, OLD.public.keyid, why="stolen", at=NOW)
    with pytest.raises(RefusedError, match="revoked"):
        verdict(ROTATED, OLD, NEW)
    with pytest.raises(RefusedError, match="changes nothing here"):
        verdict(ROTATED, OLD, NEW, OTHER)


def test_a_new_key_that_is_pinned_otherwise_or_was_revoked_is_refused(pin: Pin, verdict: Ask, folder: Path) -> None:
    pin(OLD)
    pin(NEW, "Mallory", "image")
    with pytest.raises(RefusedError, match="already, otherwise"):
        verdict(ROTATED, OLD, NEW)
    revoke_key(folder, NEW.public.keyid, why="stolen", at=NOW)
    with pytest.raises(RefusedError, match="the new key is revoked here"):
        verdict(ROTATED, OLD, NEW)


@pytest.mark.parametrize("purpose", ["release", "verdict", "audit", "backup"])
def test_no_other_site_speaks_of_the_keys_of_our_own_people(pin: Pin, verdict: Ask, purpose: str) -> None:
    pin(OLD)
    mine = key("release")
    pin(mine, "Rita", purpose)
    with pytest.raises(RefusedError, match="of which no other site speaks"):
        verdict(rotation(follows(mine.public, NEW.public)), OLD, mine, NEW)
    with pytest.raises(RefusedError, match="of which no other site speaks"):
        verdict(rotation(revoked=(mine.public.keyid,)), OLD, mine)


def test_a_site_speaks_of_its_own_keys_alone(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    pin(OTHER, "Gus", site="gamma")
    with pytest.raises(RefusedError, match="a key of gamma"):
        verdict(rotation(follows(OTHER.public, NEW.public)), OLD, OTHER, NEW)
    with pytest.raises(RefusedError, match="no key of the site"):
        verdict(rotation(follows(OLD.public, NEW.public), site="gamma", revoked=(OTHER.public.keyid,)), OLD, NEW)


def test_an_image_key_follows_one_under_the_sites_word(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    pin(OTHER, "Vendor", "image")
    document = rotation(follows(OTHER.public, NEW.public))
    with pytest.raises(RefusedError, match="no key of the site"):
        verdict(document, OTHER, NEW)
    made = verdict(document, OLD, OTHER, NEW).after[0]
    assert (made.owner, made.purposes) == ("Vendor", ("image",))


def by_root(root: Authority, raw: bytes) -> bytes:
    """As `openssl dgst -sha256 -sign` makes it."""
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    return root.key.sign(raw, ec.ECDSA(hashes.SHA256()))


def test_a_root_follows_a_root_by_its_own_keys_signature(pin: Pin, folder: Path) -> None:
    pin(OLD)
    first, second = certify("root", ca=True), certify("root 2", ca=True)
    before, after = first.pinned, second.pinned
    trust_key(folder, before, purpose="image", owner="PKI")
    raw = encode(rotation(follows(before, after)))
    files = signed(raw, OLD)
    trust = TrustFolder.load(folder)
    with pytest.raises(RefusedError, match="the old key did not sign"):
        judge(raw, files, trust, nothing, NOW)
    for one in (first, second):
        files[one.pinned.keyid] = {"sig": by_root(one, raw)}
    assert judge(raw, files, trust, nothing, NOW).after[0].key == after
    raw = encode(rotation(follows(before, NEW.public)))
    files = signed(raw, OLD, NEW) | {before.keyid: {"sig": by_root(first, raw)}}
    with pytest.raises(RefusedError, match="followed by a root"):
        judge(raw, files, trust, nothing, NOW)


def test_a_key_revokes_itself_and_another_one_by_the_policys_people(pin: Pin, verdict: Ask, folder: Path) -> None:
    pin(OLD)
    pin(OTHER, "Ben")
    set_rule(folder, SignerRule(purpose="bundle", site="", signers=2, algorithms=[], gaps=False, silence_days=0))
    document = rotation(revoked=(OLD.public.keyid,))
    (gone,) = verdict(document, OLD).after
    assert gone.revoked is not None
    assert (gone.revoked.at, gone.revoked.why) == (NOW, "alpha-000001: lost")
    with pytest.raises(RefusedError, match="policy takes more"):
        verdict(document, OTHER)


def test_what_is_not_pinned_here_is_left_out_and_named(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    stranger, third = key("a"), key("b")
    document = rotation(follows(OLD.public, NEW.public), follows(stranger.public, third.public))
    found = verdict(document, OLD, NEW, OTHER)
    assert {one.keyid for one in found.after} == {OLD.public.keyid, NEW.public.keyid}
    assert dict(found.left) == {stranger.public.keyid: "it is not pinned here"}
    assert found.uncounted == (OTHER.public.keyid,)


def test_one_from_the_future_is_refused(pin: Pin, verdict: Ask) -> None:
    pin(OLD)
    with pytest.raises(RefusedError, match="from the future"):
        verdict(rotation(follows(OLD.public, NEW.public), created="2026-06-03T00:00:00Z"), OLD, NEW)


def test_more_signatures_than_are_looked_at_are_refused_at_once(pin: Pin, folder: Path) -> None:
    pin(OLD)
    raw = encode(ROTATED)
    files = signed(raw, OLD, NEW) | {f"{number:016x}": {"sig": b"x"} for number in range(limits.SIGNATURES)}
    with pytest.raises(RefusedError, match="too many signatures"):
        judge(raw, files, TrustFolder.load(folder), nothing, NOW)


def test_nothing_is_parsed_before_a_signature_that_counts(pin: Pin, folder: Path) -> None:
    pin(OLD)
    raw = b"{" * 100
    with pytest.raises(RefusedError, match="nobody who counts"):
        judge(raw, signed(raw, OTHER), TrustFolder.load(folder), nothing, NOW)
    with pytest.raises(RefusedError, match="too deep"):
        judge(raw, signed(raw, OLD), TrustFolder.load(folder), nothing, NOW)


def test_a_document_of_another_type_is_none_whoever_signed_it(pin: Pin, folder: Path) -> None:
    pin(OLD)
    raw = encode(ROTATED).replace(b"key-rotation", b"approval")
    with pytest.raises(RefusedError, match="not a key rotation"):
        judge(raw, signed(raw, OLD, NEW), TrustFolder.load(folder), nothing, NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 0}, {"number": 2}, {"previous": f"sha256:{'1' * 64}"}, {"why": " "}, {"why": "x" * 401},
        {"successors": [], "revoked": []}, {"site": "Alpha"}, {"created": "now"},
        {"revoked": [Withdrawn(keyid=OLD.public.keyid, why="lost")]},
        {"revoked": [Withdrawn(keyid=NEW.public.keyid, why="lost")]},
        {"revoked": [Withdrawn(keyid=OTHER.public.keyid, why="")]},
        {"successors": [follows(OLD.public, OLD.public)]},
        {"successors": [follows(OLD.public, NEW.public, "2026-05-01T00:00:00Z")]},
        {"successors": [follows(OLD.public, NEW.public)] * 2},
        {"successors": [Successor(follows=OLD.public.keyid, keyid=OTHER.public.keyid, key=NEW.public.to_pem().decode(),
                                  until=UNTIL)]},
        {"successors": [Successor(follows=OLD.public.keyid, keyid=NEW.public.keyid,
                                  key=NEW.public.to_pem().decode() + "\n", until=UNTIL)]},
    ],
)  # fmt: skip
def test_a_document_that_contradicts_itself_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        encode(replace(ROTATED, **wrong))


@pytest.mark.parametrize(
    "change", [lambda raw: raw + b"\n", lambda raw: raw.replace(b'{"created"', b'{"created":"x","created"'),
               lambda raw: raw.replace(b'"number":1', b'"number":1,"more":1')],
)  # fmt: skip
def test_a_document_has_one_form(change: Callable[[bytes], bytes]) -> None:
    raw = encode(ROTATED)
    assert encode(decode(raw)) == raw
    with pytest.raises(MalformedError):
        decode(change(raw))
