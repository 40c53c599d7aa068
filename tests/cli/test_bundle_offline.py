"""`lockgate bundle verify | inspect | unpack | sign` on a bundle's folder: their words and exit statuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from appliance.store.database import open_writer
from bundles.format.manifest_codec import encode
from bundles.signing.keys import PrivateKey, create_private, save_private
from tests.bundles.small import SmallBundle, manifest_of, sign, trust_of
from tests.cli.conftest import Run

YEARS = {"created": "2026-01-01T00:00:00Z", "not_after": "9999-12-31T23:59:59Z"}
"""The commands read the real clock."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("original"), **YEARS)


@pytest.fixture
def folder(original: SmallBundle, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(original.folder, tmp_path / original.folder.name))


@pytest.fixture
def trust(original: SmallBundle, tmp_path: Path) -> Path:
    trust_of(tmp_path / "trust", original.key)
    return tmp_path / "trust"


@pytest.fixture
def second(original: SmallBundle, folder: Path) -> PrivateKey:
    """A co-signer whom the bundle in `folder` names, and who has not signed yet."""
    key = create_private()
    signers = sorted([original.key.public.keyid, key.public.keyid])
    signed = sign(manifest_of(original.content, original.laid_out, signers, **YEARS), [original.key])
    (folder / "manifest.json").write_bytes(signed.manifest_bytes)
    (folder / "README.txt").write_bytes(signed.readme)
    (folder / "SHA256SUMS").write_bytes(signed.sums)
    for name, signature in signed.signatures.items():
        (folder / name).write_bytes(signature)
    return key


def test_a_good_bundle_is_said_to_verify_rule_by_rule(run: Run, folder: Path, trust: Path) -> None:
    ended = run("bundle", "verify", folder, "--trust", trust)
    assert ended.status == 0
    assert ended.out.count("[ok]") == 5
    assert "replay         not checked" in ended.out
    assert ended.out.endswith("alpha.bravo-000001 verifies\n")


def test_a_verdict_in_json_says_what_was_not_checked(run: Run, folder: Path, trust: Path) -> None:
    document = run("bundle", "verify", folder, "--trust", trust, "--json").document
    assert (document["id"], document["replay_checked"]) == ("alpha.bravo-000001", False)
    assert document["signers"][0]["owner"] == "Engineering"


def test_a_changed_bundle_is_refused_with_status_3_and_one_line(run: Run, folder: Path, trust: Path) -> None:
    (folder / "volumes/0002.7z").write_bytes(b"\0" * (folder / "volumes/0002.7z").stat().st_size)
    ended = run("bundle", "verify", folder, "--trust", trust)
    assert (ended.status, ended.out) == (3, "")
    assert "volumes/0002.7z" in ended.err


def test_a_bundle_with_volumes_to_come_is_status_4_and_names_them(run: Run, folder: Path, trust: Path) -> None:
    (folder / "volumes/0002.7z").unlink()
    ended = run("bundle", "verify", folder, "--trust", trust)
    assert (ended.status, "volumes/0002.7z; insert medium 1 of 1" in ended.err) == (4, True)


