"""`lockgate sign` at a station that serves: the client signs, the station verifies, records and shows."""

from __future__ import annotations

import datetime
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.access.policy_snippets import SIGNED_HERE, Signer, containers, rules_with
from appliance.audit.acts import Act
from appliance.audit.reading import tail
from appliance.settings.image_policy import ImageRule
from bundles.image_signatures.predicates import VERIFICATION_SUMMARY
from bundles.image_signatures.verdict import SIGN_PREDICATE
from bundles.signing.keys import create_private, save_private
from tests.cli.conftest import Ended, Run
from tests.image_signatures.signer import DATA, INDEX, PROVENANCE, Layout, certify
from tests.peer_tools import find_go_peer, require
from tests.softhsm import PIN, inserted
from tests.stage import Station

CHILDREN = [str(child.digest) for child in Layout("legacy").manifests[INDEX].manifests]
AT = f"team/app@{INDEX}"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """An outside station with an index that cosign signed by a key that nobody pinned."""
    root = tmp_path_factory.mktemp("signing")
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(root)
    with Station(root / "alpha", "alpha", "outside") as station:
        station.run("collect", f"oci:{root / 'legacy'}", "--as", "team/app:1")
        yield station


def test_a_signature_is_made_shown_verified_and_recorded(alpha: Station, tmp_path: Path, run: Run) -> None:
    def at(*words: str | Path, passphrase: str | None = None) -> Ended:
        return run(*words, "-C", alpha.folder, passphrase=passphrase)

    assert at("key", "create", "build", passphrase="open sesame").status == 0

    first = at("sign", "team/app:1", "--key", "build", passphrase="open sesame")
    assert (first.status, first.out.splitlines()[-1]) == (0, str(INDEX))
    public = alpha.folder / "keys" / "build.pub.pem"
    assert f"lockgate key trust {public} --purpose image --owner WHO" in first.err
    assert at("signature", "list", "team/app:1").status == 3
    at("key", "trust", public, "--purpose", "image", "--owner", "Build team")
    again = at("sign", "team/app:1", "--key", "build", "--json", passphrase="open sesame")
    assert ([one["is_new"] for one in again.document["signatures"]], again.err) == ([False], "")

    sealed = tmp_path / "cosign.key"
    at("key", "export", "build", "--private", "cosign", "--out", sealed, passphrase="open sesame")
    below = at("sign", AT, "--key", sealed, "--format", "cosign", "--recursive", "--annotation", "team=alpha",
               "--json", passphrase="open sesame")  # fmt: skip
    assert below.status == 0, below.err
    assert [(one["subject"], one["tag"], one["is_new"]) for one in below.document["signatures"]] == [
        (digest, f"{digest.replace(':', '-')}.sig", True) for digest in (str(INDEX), *CHILDREN)
    ]
    predicate = tmp_path / "predicate.json"
    predicate.write_text('{"a": 1}')
    said = ["--predicate", predicate, "--type", PROVENANCE, "--key", "build", "--json"]
    for form in ("sigstore", "cosign"):
        (told,) = at("attest", "team/app:1", *said, "--format", form, passphrase="open sesame").document["signatures"]
        assert (told["claim"], told["predicate_type"], told["is_new"]) == ("attestation", PROVENANCE, True)
    second = at("key", "create", "other", "--no-passphrase", "--json").document["keyid"]
    assert at("sign", "team/app:1", "--key", "other", "--format", "cosign").status == 0

    listed = at("signature", "list", "team/app:1", "--json")
    index, *children = listed.document["images"]
    assert (listed.status, [one["state"] for one in children]) == (0, ["signed"] * len(CHILDREN))
    told = [(one["format"], one["verified"], one["annotations"]) for one in index["signatures"]]
    assert told == [
        ("cosign", False, {}), ("cosign", True, {"team": "alpha"}), ("cosign", False, {}), ("dsse", False, {}),
        ("dsse", True, {}), ("sigstore-bundle", True, {}), ("sigstore-bundle", True, {}),
    ]  # fmt: skip
    at("key", "trust", alpha.folder / "keys" / "other.pub.pem", "--purpose", "image", "--owner", "Other")
    assert at("signature", "list", "team/app:1", "--json").document["images"][0]["signed_by"] == ["Build team", "Other"]
    at("key", "revoke", second, "--why", "lost")
    revoked = at("sign", "team/app:1", "--key", "other")
    assert (revoked.status, "lockgate key create" in revoked.err, "lost" in revoked.err) == (0, True, True)

    events = [one for one in tail(alpha.folder / "audit", 1000) if one["act"] == Act.SIGNATURE_ATTACH]
    assert len(events) == 1 + 3 + 2 + 1 + 1
    assert {(one["outcome"], one["thing"].partition("@")[0]) for one in events} == {("done", "team/app")}


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p384"])
def test_keys_that_cosign_does_not_verify_by_sign_nothing(
    alpha: Station, tmp_path: Path, run: Run, algorithm: str
) -> None:
    file = tmp_path / "other.pem"
    save_private(file, create_private(algorithm), None)
    refused = run("sign", AT, "--key", file, "-C", alpha.folder)
    assert (refused.status, "ecdsa-p256" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["sign", "team/app:9", "--key", "KEY"], 1),
        (["sign", "team/app", "--key", "KEY"], 2),
        (["sign", AT, "--key", "nobody"], 2),
        (["sign", AT, "--key", "KEY", "--annotation", "a=b"], 2),
        (["sign", AT, "--key", "KEY", "--format", "cosign", "--annotation", "ab"], 2),
        (["sign", AT, "--key", "RSA"], 2),
        (["attest", AT, "--key", "KEY", "--predicate", "JSON", "--type", "spdx"], 2),
        (["attest", AT, "--key", "KEY", "--predicate", "JSON", "--type", SIGN_PREDICATE], 2),
        (["attest", AT, "--key", "KEY", "--predicate", "KEY", "--type", PROVENANCE], 2),
        (["attest", AT, "--key", "KEY", "--predicate", "nothing.json", "--type", PROVENANCE], 2),
        (
            ["attest", AT, "--key", "KEY", "--predicate", "JSON", "--type", f"{VERIFICATION_SUMMARY}v1"],
            3,
        ),
    ],
)
def test_what_cannot_be_signed_is_one_line_and_nothing_else(
    alpha: Station, tmp_path: Path, run: Run, words: list[str], status: int
) -> None:
    require("openssl")
    save_private(tmp_path / "key.pem", create_private(), None)
    weak = tmp_path / "rsa.pem"
    if "RSA" in words:
        subprocess.run(["openssl", "genrsa", "-out", weak, "1024"], check=True, capture_output=True)
    named = {"KEY": tmp_path / "key.pem", "RSA": weak, "JSON": tmp_path / "predicate.json"}
    named["JSON"].write_text('{"verificationResult": "FAILED"}')
    assert run(*(named.get(word, word) for word in words), "-C", alpha.folder).status == status


