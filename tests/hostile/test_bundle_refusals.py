"""Every way to change, swap, add or take from a bundle is refused by name (docs/internals/threat-model.md)."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles import build, limits
from bundles.errors import EXIT_INCOMPLETE, EXIT_REFUSED, LockgateError
from bundles.format.manifest_codec import encode
from bundles.io import strict_json
from bundles.ports import no_progress
from bundles.signing.keys import create_private
from bundles.signing.pinning import init_trust, revoke_key, trust_key
from bundles.signing.trust import TrustFolder
from bundles.verify import verify
from tests.bundles.small import LATER, NOW, SmallBundle, manifest_of, sign, trust_of


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("original"))


@pytest.fixture
def trust(original: SmallBundle, tmp_path: Path) -> TrustFolder:
    return trust_of(tmp_path / "trust", original.key)


@pytest.fixture
def folder(original: SmallBundle, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(original.folder, tmp_path / original.folder.name))


def refusal(folders: Path | list[Path], trust: TrustFolder, now: str = LATER) -> str:
    """The one line of the refusal. Fails where the bundle is accepted, or refused with another status than 3."""
    with pytest.raises(LockgateError) as caught:
        verify([folders] if isinstance(folders, Path) else folders, trust, now, no_progress)
    line = caught.value.diagnostics()
    assert caught.value.exit_status == EXIT_REFUSED, line
    assert "\n" not in line
    return line


def resigned(original: SmallBundle, tmp_path: Path, raw: bytes) -> Path:
    """The bundle with other manifest bytes, honestly signed by the trusted key."""
    tmp_path = tmp_path / "resigned"
    shutil.copytree(original.folder, tmp_path)
    signed = sign(original.manifest, [original.key], raw)
    write_small(tmp_path, signed)
    return tmp_path


def write_small(folder: Path, signed: build.Signed) -> None:
    (folder / "manifest.json").write_bytes(signed.manifest_bytes)
    (folder / "README.txt").write_bytes(signed.readme)
    (folder / "SHA256SUMS").write_bytes(signed.sums)
    for old in folder.glob("SHA256SUMS.*.sig"):
        old.unlink()
    for name, signature in signed.signatures.items():
        (folder / name).write_bytes(signature)


def flips() -> Iterator[int]:
    yield from range(200)


@pytest.mark.parametrize("seed", flips())
def test_any_one_bit_of_any_file_is_refused_by_name(folder: Path, trust: TrustFolder, seed: int) -> None:
    chosen = random.Random(seed)
    path = chosen.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(path.read_bytes())
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    path.write_bytes(data)
    line = refusal(folder, trust)
    assert path.name in line or "SHA256SUMS" in line, line


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "README.txt"])
def test_a_small_file_cut_short_anywhere_is_refused(folder: Path, trust: TrustFolder, name: str) -> None:
    whole = (folder / name).read_bytes()
    for length in {*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1}:
        (folder / name).write_bytes(whole[:length])
        refusal(folder, trust)


def test_a_signature_cut_short_anywhere_is_refused(folder: Path, trust: TrustFolder) -> None:
    (path,) = folder.glob("*.sig")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert "the signature does not hold" in refusal(folder, trust)


def test_slack_behind_a_signature_is_refused(folder: Path, trust: TrustFolder) -> None:
    (path,) = folder.glob("*.sig")
    path.write_bytes(path.read_bytes() + b"\0")
    assert "the signature does not hold" in refusal(folder, trust)


@pytest.mark.parametrize("length", [0, 31, 32, 1_000])
def test_a_truncated_volume_is_refused_by_its_size(folder: Path, trust: TrustFolder, length: int) -> None:
    os.truncate(folder / "volumes/0002.7z", length)
    assert "volumes/0002.7z" in (line := refusal(folder, trust))
    assert "not the signed" in line


def test_a_longer_volume_is_refused(folder: Path, trust: TrustFolder) -> None:
    with (folder / "volumes/0001.7z").open("ab") as volume:
        volume.write(b"\0")
    assert "volumes/0001.7z" in refusal(folder, trust)


def test_swapped_volumes_are_refused(folder: Path, trust: TrustFolder) -> None:
    one, two = folder / "volumes/0001.7z", folder / "volumes/0002.7z"
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    assert "volumes/000" in refusal(folder, trust)


@pytest.mark.parametrize(
    "name",
    [
        "volumes/0099.7z",
        "volumes/0001.7Z",
        "volumes/1.7z",
        "volumes/.hidden",
        "extra.txt",
        "SHA256SUMS.sig",
        "_README.txt",
    ],
)
def test_a_file_that_does_not_belong_is_refused_by_name(folder: Path, trust: TrustFolder, name: str) -> None:
    (folder / name).write_bytes(b"x")
    assert Path(name).name in (line := refusal(folder, trust))
    assert "does not belong" in line


def test_a_renamed_volume_is_refused_by_name(folder: Path, trust: TrustFolder) -> None:
    (folder / "volumes/0002.7z").rename(folder / "volumes/0008.7z")
    assert "0008.7z" in refusal(folder, trust)


def test_missing_volumes_are_incomplete_and_named(folder: Path, trust: TrustFolder) -> None:
    (folder / "volumes/0002.7z").unlink()
    with pytest.raises(LockgateError, match=r"volumes/0002\.7z") as caught:
        verify([folder], trust, LATER, no_progress)
    assert caught.value.exit_status == EXIT_INCOMPLETE


def test_a_damaged_volume_is_refused_even_where_another_is_missing(folder: Path, trust: TrustFolder) -> None:
    (folder / "volumes/0002.7z").unlink()
    flip_last(folder / "volumes/0001.7z")
    assert "volumes/0001.7z" in refusal(folder, trust)


def test_a_second_copy_of_a_volume_must_be_good_too(original: SmallBundle, folder: Path, trust: TrustFolder) -> None:
    flip_last(folder / "volumes/0003.7z")
    assert "volumes/0003.7z" in refusal([original.folder, folder], trust)


def flip_last(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "README.txt"])
def test_a_missing_small_file_is_refused_by_name(folder: Path, trust: TrustFolder, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder, trust)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "README.txt", "volumes/0001.7z"])
def test_links_are_not_followed(folder: Path, trust: TrustFolder, tmp_path: Path, name: str) -> None:
    moved = tmp_path / "elsewhere"
    (folder / name).rename(moved)
    (folder / name).symlink_to(moved)
    assert "not a regular file" in refusal(folder, trust)


def test_a_pipe_in_a_files_place_does_not_hang(folder: Path, trust: TrustFolder) -> None:
    (folder / "README.txt").unlink()
    os.mkfifo(folder / "README.txt")
    assert "not a regular file" in refusal(folder, trust)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "README.txt", "volumes/0001.7z"])
def test_a_socket_in_a_files_place_is_refused(
    folder: Path, trust: TrustFolder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / name).unlink()
    monkeypatch.chdir((folder / name).parent)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(Path(name).name)
        assert "not a regular file" in refusal(folder, trust)


def test_a_huge_small_file_is_not_read(folder: Path, trust: TrustFolder) -> None:
    os.truncate(folder / "SHA256SUMS", limits.SUMS_FILE + 1)
    assert "too large" in refusal(folder, trust)


def test_an_unsigned_bundle_is_refused(folder: Path, trust: TrustFolder) -> None:
    for signature in folder.glob("*.sig"):
        signature.unlink()
    assert "not signed" in refusal(folder, trust)


def test_an_unknown_signer_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "the signer is unknown" in refusal(folder, trust_of(tmp_path / "stranger", create_private()))


def test_a_key_on_the_medium_is_never_believed(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    (folder / "pub.pem").write_bytes(original.key.public.to_pem())
    refusal(folder, trust_of(tmp_path / "stranger", create_private()))


def test_a_revoked_signer_is_refused_with_the_reason(
    folder: Path, original: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    revoke_key(tmp_path / "trust", original.key.public.keyid, why="lost laptop", at=NOW)
    assert "lost laptop" in refusal(folder, TrustFolder.load(tmp_path / "trust"))


def test_a_key_of_another_purpose_is_refused(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    init_trust(tmp_path / "other", "bravo")
    trust_key(tmp_path / "other", original.key.public, purpose="release", owner="Officer", sites=["alpha"])
    assert "not for bundle" in refusal(folder, TrustFolder.load(tmp_path / "other"))


def test_a_key_of_another_site_is_refused(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    assert "may sign for delta" in refusal(folder, trust_of(tmp_path / "other", original.key, source="delta"))


def test_an_expired_key_is_refused(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    init_trust(tmp_path / "old", "bravo")
    key = original.key.public
    trust_key(tmp_path / "old", key, purpose="bundle", owner="E", sites=["alpha"], not_after="2026-05-01T00:00:00Z")
    assert "not valid after" in refusal(folder, TrustFolder.load(tmp_path / "old"))


def test_another_sites_bundle_is_refused(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    assert "for another site" in refusal(folder, trust_of(tmp_path / "charlie", original.key, site="charlie"))


@pytest.mark.parametrize(("now", "reason"), [("2027-01-01T00:00:00Z", "expired"), ("2026-05-01T00:00:00Z", "future")])
def test_a_bundle_out_of_its_time_is_refused(folder: Path, trust: TrustFolder, now: str, reason: str) -> None:
    assert reason in refusal(folder, trust, now)


def test_a_stripped_co_signature_is_refused_and_named(
    original: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    second = create_private()
    signers = sorted([original.key.public.keyid, second.public.keyid])
    signed = sign(manifest_of(original.content, original.laid_out, signers), [original.key])
    folder = Path(shutil.copytree(original.folder, tmp_path / "co"))
    write_small(folder, signed)
    assert second.public.keyid in refusal(folder, trust)
    trust_key(tmp_path / "trust", second.public, purpose="bundle", owner="Second", sites=["alpha"])
    (folder / f"SHA256SUMS.{second.public.keyid}.sig").write_bytes(second.sign(signed.sums))
    verify([folder], TrustFolder.load(tmp_path / "trust"), LATER, no_progress)


def test_a_signature_beyond_the_named_ones_is_refused(folder: Path, original: SmallBundle, tmp_path: Path) -> None:
    second = create_private()
    (folder / f"SHA256SUMS.{second.public.keyid}.sig").write_bytes(second.sign(original.signed.sums))
    assert "does not name" in refusal(folder, trust_of(tmp_path / "both", original.key, second))


def test_endless_signatures_are_refused_unread(folder: Path, trust: TrustFolder) -> None:
    for number in range(limits.SIGNATURES):
        (folder / f"SHA256SUMS.{number:016x}.sig").symlink_to("/dev/zero")
    assert "too many signature files" in refusal(folder, trust)


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """A change of the manifest's content, in canonical form."""

    def apply(raw: bytes) -> bytes:
        document = json.loads(raw)
        change(document)
        return strict_json.canonical(document)

    return apply