def test_verify_needs_to_know_whom_to_trust(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("bundle", "verify", folder).status == 2
    assert run("bundle", "verify", folder, "--trust", tmp_path / "nowhere").status == 2


def test_a_stations_ledger_is_asked_where_there_is_one(
    run: Run, folder: Path, original: SmallBundle, station: Path, trust: Path
) -> None:
    shutil.rmtree(station / "trust")
    trust.rename(station / "trust")
    assert run("bundle", "verify", folder, "-C", station, "--json").document["replay_checked"] is False
    digest = run("bundle", "verify", folder, "-C", station, "--json").document["digest"]
    database = open_writer(station / "metadata.sqlite")
    assert run("bundle", "verify", folder, "-C", station, "--json").document["replay_checked"] is True
    database.execute(
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
        " VALUES ('alpha.bravo', 1, ?, 'alpha.bravo-000001', 'released', '', '2026-06-01T12:00:00Z', 'root')",
        (digest,),
    )
    ended = run("bundle", "verify", folder, "-C", station)
    assert (ended.status, "a replay" in ended.err) == (3, True)
    assert run("bundle", "verify", folder, "-C", station, "--trust", station / "trust").status == 0
    database.close()


def test_inspecting_needs_no_trust_and_says_that_nothing_is_verified(run: Run, folder: Path) -> None:
    for signature in folder.glob("*.sig"):
        signature.unlink()
    (folder / "volumes/0003.7z").unlink()
    ended = run("bundle", "inspect", folder)
    assert ended.status == 0
    assert "NOT VERIFIED" in ended.out.splitlines()[0]
    assert "files/big:1" in ended.out
    assert "no signature here" in ended.out
    assert [line.split()[-2:] for line in ended.out.splitlines() if "0003.7z" in line] == [["not", "here"]]
    document = run("bundle", "inspect", folder, "--json").document
    assert document["verified"] is False
    assert document["signatures_here"] == []
    assert 3 not in document["volumes_here"]


def test_what_a_bundle_says_of_itself_cannot_steer_the_terminal(run: Run, folder: Path, original: SmallBundle) -> None:
    changes = {"purpose": "\x1b]0;owned\x07", "classification": "OPEN\u202eTERCES"}
    raw = encode(manifest_of(original.content, original.laid_out, ["0" * 16], **changes))
    (folder / "manifest.json").write_bytes(raw)
    shown = run("bundle", "inspect", folder).out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b]0;owned\\x07" in shown
    assert "\\u202e" in shown


def test_what_is_no_manifest_cannot_be_inspected(run: Run, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"{}")
    assert run("bundle", "inspect", folder).status == 3


def test_a_verified_bundle_is_unpacked(run: Run, folder: Path, trust: Path, tmp_path: Path) -> None:
    ended = run("bundle", "unpack", folder, "--to", tmp_path / "layout", "--trust", trust)
    assert ended.out.splitlines()[-1] == str(tmp_path / "layout")
    names = [entry["annotations"] for entry in json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]]
    assert {"org.opencontainers.image.ref.name": "files/big:1"} in names


def test_a_bundle_is_unpacked_in_the_form_that_is_asked_for(
    run: Run, folder: Path, trust: Path, tmp_path: Path
) -> None:
    ended = run("bundle", "unpack", folder, "--to", tmp_path / "dirs", "--format", "dir", "--trust", trust, "--json")
    document = ended.document
    assert document["format"] == "dir"
    assert "files/thing@1" in document["files"]
    assert (tmp_path / "dirs/files/thing@1/version").read_bytes() == b"Directory Transport Version: 1.1\n"
    ended = run("bundle", "unpack", folder, "--to", tmp_path / "no", "--format", "docker-archive", "--trust", trust)
    assert (ended.status, ended.out) == (1, "")
    assert "--format oci" in ended.err
    assert run("bundle", "unpack", folder, "--to", tmp_path / "no", "--format", "tar", "--trust", trust).status == 2


def test_what_is_recovered_without_a_manifest_is_said_to_be_unverified(run: Run, folder: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "SHA256SUMS"):
        (folder / name).unlink()
    ended = run("bundle", "unpack", folder, "--to", tmp_path / "out", "--without-manifest")
    assert ended.status == 0
    assert "NOT VERIFIED" in ended.out
    assert ended.out.splitlines()[-1] == str(tmp_path / "out")
    document = run("bundle", "unpack", folder, "--to", tmp_path / "o2", "--without-manifest", "--json").document
    assert (document["verified"], document["lost"]) == (False, [])
    for volume in (folder / "volumes").iterdir():
        volume.write_bytes(volume.read_bytes()[:-40])
    ended = run("bundle", "unpack", folder, "--to", tmp_path / "o3", "--without-manifest")
    assert ended.status == 4
    assert run("bundle", "unpack", folder, "--to", tmp_path / "o4", "--without-manifest", "--format", "dir").status == 2


