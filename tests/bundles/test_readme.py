"""README.txt alone is enough: its commands, typed as they stand, check and unpack a bundle."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from bundles import readme
from bundles.manifest import Required
from tests.bundles.small import SmallBundle
from tests.peer_tools import require

OTHER = "f" * 16


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"), media=2)


def commands(bundle: SmallBundle) -> list[str]:
    """The lines to type: indented by four, without the list of media."""
    lines = (bundle.folder / "README.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and not line.startswith("    medium")]


def shell(command: str, folder: Path) -> None:
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)


def test_the_checking_commands_pass_on_each_medium_alone(bundle: SmallBundle, tmp_path: Path) -> None:
    require("openssl", "sha256sum")
    for number, folder in enumerate(bundle.folders):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        (copy / "pub.pem").write_bytes(bundle.key.public.to_pem())
        verify, compare = commands(bundle)[:2]
        assert verify.startswith("openssl dgst -sha256 -verify pub.pem -signature SHA256SUMS.")
        assert compare == "sha256sum -c --strict --ignore-missing SHA256SUMS"
        shell(f"{verify} && {compare}", copy)


def test_the_checking_commands_fail_on_one_changed_bit(bundle: SmallBundle, tmp_path: Path) -> None:
    require("sha256sum")
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    data = bytearray((copy / "volumes/0001.7z").read_bytes())
    data[1000] ^= 1
    (copy / "volumes/0001.7z").write_bytes(data)
    with pytest.raises(subprocess.CalledProcessError):
        shell(commands(bundle)[1], copy)


def test_the_unpacking_commands_give_every_blob(bundle: SmallBundle, tmp_path: Path) -> None:
    require("7z", "sha256sum")
    for folder in bundle.folders:
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    unpack, join, check = commands(bundle)[2:5]
    for command in (unpack, join, check):
        shell(command, tmp_path)
    for digest, data in bundle.store.blobs.items():
        assert (tmp_path / "OUT/blobs" / digest.path).read_bytes() == data


def test_it_says_which_volumes_each_medium_carries(bundle: SmallBundle) -> None:
    text = bundle.signed.readme.decode()
    for number, folder in enumerate(bundle.folders, 1):
        names = sorted(path.name for path in (folder / "volumes").iterdir())
        line = re.search(rf"medium {number}: (.*)", text)
        assert line is not None
        assert names[0] in line[1]
        assert names[-1] in line[1]


def test_it_is_signed_and_the_same_on_every_medium(bundle: SmallBundle) -> None:
    digest = hashlib.sha256(bundle.signed.readme).hexdigest()
    assert f"{digest}  README.txt\n".encode() in bundle.signed.sums
    assert {(folder / "README.txt").read_bytes() for folder in bundle.folders} == {bundle.signed.readme}


def test_of_several_signers_each_has_a_key_file_of_its_own(bundle: SmallBundle) -> None:
    keyid = bundle.key.public.keyid
    manifest = msgspec.structs.replace(bundle.manifest, signers=sorted([keyid, OTHER]))
    text = readme.render(manifest, {keyid: "ecdsa-p256", OTHER: "ecdsa-p384"}).decode()
    assert f"openssl dgst -sha256 -verify {keyid}.pem -signature SHA256SUMS.{keyid}.sig SHA256SUMS" in text
    assert f"openssl dgst -sha384 -verify {OTHER}.pem -signature SHA256SUMS.{OTHER}.sig SHA256SUMS" in text


def test_a_delta_says_that_alone_it_is_not_complete(bundle: SmallBundle) -> None:
    manifest = msgspec.structs.replace(bundle.manifest, requires=[Required(digest="sha256:" + "0" * 64, size=1)])
    assert "Alone it is not complete" in readme.render(manifest, {}).decode()
    assert "Alone it is not complete" not in bundle.signed.readme.decode()


def test_a_bundle_without_parts_does_not_speak_of_them(bundle: SmallBundle) -> None:
    blobs = [blob for blob in bundle.manifest.blobs if not blob.parts]
    assert "parts" not in readme.render(msgspec.structs.replace(bundle.manifest, blobs=blobs), {}).decode()
