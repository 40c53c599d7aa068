"""A co-signature by a certificate, as it is typed: made here, made by openssl, believed by a root, refused by name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bundles.format.manifest_codec import decode
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.pinning import trust_key
from tests.bundles.small import SmallBundle, manifest_of, sign, trust_of
from tests.cli.conftest import Run
from tests.cli.test_bundle_offline import YEARS
from tests.image_signatures.signer import Authority, certify
from tests.peer_tools import require

ROOT = certify("Root", ca=True)
ANNA = certify("Anna Berg", certify("Middle", ROOT, ca=True))


def keyid_of(signer: Authority) -> str:
    return PublicKey.of(signer.key.public_key()).keyid


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("original"), **YEARS)


@pytest.fixture
def folder(original: SmallBundle, tmp_path: Path) -> Path:
    """A bundle that names a second signer, Anna's certified key."""
    made = Path(shutil.copytree(original.folder, tmp_path / original.folder.name))
    signers = sorted([original.key.public.keyid, keyid_of(ANNA)])
    signed = sign(manifest_of(original.content, original.laid_out, signers, **YEARS), [original.key])
    for name, data in {
        "manifest.json": signed.manifest_bytes, "README.txt": signed.readme, "SHA256SUMS": signed.sums,
        **signed.signatures,
    }.items():  # fmt: skip
        (made / name).write_bytes(data)
    return made


@pytest.fixture
def trust(original: SmallBundle, tmp_path: Path) -> Path:
    """Believes the bundle's own key, and the root."""
    trust_of(tmp_path / "trust", original.key)
    trust_key(tmp_path / "trust", ROOT.pinned, purpose="bundle", owner="PKI", sites=["alpha"])
    return tmp_path / "trust"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "anna.pem").write_bytes(ANNA.key.private_bytes(*form))
    (tmp_path / "anna.pem").chmod(0o600)
    (tmp_path / "chain.pem").write_bytes(b"".join(one.pem for one in ANNA.chain[:2]))
    (tmp_path / "anna.crt").write_bytes(ANNA.pem)
    (tmp_path / "middle.crt").write_bytes(ANNA.chain[1].pem)
    (tmp_path / "root.crt").write_bytes(ROOT.pem)
    return tmp_path


def test_a_certified_co_signature_is_made_and_believed(run: Run, folder: Path, trust: Path, files: Path) -> None:
    assert run("bundle", "verify", folder, "--trust", trust).status == 3
    words = ("--key", files / "anna.pem", "--certificates", files / "chain.pem")
    document = run("bundle", "sign", folder, *words, "--json").document
    assert (document["files"], document["missing_signers"]) == ([f"SHA256SUMS.{keyid_of(ANNA)}.cms"], [])
    document = run("bundle", "verify", folder, "--trust", trust, "--json").document
    assert {one["owner"] for one in document["signers"]} == {"Engineering", "Anna Berg"}


def test_openssls_file_is_taken_onto_the_medium(run: Run, folder: Path, trust: Path, files: Path) -> None:
    require("openssl")

    def signed(content: Path) -> Path:
        out = files / f"{content.name}.cms"
        subprocess.run(
            ["openssl", "cms", "-sign", "-binary", "-in", content, "-signer", "anna.crt", "-inkey", "anna.pem",
             "-certfile", "middle.crt", "-outform", "PEM", "-out", out], cwd=files, check=True,
        )  # fmt: skip
        return out

    other = run("bundle", "sign", folder, "--signature", signed(folder / "README.txt"))
    assert (other.status, "over other bytes" in other.err) == (3, True)
    assert not list(folder.glob("*.cms"))
    assert run("bundle", "sign", folder, "--signature", signed(folder / "SHA256SUMS")).status == 0
    assert run("bundle", "verify", folder, "--trust", trust).status == 0
    name = f"SHA256SUMS.{keyid_of(ANNA)}.cms"
    checked = ["openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", name, "-content", "SHA256SUMS",
               "-CAfile", files / "root.crt", "-purpose", "any", "-out", "/dev/null"]  # fmt: skip
    assert subprocess.run(checked, cwd=folder, check=False, capture_output=True).returncode == 0


@pytest.fixture
def signed(run: Run, folder: Path, files: Path) -> Path:
    words = ("--key", files / "anna.pem", "--certificates", files / "chain.pem")
    assert run("bundle", "sign", folder, *words).status == 0
    return folder / f"SHA256SUMS.{keyid_of(ANNA)}.cms"


def test_readme_txt_checks_the_co_signature_with_stock_tools(original: SmallBundle, signed: Path, files: Path) -> None:
    require("openssl")
    lines = [line.strip() for line in (signed.parent / "README.txt").read_text().splitlines()]
    [line] = [line for line in lines if signed.name in line]
    shutil.copy(files / "root.crt", signed.parent)
    for changed, status in ((False, True), (True, False)):
        if changed:
            (signed.parent / "SHA256SUMS").write_bytes(b"0" * 64 + b"  README.txt\n")
        ended = subprocess.run(["bash", "-euc", line], cwd=signed.parent, check=False, capture_output=True)
        assert (ended.returncode == 0) is status