def test_notation_signs_with_certificates(alpha: Station, tmp_path: Path, run: Run) -> None:
    now = datetime.datetime.now(datetime.UTC)
    start, end = now - datetime.timedelta(days=1), now + datetime.timedelta(days=9)
    root = certify("root", ca=True, start=start, end=end)
    leaf = certify("signer", root, start=start, end=end)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key, chain, alone = (tmp_path / name for name in ("key.pem", "chain.crt", "root.crt"))
    key.write_bytes(leaf.key.private_bytes(*form))
    key.chmod(0o600)
    chain.write_bytes(leaf.pem + root.pem)
    alone.write_bytes(root.pem)
    child = f"team/app@{CHILDREN[0]}"

    def signed(*more: str | Path) -> Ended:
        return run("sign", child, "--key", key, *more, "-C", alpha.folder)

    assert signed("--format", "notation").status == signed("--certificates", chain).status == 2
    words = ("--format", "notation", "--annotation", "team=alpha", "--certificates")
    first = signed(*words, chain, "--json")
    assert (first.status, first.document["objection"], "key trust ROOT.crt" in first.err) == (0, "unknown-key", True)
    run("key", "trust", alone, "--purpose", "image", "--owner", "Example PKI", "-C", alpha.folder)
    assert signed(*words, chain).err == ""
    listed = run("signature", "list", child, "--json", "-C", alpha.folder).document["images"][0]["signatures"]
    told = [one for one in listed if one["format"] == "notation-jws"]
    assert {(one["owner"], one["identity"], one["annotations"]["team"]) for one in told} == {
        ("Example PKI", "CN=signer", "alpha")
    }
    assert signed(*words, alone).status == 2


