"""The inside half as its people use it: the command line against a live station, exit statuses and last lines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from appliance.audit.reading import tail
from bundles.oci.digest import Digest
from bundles.signing.keys import PublicKey, create_private, save_private
from tests.bundles.small import MemoryStore, SmallBundle, file_artifact
from tests.intake.inside import Carried, carry, name_of, small_bundle
from tests.stage import Outcome, Station, lockgate


@pytest.fixture
def bravo(tmp_path: Path) -> Iterator[Station]:
    """An inside station with an officer's key."""
    with Station(tmp_path / "bravo", "bravo", "inside") as station:
        station.run("key", "create", "officer", "--no-passphrase")
        (tmp_path / "officer.pem").write_text(station.run("key", "export", "officer").stdout)
        station.run("key", "trust", tmp_path / "officer.pem", "--purpose", "release", "--owner", "Officer")
        yield station


def pin(station: Station, folder: Path, key: PublicKey) -> None:
    pem = folder / f"{key.keyid}.pem"
    pem.write_bytes(key.to_pem())
    station.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")


@pytest.fixture
def bundle(bravo: Station, tmp_path: Path) -> Carried:
    store = MemoryStore()
    made = carry(tmp_path / "medium", store, [file_artifact(store, b"hello\n"), file_artifact(store, b"x", "files/b")])
    pin(bravo, tmp_path, made.key.public)
    return made


def one_line(outcome: Outcome) -> str:
    """The refusal on stderr: progress aside, one line."""
    assert "Traceback" not in outcome.stderr
    (said,) = [line for line in outcome.stderr.splitlines() if not line.startswith("  ")]
    return said.removeprefix("lockgate: ")


def fetch(station: Station, path: str) -> bytes:
    with urlopen(f"{station.base}{path}") as answer:
        return bytes(answer.read())


def test_import_approve_release_serve(bravo: Station, bundle: Carried) -> None:
    assert bravo.run("intake", "import", bundle.folder).last_line == name_of()
    with pytest.raises(HTTPError):
        fetch(bravo, "/v2/files/thing/manifests/1")
    approved = bravo.run("intake", "approve", name_of(), "--key", "officer", "--json").json
    assert (approved["state"], approved["approvals"], approved["needed"]) == ("approved", 1, 1)
    released = bravo.run("intake", "release", name_of())
    assert released.stdout.split() == ["files/b:1", "files/thing:1"]
    served = str(Digest.of(fetch(bravo, "/v2/files/thing/manifests/1")))
    assert served in {artifact.digest for artifact in bundle.signed.manifest.artifacts}
    assert fetch(bravo, f"/v2/files/thing/blobs/{Digest.of(b'hello' + bytes([10]))}") == b"hello\n"


def test_show_tells_it_by_id_and_by_digest(bravo: Station, bundle: Carried) -> None:
    bravo.run("intake", "import", bundle.folder)
    by_id = bravo.run("intake", "show", name_of(), "--json").json
    assert bravo.run("intake", "show", bundle.digest, "--json").json == by_id
    assert by_id["manifest"] == json.loads(bundle.signed.manifest_bytes)
    assert by_id["report"]["bundle"] == name_of()
    assert [volume["verified"] for volume in by_id["volumes"]] == [True]
    text = bravo.run("intake", "show", name_of()).stdout
    assert "Engineering" in text
    assert "carried, not counted" in text
    (listed,) = bravo.run("intake", "list", "--json").json["items"]
    assert listed["id"] == name_of()
    assert listed.items() <= by_id.items()


def test_a_replay_is_refused_with_status_3(bravo: Station, bundle: Carried) -> None:
    bravo.run("intake", "import", bundle.folder)
    refused = bravo.run("intake", "import", bundle.folder, expect=3)
    assert one_line(refused).startswith("a replay: this bundle is in the ledger as quarantined")


def test_a_tampered_volume_is_refused_with_status_3_and_named(bravo: Station, bundle: Carried) -> None:
    volume = bundle.folder / "volumes/0001.7z"
    data = bytearray(volume.read_bytes())
    data[40] ^= 1
    volume.write_bytes(data)
    assert "volumes/0001.7z" in one_line(bravo.run("intake", "import", bundle.folder, expect=3))
    assert bravo.run("intake", "list", "--json").json["items"] == []


