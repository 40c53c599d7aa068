"""The reference verifier of Sigstore in JavaScript reads what is signed here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bundles.image_signatures.making import Form, attest, sign_image
from bundles.image_signatures.verdict import SIGN_PREDICATE
from bundles.signing.keys import create_private
from tests.image_signatures.signer import INDEX, PROVENANCE
from tests.peer_tools import find_npm_peers, require

pytestmark = pytest.mark.peer
SCRIPT = Path(__file__).with_name("sigstore_verify.js")


def test_bundles_that_are_made_here_are_verified_by_their_key_alone(tmp_path: Path) -> None:
    require("node")
    environment = {**os.environ, "NODE_PATH": str(find_npm_peers("@sigstore/verify", "@sigstore/bundle"))}
    key, other = create_private(), create_private()
    pem, wrong, file = (tmp_path / name for name in ("key.pem", "other.pem", "bundle.json"))
    pem.write_bytes(key.public.to_pem())
    wrong.write_bytes(other.public.to_pem())

    def verified(by: Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["node", SCRIPT, file, by], capture_output=True, env=environment, check=False)

    for made, predicate in (
        (sign_image(Form.SIGSTORE, INDEX, key), SIGN_PREDICATE),
        (attest(Form.SIGSTORE, INDEX, key, PROVENANCE, b'{"score": 1.50}'), PROVENANCE),
    ):
        file.write_bytes(made.document)
        ended = verified(pem)
        assert ended.returncode == 0, ended.stderr
        said = json.loads(ended.stdout)
        assert (said["predicateType"], said["subject"][0]["digest"]) == (predicate, {"sha256": INDEX.hex})
    assert verified(wrong).returncode != 0
