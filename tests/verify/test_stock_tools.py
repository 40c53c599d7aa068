"""Each medium can be checked with stock openssl and sha256sum alone, exactly as its README.txt says."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peer_tools import require
from tests.vectors.known import HERE, KEYS, MEDIA, ONE


def commands(folder: Path, tmp_path: Path) -> list[list[str]]:
    """README.txt's commands, with each signer's own public key in the place of pub.pem or KEYID.pem."""
    lines = (folder / "README.txt").read_text().splitlines()
    found = [shlex.split(line) for line in lines if line.startswith("    ") and "SHA256SUMS" in line]
    for words in found:
        for key in KEYS.values():
            if f"SHA256SUMS.{key.public.keyid}.sig" in words:
                pem = tmp_path / f"{key.public.keyid}.pem"
                pem.write_bytes(key.public.to_pem())
                words[:] = [str(pem) if word in {"pub.pem", pem.name} else word for word in words]
    return found


@pytest.mark.parametrize(("name", "signers"), [(ONE, 1), (MEDIA[0], 2), (MEDIA[1], 2)])
def test_readme_txt_proves_a_medium_alone(tmp_path: Path, name: str, signers: int) -> None:
    require("openssl", "sha256sum")
    listed = commands(HERE / "bundles" / name, tmp_path)
    assert len(listed) == signers + 1
    for command in listed:
        subprocess.run(command, cwd=HERE / "bundles" / name, check=True, capture_output=True)


@pytest.mark.parametrize("file", ["SHA256SUMS", "manifest.json", "README.txt", "volumes/0001.7z"])
def test_readme_txt_finds_a_changed_file(tmp_path: Path, file: str) -> None:
    require("openssl", "sha256sum")
    folder = shutil.copytree(HERE / "bundles" / ONE, tmp_path / "copy")
    listed = commands(folder, tmp_path)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    assert any(subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode for command in listed)