def test_a_medium_that_is_still_to_come_is_status_4_and_named(bravo: Station, tmp_path: Path) -> None:
    made: SmallBundle = small_bundle(tmp_path / "spread", media=2)
    pin(bravo, tmp_path, made.key.public)
    incomplete = bravo.run("intake", "import", made.out[1], expect=4)
    assert "volumes/0001.7z" in one_line(incomplete)
    assert "insert medium 1 of " in one_line(incomplete)
    assert bravo.run("intake", "list", "--json").json["items"][0]["state"] == "receiving"
    shutil.rmtree(made.out[1])
    assert bravo.run("intake", "import", made.out[0]).last_line == name_of()


def test_nothing_is_released_without_an_approval(bravo: Station, bundle: Carried) -> None:
    bravo.run("intake", "import", bundle.folder)
    assert "quarantined, not approved" in one_line(bravo.run("intake", "release", name_of(), expect=3))


def test_a_key_that_is_not_pinned_for_releases_is_refused(bravo: Station, bundle: Carried, tmp_path: Path) -> None:
    bravo.run("intake", "import", bundle.folder)
    save_private(tmp_path / "mine.pem", create_private(), None)
    refused = bravo.run("intake", "approve", name_of(), "--key", tmp_path / "mine.pem", expect=3)
    assert "unknown" in one_line(refused)
    events = tail(bravo.folder / "audit", 1000)
    assert [event["outcome"] for event in events if event["act"] == "intake.decide"] == ["refused"]


def test_a_rejection_is_final(bravo: Station, bundle: Carried) -> None:
    bravo.run("intake", "import", bundle.folder)
    bravo.run("intake", "reject", name_of(), "--key", "officer", "--why", "not ordered")
    assert "rejected" in one_line(bravo.run("intake", "release", name_of(), expect=1))
    assert "rejected" in one_line(bravo.run("intake", "import", bundle.folder, expect=3))
    assert "not ordered" in bravo.run("intake", "show", name_of()).stdout


def test_unknown_names_are_said_in_one_line(bravo: Station) -> None:
    assert "no such bundle" in one_line(bravo.run("intake", "show", "alpha.bravo-000009", expect=1))
    bravo.run("intake", "import", bravo.folder / "nowhere", expect=1)
    bravo.run("intake", "approve", "alpha.bravo-000009", "--key", "nobody", expect=2)


def test_a_stream_shows_its_steps_and_goes_on_behind_a_floor(bravo: Station, bundle: Carried) -> None:
    bravo.run("intake", "import", bundle.folder)
    bravo.run("intake", "stream", "reset", "alpha.bravo", "--sequence", "4", "--why", "2 to 4 were lost")
    items = bravo.run("intake", "stream", "show", "alpha.bravo", "--json").json["items"]
    assert [(item["sequence"], item["state"]) for item in items] == [(1, "quarantined"), (4, "reset")]
    refused = bravo.run("intake", "stream", "reset", "alpha.bravo", "--sequence", "2", "--why", "no", expect=3)
    assert "never set below" in one_line(refused)


def test_a_receipt_is_read_on_the_outside(bravo: Station, bundle: Carried, tmp_path: Path) -> None:
    bravo.run("intake", "import", bundle.folder)
    exported = bravo.run("receipt", "export", "--out", tmp_path / "receipt.json")
    assert exported.last_line == str(tmp_path / "receipt.json")
    own = bravo.run("receipt", "read", tmp_path / "receipt.json", "--json").json
    assert (own["signed_by"]["owner"], own["receipt"]["site"]) == ("this station", "bravo")
    outside = tmp_path / "alpha"
    lockgate("init", outside, "--site", "alpha", "--side", "outside", "--open")
    unknown = lockgate("receipt", "read", tmp_path / "receipt.json", "-C", outside, expect=3)
    assert "unknown" in one_line(unknown)
    (tmp_path / "bravo.pem").write_text(bravo.run("key", "export", "receipt").stdout)
    lockgate("key", "trust", tmp_path / "bravo.pem", "--purpose", "receipt", "--owner", "Bravo", "--from", "bravo",
             "-C", outside)  # fmt: skip
    read = lockgate("receipt", "read", tmp_path / "receipt.json", "-C", outside, "--json").json
    assert read["receipt"]["streams"] == [{"stream": "alpha.bravo", "sequence": 1, "digest": bundle.digest}]
    raw = (tmp_path / "receipt.json").read_bytes()
    (tmp_path / "receipt.json").write_bytes(raw.replace(b'"sequence":1', b'"sequence":2'))
    forged = lockgate("receipt", "read", tmp_path / "receipt.json", "-C", outside, expect=3)
    assert "does not hold" in one_line(forged)
