"""A wrong pin is taken back or set right under the rules of pinning; a revocation is never undone that way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinned_key import change_key, untrust_key
from bundles.signing.pinning import revoke_key, trust_key
from bundles.signing.trust import TrustFolder

AT = "2026-06-01T12:00:00Z"


def pin(folder: Path, key: PrivateKey, purpose: str = "bundle", owner: str = "Engineering") -> str:
    trust_key(folder, key.public, purpose=purpose, owner=owner, sites=["alpha"])
    return key.public.keyid


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}


def test_an_untrusted_key_is_gone_and_may_be_pinned_otherwise(folder: Path, ecdsa: PrivateKey) -> None:
    before = files(folder)
    keyid = pin(folder, ecdsa)
    assert untrust_key(folder, keyid, why="pinned for the wrong site").owner == "Engineering"
    assert files(folder) == before
    trust_key(folder, ecdsa.public, purpose="release", owner="Anna Berg")
    assert TrustFolder.load(folder).find(keyid) is not None


@pytest.mark.parametrize("act", ["untrust", "owner", "sites"])
def test_a_revoked_key_is_neither_taken_out_nor_changed(folder: Path, ecdsa: PrivateKey, act: str) -> None:
    keyid = pin(folder, ecdsa)
    revoke_key(folder, keyid, why="lost laptop", at=AT)
    before = files(folder)
    acts: dict[str, Callable[[], object]] = {
        "untrust": lambda: untrust_key(folder, keyid, why="by mistake"),
        "owner": lambda: change_key(folder, keyid, why="by mistake", owner="Boris"),
        "sites": lambda: change_key(folder, keyid, why="by mistake", sites=["beta"]),
    }
    with pytest.raises(RefusedError, match="a revoked key"):
        acts[act]()
    assert files(folder) == before
    with pytest.raises(UsageError, match="revoked"):
        trust_key(folder, ecdsa.public, purpose="bundle", owner="Engineering", sites=["alpha"])


def test_a_removal_that_is_cut_off_trusts_nobody(
    folder: Path, ecdsa: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyid = pin(folder, ecdsa)
    unlink = Path.unlink

    def cut(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".pem":
            raise OSError(5, "Input/output error")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", cut)
    with pytest.raises(LockgateError):
        untrust_key(folder, keyid, why="wrong")
    assert TrustFolder.load(folder).records == ()


def test_a_wrong_owner_and_wrong_sites_are_set_right(folder: Path, ecdsa: PrivateKey) -> None:
    keyid = pin(folder, ecdsa, owner="Enginering")
    before, after = change_key(folder, keyid, why="misspelt", owner="Engineering")
    assert (before.owner, after.owner, after.sites) == ("Enginering", "Engineering", ("alpha",))
    change_key(folder, keyid, why="it builds for beta", sites=["gamma", "beta", "beta"])
    record = TrustFolder.load(folder).find(keyid)
    assert record is not None
    assert (record.owner, record.sites, record.purposes) == ("Engineering", ("beta", "gamma"), ("bundle",))
    assert "not for alpha" in (record.objection("bundle", AT, "alpha") or "")


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        (" ", "needs an owner"),
        ("Anna\u200b", "nobody sees"),
        ("\u0410nna", "two alphabets"),
        ("ANNA", "spelt otherwise"),
    ],
)
def test_a_changed_owner_is_held_to_what_pinning_takes(
    folder: Path, ecdsa: PrivateKey, owner: str, reason: str
) -> None:
    pin(folder, create_private(), "release", "Anna")
    keyid = pin(folder, ecdsa, "release", "Boris")
    before = files(folder)
    with pytest.raises(UsageError, match=reason):
        change_key(folder, keyid, why="wrong", owner=owner)
    assert files(folder) == before


def test_changed_sites_are_held_to_what_pinning_takes(folder: Path, ecdsa: PrivateKey) -> None:
    keyid = pin(folder, ecdsa)
    with pytest.raises(UsageError, match="bound to sites"):
        change_key(folder, keyid, why="wrong", sites=[])
    with pytest.raises(MalformedError, match="malformed site"):
        change_key(folder, keyid, why="wrong", sites=["Beta!"])
    pin(folder, ecdsa, "receipt")
    with pytest.raises(UsageError, match="hold for all its purposes"):
        change_key(folder, keyid, why="wrong", sites=["beta"])
    assert TrustFolder.load(folder).records[0].sites == ("alpha",)


def test_a_change_names_a_pinned_key_a_reason_and_something_new(folder: Path, ecdsa: PrivateKey) -> None:
    for ask in (
        lambda keyid, why: untrust_key(folder, keyid, why=why),
        lambda keyid, why: change_key(folder, keyid, why=why, owner="Somebody"),
    ):
        with pytest.raises(UsageError, match="no such trusted key"):
            ask("0" * 16, "wrong")
        with pytest.raises(UsageError, match="needs a reason"):
            ask("0" * 16, " ")
        with pytest.raises(MalformedError, match="malformed key id"):
            ask("../0", "wrong")
    keyid = pin(folder, ecdsa)
    with pytest.raises(UsageError, match="pinned so already"):
        change_key(folder, keyid, why="wrong", owner="Engineering")


def test_pinning_again_for_another_owner_names_the_command_that_corrects_it(folder: Path, ecdsa: PrivateKey) -> None:
    keyid = pin(folder, ecdsa)
    with pytest.raises(UsageError, match=f"lockgate key change {keyid} --owner"):
        pin(folder, ecdsa, "release", "Somebody")