def test_an_unverified_bundle_is_not_unpacked(run: Run, folder: Path, trust: Path, tmp_path: Path) -> None:
    (folder / "README.txt").write_text("trust me")
    assert run("bundle", "unpack", folder, "--to", tmp_path / "layout", "--trust", trust).status == 3
    assert not (tmp_path / "layout").exists()


def test_a_co_signature_completes_a_bundle(
    run: Run, folder: Path, second: PrivateKey, original: SmallBundle, tmp_path: Path, trust: Path
) -> None:
    ended = run("bundle", "verify", folder, "--trust", trust)
    assert (ended.status, second.public.keyid in ended.err) == (3, True)
    save_private(tmp_path / "second.pem", second, b"correct horse")
    signing = ("bundle", "sign", folder, "--key", tmp_path / "second.pem", "--json")
    assert run(*signing, passphrase="correct horse").document["missing_signers"] == []
    trust_of(tmp_path / "both", original.key, second)
    assert run("bundle", "verify", folder, "--trust", tmp_path / "both").status == 0


def test_co_signing_every_medium_leaves_the_same_signature(
    run: Run, folder: Path, second: PrivateKey, tmp_path: Path
) -> None:
    save_private(tmp_path / "second.pem", second, None)
    other = shutil.copytree(folder, tmp_path / "other")
    for medium in (folder, other):
        assert run("bundle", "sign", medium, "--key", tmp_path / "second.pem").status == 0
    name = f"SHA256SUMS.{second.public.keyid}.sig"
    assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_co_signing_several_media_names_the_signature_on_each(
    run: Run, folder: Path, second: PrivateKey, tmp_path: Path
) -> None:
    save_private(tmp_path / "second.pem", second, None)
    other = shutil.copytree(folder, tmp_path / "other")
    name = f"SHA256SUMS.{second.public.keyid}.sig"
    ended = run("bundle", "sign", folder, other, "--key", tmp_path / "second.pem")
    assert ended.out.splitlines()[-2:] == [str(folder / name), str(other / name)]
    again = run("bundle", "sign", folder, other, "--key", tmp_path / "second.pem", "--json").document
    assert again["signatures"] == [str(folder / name), str(other / name)]


def test_a_key_of_the_stations_folder_signs_by_name_and_is_logged(
    run: Run, folder: Path, second: PrivateKey, station: Path, acts: object
) -> None:
    save_private(station / "keys/second.pem", second, None)
    assert run("bundle", "sign", folder, "--key", "second", "-C", station).status == 0
    assert ("bundle.sign", "alpha.bravo-000001", "done") in acts()  # type: ignore[operator]


@pytest.mark.parametrize("name", ["README.txt", "manifest.json", "volumes/0001.7z", "SHA256SUMS"])
def test_nobody_co_signs_what_is_not_what_it_says(
    run: Run, folder: Path, second: PrivateKey, tmp_path: Path, name: str
) -> None:
    save_private(tmp_path / "second.pem", second, None)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert run("bundle", "sign", folder, "--key", tmp_path / "second.pem").status == 3
    assert not (folder / f"SHA256SUMS.{second.public.keyid}.sig").exists()


def test_a_key_that_the_bundle_does_not_name_may_not_sign(run: Run, folder: Path, tmp_path: Path) -> None:
    save_private(tmp_path / "stranger.pem", create_private(), None)
    ended = run("bundle", "sign", folder, "--key", tmp_path / "stranger.pem")
    assert (ended.status, "does not name this key" in ended.err) == (3, True)


def test_a_missing_key_and_a_missing_bundle_are_usage(run: Run, folder: Path, station: Path, tmp_path: Path) -> None:
    assert run("bundle", "sign", folder, "--key", "nobody", "-C", station).status == 2
    assert run("bundle", "sign", folder, "--key", "nobody").status == 2
    (tmp_path / "empty").mkdir()
    assert run("bundle", "inspect", tmp_path / "empty").status == 2
    assert run("bundle", "inspect", tmp_path / "nowhere").status == 1
