"""A digest is sha256 or sha512 in lower-case hex, or it is refused."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import MalformedError
from bundles.oci.digest import Digest


@given(st.binary(max_size=1000), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_reads_back_as_itself(body: bytes, algorithm: str) -> None:
    digest = Digest.of(body, algorithm)
    assert digest.hex == hashlib.new(algorithm, body).hexdigest()
    assert Digest.parse(str(digest)) == digest
    assert digest.path == f"{algorithm}/{digest.hex}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:baddigeststring",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "a" * 64 + "\n",
        "sha512:" + "a" * 64,
        "SHA256:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha384:" + "a" * 96,
        "sha256:" + "../" * 21 + "a",
        " sha256:" + "a" * 64,
        "sha256:sha256:" + "a" * 57,
        "sha256:" + "\u0661" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="digest"):
        Digest.parse(text)


@given(st.text(max_size=200))
def test_arbitrary_text_gives_a_digest_or_one_clear_error(text: str) -> None:
    with contextlib.suppress(MalformedError):
        assert str(Digest.parse(text)) == text
