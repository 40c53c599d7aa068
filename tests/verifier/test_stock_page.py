"""The page about stock tools is true: its own commands accept a good bundle, and find a changed one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import py7zr
import pytest

from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.signature_files import files_of
from bundles.verify import verify
from tests.bundles.docker_types import TypedBundle
from tests.bundles.small import LATER, SmallBundle, manifest_of, sign, trust_of
from tests.peer_tools import require
from tests.signing.soft_token import SoftToken
from tests.verifier.conftest import ROOT

PAGE = (ROOT / "docs/howto/check-with-stock-tools.md").read_text()
COMMANDS = dict(re.findall(r"```sh ([a-z0-9-]+)\n(.*?)```", PAGE, re.DOTALL))
KINDS = {
    "ecdsa-p256": "ecdsa-p256",
    "ecdsa-p384": "ecdsa-p384",
    "ed25519": "ed25519",
    "ecdsa-p384+ml-dsa-87": "ecdsa-p384",
}


def shell(section: str, folder: Path, work: Path, keyid: str = "") -> int:
    environment = os.environ | {"KEYS": str(work / "keys"), "KEYID": keyid, "WORK": str(work)}
    command = ["sh", "-e", "-c", COMMANDS[section]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


def signed_by(bundle: SmallBundle, key: PrivateKey | SoftToken, work: Path) -> str:
    """The bundle signed by one key of another kind, whose public half lies in KEYS."""
    keyid = key.public.keyid
    signed = sign(manifest_of(bundle.content, bundle.laid_out, [keyid]), [])
    for old in bundle.folder.glob("SHA256SUMS*"):
        old.unlink()
    files = {"manifest.json": signed.manifest_bytes, "README.txt": signed.readme, "SHA256SUMS": signed.sums}
    for name, data in (files | files_of("SHA256SUMS", keyid, key.sign(signed.sums))).items():
        (bundle.folder / name).write_bytes(data)
    (work / "keys").mkdir()
    (work / "keys" / f"{keyid}.pem").write_bytes(key.public.to_pem())
    return keyid


@pytest.mark.parametrize("algorithm", [*KINDS, "sk-ssh-ed25519@openssh.com"])
def test_stock_tools_and_lockgate_agree(tmp_path: Path, algorithm: str) -> None:
    require("openssl", "ssh-keygen", "sha256sum")
    bundle = SmallBundle(tmp_path / "medium")
    key = create_private(algorithm) if algorithm in KINDS else SoftToken(algorithm)
    keyid, section = signed_by(bundle, key, tmp_path), KINDS.get(algorithm, "ssh")
    trust = trust_of(tmp_path / "trust", key)  # type: ignore[arg-type]
    verify([bundle.folder], trust, LATER, no_progress)
    assert shell(section, bundle.folder, tmp_path, keyid) == 0
    assert shell("files", bundle.folder, tmp_path) == 0
    with (bundle.folder / "SHA256SUMS").open("ab") as root:
        root.write(b"0")
    assert shell(section, bundle.folder, tmp_path, keyid) != 0


@pytest.mark.parametrize("name", ["manifest.json", "README.txt", "volumes/0001.7z"])
def test_stock_tools_find_a_changed_file(tmp_path: Path, name: str) -> None:
    bundle = SmallBundle(tmp_path / "medium")
    data = bytearray((bundle.folder / name).read_bytes())
    data[-2] ^= 1
    (bundle.folder / name).write_bytes(data)
    assert shell("files", bundle.folder, tmp_path) != 0


def test_stock_7z_unpacks_what_the_names_promise_and_cat_joins_parts(tmp_path: Path) -> None:
    require("7z", "sha256sum", "sha512sum")
    bundle = TypedBundle(tmp_path)
    assert any(blob.parts for blob in bundle.manifest.blobs)
    assert shell("volumes", bundle.folder, tmp_path) == 0
    for digest, data in bundle.store.blobs.items():
        assert (tmp_path / "out/blobs" / digest.path).read_bytes() == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_that_is_not_its_name_is_found_after_unpacking(tmp_path: Path, algorithm: str) -> None:
    require("7z", "sha256sum", "sha512sum")
    bundle = TypedBundle(tmp_path)
    volume = next(blob for blob in bundle.manifest.blobs if blob.digest.startswith(algorithm) and blob.parts is None)
    path = bundle.folder / f"volumes/{volume.volume:04d}.7z"
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(tmp_path / "again")
    name = volume.digest.replace(":", "/")
    (tmp_path / "again/blobs" / name).chmod(0o644)
    (tmp_path / "again/blobs" / name).write_bytes(b"another")
    path.unlink()
    subprocess.run(["7z", "a", path, "blobs", "parts"], cwd=tmp_path / "again", check=False, capture_output=True)
    assert shell("volumes", bundle.folder, tmp_path) != 0


def test_every_command_of_the_page_is_run_here() -> None:
    assert set(COMMANDS) == {*KINDS.values(), "ssh", "files", "volumes"}