def test_a_key_on_a_token_signs_and_stays_there(
    alpha: Station, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, run: Run
) -> None:
    with inserted(tmp_path_factory.getbasetemp()) as card:
        card.put("images", ec.generate_private_key(ec.SECP256R1()))
        uri, public = card.uri("images"), tmp_path / "images.pem"

        def by_token(*words: str | Path, pin: str = PIN.decode()) -> Ended:
            return run(*words, "-C", alpha.folder, passphrase=pin)

        assert by_token("key", "export", uri, "--out", public).status == 0
        run("key", "trust", public, "--purpose", "image", "--owner", "Card holder", "-C", alpha.folder)
        ended = by_token("sign", AT, "--key", uri, "--format", "cosign", "--json")
        assert (ended.status, ended.document["owner"], ended.err) == (0, "Card holder", "")
        assert by_token("sign", AT, "--key", uri, pin="0000").status == 2
        assert by_token("key", "export", uri, "--private", "pkcs8", "--out", tmp_path / "x").status == 2
        assert run("sign", AT, "--key", f"{uri}&pin-value=1", "-C", alpha.folder).status == 2


def test_stock_cosign_verifies_what_is_signed_here_by_its_own_key(
    alpha: Station, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = find_go_peer("cosign")
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "COSIGN_PASSWORD": "open sesame", "HOME": str(tmp_path)}
    subprocess.run([cosign, "generate-key-pair"], check=True, capture_output=True, env=environment)
    predicate = tmp_path / "predicate.json"
    predicate.write_text('{ "builder": {"id": "https://example.test/b"}, "score": 1.50 }\n')
    host = alpha.base.removeprefix("http://")
    for name, form in (("peer/sigstore", "sigstore"), ("peer/cosign", "cosign")):
        assert run("repo", "copy", AT, f"{name}:1", "-C", alpha.folder).status == 0
        run("repo", "delete", f"{name}:sha256-*", "-C", alpha.folder)
        more = ["--key", "./cosign.key", "--format", form, "-C", alpha.folder]
        assert run("sign", f"{name}:1", *more, passphrase="open sesame").status == 0
        attested = run("attest", f"{name}:1", "--predicate", predicate, "--type", PROVENANCE, *more,
                       passphrase="open sesame")  # fmt: skip
        assert attested.status == 0, attested.err
        for words in (["verify"], ["verify-attestation", "--type", PROVENANCE]):
            said = [cosign, *words, "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-insecure-registry"]
            said += ["--new-bundle-format=false"] if form == "cosign" else []
            said.append(f"{host}/{name}@{INDEX}")
            ended = subprocess.run(said, capture_output=True, text=True, env=environment, check=False)
            assert ended.returncode == 0, ended.stderr
        more = ["--key", "cosign.key", "--yes", "--tlog-upload=false", "--use-signing-config=false"]
        more += ["--allow-insecure-registry", "--allow-http-registry", f"{host}/{name}@{INDEX}"]
        more += ["--new-bundle-format=false"] if form == "cosign" else []
        subprocess.run([cosign, "sign", *more], check=True, capture_output=True, env=environment)
        run("key", "trust", "cosign.pub", "--purpose", "image", "--owner", "Cosign", "-C", alpha.folder)
        listed = run("signature", "list", f"{name}:1", "--json", "-C", alpha.folder).document["images"][0]
        theirs = [one for one in listed["signatures"] if one["owner"] == "Cosign" and one["claim"] == "signature"]
        assert [one["verified"] for one in theirs] == [True, True]


@pytest.mark.peer
def test_skopeo_reads_the_policy_that_is_printed_for_it(alpha: Station, tmp_path: Path, run: Run) -> None:
    """Debian's skopeo verifies no signature of cosign's and refuses what needs one, as any does that is not there."""
    require("skopeo")
    assert run("repo", "copy", f"team/app@{CHILDREN[0]}", "other/app:1", "-C", alpha.folder).status == 0
    host, stranger = alpha.base.removeprefix("http://"), create_private().public
    signers = [Signer("Build team", stranger.keyid, stranger.to_pem().decode())]
    made = containers(rules_with([ImageRule(repositories=["team/app"])], signers), host, SIGNED_HERE)
    registries, policy = (tmp_path / name for name in ("registries", "policy.json"))
    registries.mkdir()
    for path, text in made.snippet.files.items():
        (policy if path.endswith("policy.json") else registries / "lockgate.yaml").write_text(text)
    command = ["skopeo", "--policy", policy, "--registries.d", registries, "copy", "--src-tls-verify=false"]

    def copied(reference: str) -> subprocess.CompletedProcess[str]:
        words = [*command, f"docker://{host}/{reference}", f"dir:{tmp_path / 'copy'}"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    refused, taken = copied(f"team/app@{CHILDREN[0]}"), copied("other/app:1")
    assert refused.returncode != 0
    assert "Source image rejected" in refused.stderr
    assert taken.returncode == 0, taken.stderr
