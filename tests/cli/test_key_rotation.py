"""`lockgate key rotation`: from the station that makes one to the two people who accept it, as they type it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bundles.signing.keys import create_private, load_private, save_private
from bundles.signing.trust import TrustFolder
from tests.cli.conftest import Run
from tests.image_signatures.signer import Authority, certify
from tests.peer_tools import require


@pytest.fixture
def alpha(run: Run, tmp_path: Path) -> Path:
    assert run("init", tmp_path / "alpha", "--site", "alpha", "--side", "outside").status == 0
    return tmp_path / "alpha"


def keyid_of(station: Path, name: str) -> str:
    return load_private(station / f"keys/{name}.pem", None).public.keyid


@pytest.fixture
def rotated(run: Run, alpha: Path, station: Path) -> str:
    """The engineer's key is followed by a new one at alpha, and bravo has two people; the old key's id."""
    assert run("key", "create", "engineer", "--no-passphrase", "-C", alpha).status == 0
    old = keyid_of(alpha, "engineer")
    pinned = alpha / "keys/engineer.pub.pem"
    words = ("--purpose", "bundle", "--owner", "Anna", "--from", "alpha")
    assert run("key", "trust", pinned, *words, "-C", station).status == 0
    for name, owner in (("rita", "Rita Stein"), ("boris", "Boris Lang")):
        save_private(station / f"keys/{name}.pem", create_private(), None)
        file = station / f"keys/{name}.pub.pem"
        assert run("key", "trust", file, "--purpose", "release", "--owner", owner, "-C", station).status == 0
    assert run("key", "rotate", "engineer", "--no-passphrase", "-C", alpha).status == 0
    return old


def test_two_people_follow_a_key_by_its_old_one(run: Run, alpha: Path, station: Path, rotated: str) -> None:
    ended = run(
        "key", "rotation", "make", "--follow", f"engineer.{rotated}=engineer", "--why", "each year", "-C", alpha
    )
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == "alpha-000001"
    new = keyid_of(alpha, "engineer")
    ended = run("key", "rotation", "sign", "alpha-000001", "--key", f"engineer.{rotated}", "-C", alpha, "--json")
    assert ended.document["missing"] == [new]
    assert run("key", "rotation", "list", "-C", alpha, "--json").document["rotations"][0]["state"] == "to be signed"
    assert run("key", "rotation", "sign", "alpha-000001", "--key", "engineer", "-C", alpha).status == 0
    assert run("key", "rotation", "list", "-C", alpha, "--json").document["rotations"][0]["state"] == "carried"

    file = alpha / "rotations/made/alpha-000001.json"
    assert run("key", "rotation", "take", file, "-C", station).status == 0
    shown = run("key", "rotation", "show", "alpha-000001", "-C", station, "--json").document
    assert (shown["refused"], shown["signed_for_by"], shown["follows"][0]["old"]) == ("", ["Anna"], rotated)
    assert [one["keyid"] for one in shown["changes"]] == [new, rotated]
    first = run("key", "rotation", "accept", "alpha-000001", "--key", "rita", "-C", station, "--json").document
    assert (first["applied"], TrustFolder.load(station / "trust").find(new)) == (False, None)
    again = run("key", "rotation", "accept", "alpha-000001", "--key", "boris", "-C", station, "--json").document
    assert (again["applied"], sorted(again["accepted_by"])) == (True, ["Boris Lang", "Rita Stein"])
    record = TrustFolder.load(station / "trust").find(new)
    assert record is not None
    assert record.owner == "Anna"
    assert run("key", "rotation", "list", "-C", station, "--json").document["rotations"][0]["state"] == "accepted"
    for words in (("show", "alpha-000001"), ("list",)):
        assert new in run("key", "rotation", *words, "-C", station).out
    ended = run("key", "rotation", "take", file, "-C", station)
    assert (ended.status, "rollback" in ended.err) == (3, True)


def test_a_lost_key_is_revoked_by_another_ones_word(run: Run, alpha: Path, station: Path, rotated: str) -> None:
    ended = run("key", "rotation", "make", "--revoke", rotated, "--why", "lost", "-C", alpha, "--json")
    assert ended.document["missing"] == [rotated]
    assert run("key", "rotation", "sign", "alpha-000001", "--key", f"engineer.{rotated}", "-C", alpha).status == 0
    assert run("key", "rotation", "take", alpha / "rotations/made/alpha-000001.json", "-C", station).status == 0
    for name in ("rita", "boris"):
        assert run("key", "rotation", "accept", "alpha-000001", "--key", name, "-C", station).status == 0
    record = TrustFolder.load(station / "trust").find(rotated)
    assert record is not None
    assert record.revoked is not None
    assert record.revoked.why == "alpha-000001: lost"


def test_a_roots_key_signs_where_it_is_kept(run: Run, alpha: Path, station: Path, rotated: str, tmp_path: Path) -> None:
    """openssl signs the document's bytes with each root's key."""
    require("openssl")
    roots = [certify("root", ca=True), certify("root 2", ca=True)]
    for number, root in enumerate(roots):
        (tmp_path / f"root{number}.pem").write_bytes(root.pem)
        (tmp_path / f"root{number}.key").write_bytes(as_pem(root))
    words = ("--purpose", "image", "--owner", "PKI")
    for folder in (alpha, station):
        assert run("key", "trust", tmp_path / "root0.pem", *words, "-C", folder).status == 0
    pair = f"{tmp_path}/root0.pem={tmp_path}/root1.pem"
    assert run("key", "rotation", "make", "--follow", pair, "--why", "a new root", "-C", alpha).status == 0
    document = alpha / "rotations/made/alpha-000001.json"
    for number, root in enumerate(roots):
        out = tmp_path / f"{number}.sig"
        subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", tmp_path / f"root{number}.key", "-out", out, document], check=True
        )
        signature = ("--signature", out, "--of", root.pinned.keyid)
        ended = run("key", "rotation", "sign", "alpha-000001", *signature, "-C", alpha)
        assert ended.status == 0, ended.err
    assert run("key", "rotation", "sign", "alpha-000001", "--key", f"engineer.{rotated}", "-C", alpha).status == 0
    assert run("key", "rotation", "take", document, "-C", station).status == 0
    for name in ("rita", "boris"):
        assert run("key", "rotation", "accept", "alpha-000001", "--key", name, "-C", station).status == 0
    record = TrustFolder.load(station / "trust").find(roots[1].pinned.keyid)
    assert record is not None
    assert (record.owner, record.purposes) == ("PKI", ("image",))


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("make", "--why", "x"), 2, "changes nothing"),
        (("make", "--follow", "engineer", "--why", "x"), 2, "OLD=NEW"),
        (("make", "--follow", "engineer=nobody", "--why", "x"), 2, "nobody"),
        (("make", "--follow", "engineer=engineer", "--why", "x"), 2, "stands twice"),
        (("make", "--revoke", "anna", "--why", "x"), 2, "16 lower-case hex digits"),
        (("make", "--revoke", "0" * 16, "--why", " "), 2, "needs a reason"),
        (("sign", "alpha-000009", "--key", "engineer"), 2, "key rotation list"),
        (("sign", "../../x", "--key", "engineer"), 2, "key rotation list"),
        (("accept", "alpha-000001", "--key", "engineer"), 2, "key rotation list"),
        (("take", "/nowhere/x.json"), 2, "no such file"),
        (("show", "alpha-1"), 2, "key rotation list"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    run: Run, alpha: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    save_private(alpha / "keys/engineer.pem", create_private(), None)
    ended = run("key", "rotation", *words, "-C", alpha)
    assert (ended.status, said in ended.err) == (status, True), ended.err
    assert not (alpha / "rotations/made").exists()


def as_pem(root: Authority) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return root.key.private_bytes(*form)