def refused(run: Run, folder: Path, trust: Path, why: str) -> None:
    ended = run("bundle", "verify", folder, "--trust", trust)
    assert (ended.status, why in ended.err) == (3, True), ended.err


def test_a_root_counts_for_bundles_of_its_own_sites_until_it_is_revoked(
    run: Run, folder: Path, signed: Path, original: SmallBundle, tmp_path: Path
) -> None:
    cases = (
        ({}, "leads to no root"),
        ({"purpose": "image"}, "not for bundle"),
        ({"purpose": "bundle", "sites": ["gamma"]}, "not for alpha"),
        ({"purpose": "bundle", "sites": ["alpha"], "not_after": "2026-01-01T00:00:00Z"}, "not valid after"),
    )
    for number, (words, why) in enumerate(cases):
        trust_of(tmp_path / f"t{number}", original.key)
        if words:
            trust_key(tmp_path / f"t{number}", ROOT.pinned, owner="PKI", **words)  # type: ignore[arg-type]
        refused(run, folder, tmp_path / f"t{number}", why)


def test_one_persons_key_is_revoked_beside_the_root(
    run: Run, folder: Path, signed: Path, trust: Path, files: Path, station: Path
) -> None:
    shutil.rmtree(station / "trust")
    shutil.copytree(trust, station / "trust")
    public = files / "anna.pub.pem"
    public.write_bytes(PublicKey.of(ANNA.key.public_key()).to_pem())
    words = ("--purpose", "bundle", "--owner", "Anna Berg", "--from", "alpha", "-C", station)
    assert run("key", "trust", public, *words).status == 0
    assert run("key", "revoke", keyid_of(ANNA), "--why", "the card is lost", "-C", station).status == 0
    refused(run, folder, station / "trust", "was revoked")


def test_a_signature_under_another_keys_name_and_a_second_kind_are_refused(
    run: Run, folder: Path, signed: Path, trust: Path, original: SmallBundle
) -> None:
    raw = signed.read_bytes()
    signed.rename(folder / f"SHA256SUMS.{'0' * 16}.cms")
    refused(run, folder, trust, "another key's name")
    (folder / f"SHA256SUMS.{'0' * 16}.cms").unlink()
    own = folder / f"SHA256SUMS.{original.key.public.keyid}.cms"
    own.write_bytes(raw)
    refused(run, folder, trust, "not of the key's kind")
    own.unlink()
    signed.write_bytes(raw)
    (folder / f"SHA256SUMS.{keyid_of(ANNA)}.sig").write_bytes(b"x")
    refused(run, folder, trust, "the signer is unknown")


def test_as_many_people_are_counted_by_their_common_names(
    run: Run, folder: Path, signed: Path, original: SmallBundle, tmp_path: Path, station: Path
) -> None:
    """The builder's key is of the same Anna Berg: with her certificate she is still one."""
    shutil.rmtree(station / "trust")
    trust_of(station / "trust", original.key)
    trust_key(station / "trust", ROOT.pinned, purpose="bundle", owner="PKI", sites=["alpha"])
    assert run("key", "policy", "--purpose", "bundle", "--signers", "2", "-C", station).status == 0
    assert run("bundle", "verify", folder, "-C", station).status == 0
    keyid, why = original.key.public.keyid, "it is hers"
    assert run("key", "change", keyid, "--owner", "anna  berg", "--why", why, "-C", station).status == 0
    refused(run, folder, station / "trust", "1 of 2 distinct owners")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one key signs"),
        (("--key", "{anna}", "--signature", "{chain}"), "one key signs"),
        (("--signature", "{chain}", "--certificates", "{chain}"), "one key signs"),
        (("--key", "{anna}", "--certificates", "{anna}"), "not a chain of certificates"),
        (("--key", "{other}", "--certificates", "{chain}"), "another key's"),
        (("--signature", "{nowhere}"), "no such file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    run: Run, folder: Path, files: Path, words: tuple[str, ...], said: str
) -> None:
    other = PrivateKey(certify("x").key)  # type: ignore[arg-type]
    (files / "other.pem").write_bytes(other.to_pem(None))
    (files / "other.pem").chmod(0o600)
    named = {"anna": files / "anna.pem", "chain": files / "chain.pem", "other": files / "other.pem",
             "nowhere": files / "nowhere"}  # fmt: skip
    ended = run("bundle", "sign", folder, *(word.format(**named) for word in words))
    assert (ended.status, said in ended.err) == (2, True), ended.err
    assert not list(folder.glob("*.cms"))
    assert decode((folder / "manifest.json").read_bytes())
