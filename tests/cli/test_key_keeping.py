"""What becomes of keys: taken in, given out, rotated, put in escrow; a first trust with a record, and the review."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bundles.errors import UsageError
from bundles.signing import escrow
from bundles.signing.keys import PublicKey, create_private, load_private
from bundles.signing.trust import TrustFolder
from tests.cli.conftest import Run
from tests.peer_tools import require
from tui.station.station_folder import FolderDesk


def create(run: Run, station: Path, name: str = "officer", *more: str) -> dict[str, str]:
    made = run("key", "create", name, "-C", station, "--json", *more, passphrase="correct horse")
    assert made.status == 0, made.err
    document: dict[str, str] = made.document
    return document


@pytest.mark.parametrize("algorithm", ["ecdsa-p384", "ed25519", "ecdsa-p384+ml-dsa-87"])
def test_a_key_of_every_kind_is_made_and_opens(run: Run, station: Path, algorithm: str) -> None:
    made = create(run, station, "officer", "--algorithm", algorithm)
    assert load_private(station / "keys/officer.pem", b"correct horse").public.keyid == made["keyid"]
    assert len(made["words"].split()) == 32


@pytest.mark.parametrize("name", ["audit", "receipt"])
def test_a_key_that_the_station_signs_with_stays_without_a_passphrase_when_the_console_rotates_it(
    station: Path, name: str
) -> None:
    made = FolderDesk(station).rotate(name, "a passphrase")
    assert load_private(station / f"keys/{name}.pem", None).public.keyid == made.keyid


def test_a_key_goes_out_as_cosigns_and_comes_back(run: Run, station: Path, tmp_path: Path) -> None:
    made = create(run, station)
    out = tmp_path / "cosign.key"
    ended = run(
        "key", "export", "officer", "--private", "cosign", "--out", out, "-C", station, passphrase="correct horse"
    )
    assert ended.status == 0, ended.err
    assert out.read_bytes().startswith(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")
    assert out.stat().st_mode & 0o777 == 0o600
    ended = run("key", "import", "again", out, "-C", station, "--json", passphrase="correct horse")
    assert ended.document["keyid"] == made["keyid"]
    assert load_private(station / "keys/again.pem", b"correct horse").public.keyid == made["keyid"]


def test_a_private_key_is_never_printed_nor_leaves_without_a_passphrase(
    run: Run, station: Path, tmp_path: Path
) -> None:
    create(run, station)
    assert run("key", "export", "officer", "--private", "pkcs8", "-C", station).status == 2
    out = tmp_path / "x"
    assert run("key", "export", "receipt", "--private", "pkcs8", "--out", out, "-C", station).status == 2
    assert not out.exists()


def test_an_ssh_key_is_taken_in_and_signs_by_name(run: Run, station: Path, tmp_path: Path) -> None:
    require("ssh-keygen")
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ended = run("key", "import", "token", key, "-C", station, "--json")
    assert ended.document["algorithm"] == "ssh-ed25519"
    private = load_private(station / "keys/token.pem", None)
    assert private.public.verify(b"data", private.sign(b"data"))
    assert PublicKey.from_pem((station / "keys/token.pub.pem").read_bytes()) == private.public


def test_an_unencrypted_key_is_taken_in_only_when_that_is_said(run: Run, station: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.pem").write_bytes(create_private().to_pem(None))
    assert run("key", "import", "plain", tmp_path / "plain.pem", "-C", station).status == 2
    assert run("key", "import", "plain", tmp_path / "plain.pem", "--no-passphrase", "-C", station).status == 0


def test_a_passphrase_comes_as_a_systemd_credential(
    run: Run, station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lockgate.signer").write_bytes(b"from the service manager\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert run("key", "create", "signer", "-C", station).status == 0
    load_private(station / "keys/signer.pem", b"from the service manager")
    ended = run("key", "create", "other", "-C", station)
    assert (ended.status, "--passphrase-fd" in ended.err) == (2, True)


def test_a_rotated_key_keeps_its_predecessor(run: Run, station: Path, acts: object) -> None:
    old = create(run, station)
    ended = run("key", "rotate", "officer", "-C", station, "--json", passphrase="new horse")
    assert ended.document["old"] == {"name": f"officer.{old['keyid']}", "keyid": old["keyid"]}
    assert (
        load_private(station / "keys/officer.pem", b"new horse").public.keyid == ended.document["keyid"] != old["keyid"]
    )
    kept = station / f"keys/officer.{old['keyid']}.pem"
    assert load_private(kept, b"correct horse").public.keyid == old["keyid"]
    assert ("key.rotate", ended.document["keyid"], "done") in acts()  # type: ignore[operator]


def test_a_key_comes_back_from_escrow_with_enough_shares(run: Run, station: Path, tmp_path: Path) -> None:
    made = create(run, station)
    out = tmp_path / "escrow"
    ended = run("key", "escrow", "officer", "--out", out, "--shares", "3", "--needed", "2", "-C", station,
                passphrase="correct horse")  # fmt: skip
    assert ended.status == 0, ended.err
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    copy, shares = out / "officer.escrow.pem", [out / f"officer.share-{n}.txt" for n in (1, 2, 3)]
    one = run("key", "recover", "back", copy, "--share", shares[0], "-C", station, passphrase="new")
    assert (one.status, "1 of 2 shares" in one.err) == (2, True)
    two = run(
        "key", "recover", "back", copy, "--share", shares[2], "--share", shares[0], "-C", station, passphrase="new"
    )
    assert two.status == 0, two.err
    assert load_private(station / "keys/back.pem", b"new").public.keyid == made["keyid"]


def test_fewer_shares_than_needed_or_wrong_ones_give_nothing() -> None:
    secret = bytes(range(32))
    shares = escrow.split(secret, 5, 3)
    for chosen in ((0, 1, 2), (4, 2, 0), (1, 3, 4)):
        assert escrow.join([escrow.parse(shares[n].render()) for n in chosen]) == secret
    with pytest.raises(UsageError, match="2 of 3 shares"):
        escrow.join(shares[:2])
    with pytest.raises(UsageError, match="twice"):
        escrow.join([shares[0], shares[0], shares[1]])
    with pytest.raises(UsageError, match="not of one escrow"):
        escrow.join([shares[0], shares[1], escrow.split(b"x" * 32, 5, 3)[2]])
    import dataclasses

    wrong = dataclasses.replace(shares[0], value=bytes(32))
    with pytest.raises(UsageError, match="a share is wrong"):
        escrow.join([wrong, *shares[1:3]])


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "engineer.pem"
    path.write_bytes(create_private().public.to_pem())
    return path


def test_a_ceremony_pins_what_was_read_out_and_leaves_a_record(
    run: Run, station: Path, public: Path, tmp_path: Path
) -> None:
    key = PublicKey.from_pem(public.read_bytes())
    words = (
        "key",
        "ceremony",
        public,
        "--purpose",
        "bundle",
        "--owner",
        "Engineering",
        "--from",
        "alpha",
        "--witness",
        "Cy",
    )
    wrong = create_private().public.words
    record = tmp_path / "record.txt"
    refused = run(*words, "--heard", wrong, "--record", record, "-C", station)
    assert (refused.status, "not this key's fingerprint" in refused.err, record.exists()) == (3, True, False)
    assert TrustFolder.load(station / "trust").records == ()
    said = key.words.split()
    said[5] = "xylophone"  # by its place: the same word may stand earlier too
    misheard = run(*words, "--heard", " ".join(said), "--record", record, "-C", station)
    assert (misheard.status, "word 6" in misheard.err) == (2, True)
    assert run(*words, "--heard", key.words, "--record", record, "-C", station).status == 0
    text = record.read_text()
    assert all(part in text for part in (key.keyid, "Engineering", "Cy", "Signature", key.words.split(",")[0]))
    assert len(text.splitlines()) <= 60
    assert TrustFolder.load(station / "trust").find(key.keyid) is not None


def test_a_policy_is_set_shown_and_reviewed_on_a_page(run: Run, station: Path, public: Path, tmp_path: Path) -> None:
    run("key", "trust", public, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha", "-C", station)
    ended = run("key", "policy", "--purpose", "bundle", "--from", "alpha", "--signers", "2", "--algorithm",
                "ecdsa-p384+ml-dsa-87", "--silence-days", "7", "-C", station)  # fmt: skip
    assert ended.status == 0, ended.err
    assert "bundle from alpha: 2 distinct owners, by ecdsa-p384+ml-dsa-87, alarm after 7 days" in ended.out
    page = run("key", "review", "-C", station).out
    assert all(said in page for said in ("site bravo", "Engineering: bundle", "alpha.bravo", "Signature"))
    assert run("key", "export-trust", tmp_path / "copy", "-C", station).status == 0
    assert TrustFolder.load(tmp_path / "copy") == TrustFolder.load(station / "trust")
    assert run("key", "policy", "--purpose", "bundle", "--signers", "0", "-C", station).status == 2
