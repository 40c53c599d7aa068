"""The trust folder: people pin keys, files vouch for one another, and what nobody accounts for is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import LockgateError, UsageError
from bundles.signing.keys import PrivateKey, PublicKey, create_private
from bundles.signing.pinning import init_trust, revoke_key, trust_key
from bundles.signing.trust import PURPOSES, TrustFolder, TrustRecord

AT = "2026-06-01T12:00:00Z"


def pin(folder: Path, key: PrivateKey, purpose: str = "bundle", *sites: str, owner: str = "Engineering") -> TrustRecord:
    return trust_key(folder, key.public, purpose=purpose, owner=owner, sites=sites)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def pinned(folder: Path, ecdsa: PrivateKey) -> Path:
    """The record of a key that is trusted for bundles from alpha."""
    pin(folder, ecdsa, "bundle", "alpha")
    return folder / f"{ecdsa.public.keyid}.json"


def test_an_empty_folder_trusts_nobody(folder: Path, ecdsa: PrivateKey) -> None:
    trust = TrustFolder.load(folder)
    assert trust.site == "bravo"
    assert trust.records == ()
    assert trust.find(ecdsa.public.keyid) is None


def test_a_pinned_key_comes_back_with_all_that_was_said_of_it(folder: Path, key: PrivateKey) -> None:
    trust_key(
        folder, key.public, purpose="bundle", owner="Engineering", sites=["delta", "alpha"],
        not_before="2026-01-01T00:00:00Z", not_after="2027-01-01T00:00:00Z",
    )  # fmt: skip
    assert TrustFolder.load(folder).find(key.public.keyid) == TrustRecord(
        key=key.public, owner="Engineering", purposes=("bundle",), sites=("alpha", "delta"),
        not_before="2026-01-01T00:00:00Z", not_after="2027-01-01T00:00:00Z", revoked=None,
    )  # fmt: skip


@pytest.mark.parametrize("purpose", [purpose for purpose in PURPOSES if purpose != "bundle"])
def test_a_key_is_good_for_the_purpose_it_was_pinned_for_and_no_other(
    folder: Path, ecdsa: PrivateKey, purpose: str
) -> None:
    record = pin(folder, ecdsa, purpose)
    assert record.objection(purpose, AT) is None
    for other in set(PURPOSES) - {purpose}:
        assert f"not for {other}" in (record.objection(other, AT) or "")


def test_a_bundle_key_is_bound_to_the_sites_it_may_sign_for(folder: Path, ecdsa: PrivateKey) -> None:
    with pytest.raises(UsageError, match=r"bound to sites.*--from SITE"):
        pin(folder, ecdsa, "bundle")
    record = pin(folder, ecdsa, "bundle", "alpha")
    assert record.objection("bundle", AT, "alpha") is None
    assert "may sign for alpha, not for delta" in (record.objection("bundle", AT, "delta") or "")


def test_a_receipt_key_without_a_site_signs_for_none(folder: Path, ecdsa: PrivateKey) -> None:
    assert "may sign for no site" in (pin(folder, ecdsa, "receipt").objection("receipt", AT, "bravo") or "")


def test_validity_counts_to_the_second(folder: Path, ecdsa: PrivateKey) -> None:
    record = trust_key(
        folder, ecdsa.public, purpose="release", owner="Officer", not_before="2026-01-01T00:00:00Z", not_after=AT
    )
    assert record.objection("release", "2026-01-01T00:00:00Z") is None
    assert record.objection("release", AT) is None
    assert "not valid before" in (record.objection("release", "2025-12-31T23:59:59Z") or "")
    assert "not valid after" in (record.objection("release", "2026-06-01T12:00:01Z") or "")


def test_trusting_a_key_again_adds_a_purpose(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "release")
    assert pin(folder, ecdsa, "verdict").purposes == ("release", "verdict")


def test_trusting_a_bundle_key_again_adds_a_site(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "bundle", "alpha")
    assert pin(folder, ecdsa, "bundle", "delta").sites == ("alpha", "delta")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("bundle", "alpha"), ("receipt", "bravo")),
        (("bundle", "alpha"), ("release", "bravo")),
        (("receipt", "bravo"), ("bundle", "alpha")),
        (("release", "bravo"), ("bundle", "alpha")),
        (("bundle", "alpha"), ("receipt",)),
    ],
)
def test_a_purpose_never_gains_a_site_that_was_not_named_for_it(
    folder: Path, ecdsa: PrivateKey, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    before = pin(folder, ecdsa, *first)
    with pytest.raises(UsageError, match="sites hold for all its purposes"):
        pin(folder, ecdsa, *second)
    assert TrustFolder.load(folder).records == (before,)


def test_two_purposes_may_share_the_same_sites(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "bundle", "alpha")
    assert pin(folder, ecdsa, "receipt", "alpha").purposes == ("bundle", "receipt")


def test_one_key_has_one_owner(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "release")
    with pytest.raises(UsageError, match=r"another owner.*Engineering"):
        pin(folder, ecdsa, "verdict", owner="Somebody Else")


def test_a_key_without_an_owner_or_purpose_is_not_pinned(folder: Path, ecdsa: PrivateKey) -> None:
    with pytest.raises(UsageError, match="needs an owner"):
        pin(folder, ecdsa, "release", owner=" ")
    with pytest.raises(UsageError, match="unknown purpose: everything"):
        pin(folder, ecdsa, "everything")
    assert TrustFolder.load(folder).records == ()


def test_a_revoked_key_is_good_for_nothing_and_stays_so(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "release")
    revoke_key(folder, ecdsa.public.keyid, why="lost laptop", at=AT)
    record = TrustFolder.load(folder).find(ecdsa.public.keyid)
    assert record is not None
    assert "lost laptop" in (record.objection("release", "2020-01-01T00:00:00Z") or "")
    with pytest.raises(UsageError, match="revoked key stays so"):
        pin(folder, ecdsa, "release")


def test_a_second_revocation_keeps_the_first_reason(folder: Path, ecdsa: PrivateKey) -> None:
    pin(folder, ecdsa, "release")
    revoke_key(folder, ecdsa.public.keyid, why="lost laptop", at=AT)
    again = revoke_key(folder, ecdsa.public.keyid, why="to be sure", at="2026-07-01T00:00:00Z")
    assert again.revoked is not None
    assert (again.revoked.at, again.revoked.why) == (AT, "lost laptop")


def test_a_revocation_names_a_pinned_key_and_a_reason(folder: Path, ecdsa: PrivateKey) -> None:
    with pytest.raises(UsageError, match="no such trusted key"):
        revoke_key(folder, "0" * 16, why="lost", at=AT)
    pin(folder, ecdsa, "release")
    with pytest.raises(UsageError, match="needs a reason"):
        revoke_key(folder, ecdsa.public.keyid, why=" ", at=AT)


@pytest.mark.parametrize("name", ["notes.txt", "0123.pem", "x.json", "0123456789abcdef.key", ".DS_Store", "sub"])
def test_a_file_that_nobody_accounts_for_is_an_error_by_name(folder: Path, name: str) -> None:
    (folder / name).touch()
    with pytest.raises(UsageError, match="does not belong") as caught:
        TrustFolder.load(folder)
    assert caught.value.thing.endswith(f"/{name}")


def test_a_note_and_an_unfinished_change_trust_nobody(folder: Path, ecdsa: PrivateKey) -> None:
    (folder / "README.txt").write_text("ask the officer")
    (folder / f"{ecdsa.public.keyid}.pem").write_bytes(ecdsa.public.to_pem())
    (folder / f".{ecdsa.public.keyid}.json.4711.part").write_bytes(b"{")
    assert TrustFolder.load(folder).records == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "application/vnd.lockgate.site.v1+json"},
        {"keyid": "0123456789abcdef"},
        {"algorithm": "ed25519"},
        {"owner": ""},
        {"purposes": []},
        {"purposes": ["bundle", "bundle"]},
        {"purposes": ["release", "bundle"]},
        {"purposes": ["everything"]},
        {"sites": []},
        {"sites": ["../alpha"]},
        {"not_after": "tomorrow"},
        {"not_after": "2026-02-30T00:00:00Z"},
        {"not_before": 0},
        {"revoked": False},
        {"revoked": {"at": "once", "why": "lost"}},
        {"threshold": 0},
    ],
    ids=str,
)
def test_a_record_that_was_meddled_with_is_an_error_by_name(pinned: Path, changes: dict[str, Any]) -> None:
    edit(pinned, **changes)
    with pytest.raises(UsageError, match="damaged trust file") as caught:
        TrustFolder.load(pinned.parent)
    assert caught.value.thing == str(pinned)


def test_duplicate_keys_in_a_record_are_an_error(pinned: Path) -> None:
    pinned.write_text(pinned.read_text().replace("{", '{"owner":"Mallory",', 1))
    with pytest.raises(UsageError, match="duplicate JSON key"):
        TrustFolder.load(pinned.parent)


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: create_private().public.to_pem(),
        lambda pem: pem + b"\n",
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"",
    ],
    ids=["another key", "a line more", "other line ends", "empty"],
)
def test_a_pem_that_is_not_the_records_key_is_an_error_by_name(pinned: Path, change: Callable[[bytes], bytes]) -> None:
    pem = pinned.with_suffix(".pem")
    pem.write_bytes(change(pem.read_bytes()))
    with pytest.raises(UsageError, match="damaged trust file") as caught:
        TrustFolder.load(pinned.parent)
    assert caught.value.thing == str(pem)


def test_a_record_without_its_pem_is_an_error_by_name(pinned: Path) -> None:
    pinned.with_suffix(".pem").unlink()
    with pytest.raises(UsageError, match="damaged trust file"):
        TrustFolder.load(pinned.parent)


def test_a_record_that_is_a_link_is_not_followed(pinned: Path, tmp_path: Path) -> None:
    pinned.rename(tmp_path / "elsewhere")
    pinned.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="not a regular file"):
        TrustFolder.load(pinned.parent)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"type":"x","site":"bravo"}', b'{"site":"bravo"}', b"\xff"])
def test_a_damaged_site_file_is_an_error_by_name(folder: Path, content: bytes) -> None:
    (folder / "site.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"damaged trust file.*site\.json"):
        TrustFolder.load(folder)


def test_a_folder_without_a_site_is_no_trust_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a trust folder"):
        TrustFolder.load(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        TrustFolder.load(tmp_path / "nowhere")


def test_a_trust_folder_is_made_once_and_for_a_well_named_site(folder: Path, tmp_path: Path) -> None:
    for path, site in ((folder, "charlie"), (tmp_path / "other", "Bravo")):
        with pytest.raises(LockgateError):
            init_trust(path, site)
    assert TrustFolder.load(folder).site == "bravo"


def test_a_key_that_shares_its_keyid_with_a_pinned_one_does_not_replace_it(
    folder: Path, pinned: Path, ecdsa: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pinned.read_bytes(), pinned.with_suffix(".pem").read_bytes()
    monkeypatch.setattr(PublicKey, "keyid", ecdsa.public.keyid)  # 64 bits can be made to be equal
    with pytest.raises(UsageError, match="another key of the same keyid"):
        pin(folder, create_private(), "bundle", "alpha")
    assert (pinned.read_bytes(), pinned.with_suffix(".pem").read_bytes()) == before