def put(key: str, value: Any) -> Callable[[bytes], bytes]:
    return changed(lambda document: document.__setitem__(key, value))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("format", {"major": 2, "minor": 0}), "another major format"),
        (put("crit", ["sparse-volumes"]), "sparse-volumes"),
        (put("type", "application/vnd.lockgate.receipt.v1+json"), "another kind of document"),
        (put("unknown", 1), "unknown"),
        (put("sequence", 0), "sequence"),
        (put("id", "alpha.bravo-000009"), "id is not"),
        (put("stream", "alpha.alpha"), "own source"),
        (put("signers", []), "signers"),
        (put("created", "2026-06-01"), "created is not a time"),
        (put("volumes", []), "volumes"),
        (put("blobs", []), "neither carried nor required"),
        (put("sboms", [{"subject": "sha256:" + "0" * 64, "digest": "sha256:" + "0" * 64}]), "no artifact"),
        (changed(lambda d: d["blobs"].reverse()), "out of order"),
        (changed(lambda d: d["blobs"].append(d["blobs"][-1])), "doubles"),
        (changed(lambda d: d["artifacts"][0].update(repository="../../etc")), "malformed repository"),
        (changed(lambda d: d["artifacts"][0].update(tags=["\x1b[31m"])), "malformed tag"),
        (changed(lambda d: d["volumes"][0].update(size=d["volumes"][0]["size"] + 1)), "not the signed"),
        (changed(lambda d: d["volumes"].pop()), "volume"),
        (changed(lambda d: next(b for b in d["blobs"] if "offset" in b).update(offset=0)), "outside its volume"),
        (changed(lambda d: next(b for b in d["blobs"] if "parts" in b)["parts"].pop()), "parts"),
        (lambda raw: raw.replace(b'"crit":[]', b'"crit":[],"crit":[]'), "duplicate JSON key"),
        (lambda raw: raw + b"\n", "not canonical"),
        (lambda raw: json.dumps(json.loads(raw), indent=2).encode(), "not canonical"),
        (lambda raw: raw.replace(b'"voided":[]', b'"voided":[1.5]'), "not an integer"),
        (lambda raw: b"[" * 100_000, "nested too deep"),
        (lambda raw: b"\xff" + raw, "not JSON"),
    ],
)
def test_a_signed_but_wrong_manifest_is_refused(
    original: SmallBundle, trust: TrustFolder, tmp_path: Path, change: Callable[[bytes], bytes], reason: str
) -> None:
    folder = resigned(original, tmp_path, change(encode(original.manifest)))
    assert reason in refusal(folder, trust)


def test_a_blob_in_the_place_of_another_is_refused_by_volume_and_digest(
    original: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    def swap(document: dict[str, Any]) -> None:
        same = [blob for blob in document["blobs"] if "offset" in blob and blob["size"]]
        first, second = next((a, b) for a in same for b in same if a is not b and a["size"] == b["size"])
        first["offset"], second["offset"] = second["offset"], first["offset"]
        first["volume"], second["volume"] = second["volume"], first["volume"]

    folder = resigned(original, tmp_path, changed(swap)(encode(original.manifest)))
    assert "are not the signed ones" in refusal(folder, trust)


def test_media_of_two_bundles_do_not_make_one(original: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    other = SmallBundle(tmp_path / "other", sequence=2)
    assert "not of one bundle" in refusal([original.folder, other.folder], trust)
