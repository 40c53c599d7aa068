"""Where a bucket is, what lies in it under which key, and what a server's answer means: without a server."""

from __future__ import annotations

import pytest

from appliance.store.s3 import keys
from appliance.store.s3.faults import S3LostError, fault
from appliance.store.s3.keys import Note
from appliance.store.s3.place import S3Credentials, place
from bundles.errors import MalformedError, NoSpaceError, UsageError
from bundles.oci.digest import Digest

DIGESTS = [Digest.of(b"abc"), Digest.of(b"abc", "sha512")]
HERE = place("s3://images/stations/alpha/", "https://s3.example.test:9000/", "eu-1")


def test_a_place_is_a_bucket_a_prefix_and_a_server() -> None:
    assert (HERE.bucket, HERE.prefix, HERE.endpoint) == ("images", "stations/alpha", "https://s3.example.test:9000")
    assert (HERE.url, HERE.is_plain) == ("s3://images/stations/alpha", False)
    whole = place("s3://images", "http://[::1]:9000", "us-east-1")
    assert (whole.prefix, whole.endpoint, whole.is_plain) == ("", "http://[::1]:9000", True)


@pytest.mark.parametrize(
    ("url", "endpoint", "region"),
    [
        ("https://images", HERE.endpoint, "eu-1"), ("s3://", HERE.endpoint, "eu-1"),
        ("s3://Images", HERE.endpoint, "eu-1"), ("s3://a..b", HERE.endpoint, "eu-1"),
        ("s3://images/../x", HERE.endpoint, "eu-1"), ("s3://images//x", HERE.endpoint, "eu-1"),
        ("s3://images/" + "/".join("a" * 9), HERE.endpoint, "eu-1"), ("s3://images/\x1b[2J", HERE.endpoint, "eu-1"),
        ("s3://images", "s3.example.test", "eu-1"), ("s3://images", "https://", "eu-1"),
        ("s3://images", "https://h:x", "eu-1"), ("s3://images", "https://h/path", "eu-1"),
        ("s3://images", "https://h?q", "eu-1"), ("s3://images", "https://key:secret@h", "eu-1"),
        ("s3://images", "http://s3.example.test", "eu-1"), ("s3://images", "http://localhost.example", "eu-1"),
        ("s3://images", HERE.endpoint, ""), ("s3://images", HERE.endpoint, "EU 1"),
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused_with_what_to_write(url: str, endpoint: str, region: str) -> None:
    with pytest.raises(UsageError) as refused:
        place(url, endpoint, region)
    assert refused.value.remedy
    assert "secret" not in refused.value.diagnostics()
    assert refused.value.diagnostics().isprintable()


def test_the_secret_of_a_key_is_in_no_text_of_it() -> None:
    assert "s3cret" not in repr(S3Credentials("id", "s3cret", "s3cret-token"))


@pytest.mark.parametrize("digest", DIGESTS, ids=["sha256", "sha512"])
def test_a_key_leads_back_to_its_digest_and_out_of_a_grave_to_its_key(digest: Digest) -> None:
    for key in (keys.blob_key(digest), keys.note_key(digest)):
        assert keys.digest_of(key) == digest
        buried = keys.grave_key("2026-11-30T220400Z", key)
        assert (keys.buried_as(buried), keys.digest_of(buried)) == (("2026-11-30T220400Z", key), None)


@pytest.mark.parametrize(
    "key",
    [
        "", "blobs", "blobs/sha256/", "blobs/sha256/../x", "blobs/md5/" + "0" * 32, "other/sha256/" + "0" * 64,
        "blobs/sha256/" + "A" * 64, "blobs/sha256/" + "0" * 64 + "/x", "parts/sha256-" + "0" * 64,
        "graveyard/2026-11-30T220400Z/notes", "graveyard/../blobs-sha256-" + "0" * 64,
    ],
)  # fmt: skip
def test_a_key_that_is_none_of_the_layout_is_no_blob(key: str) -> None:
    assert (keys.digest_of(key), keys.buried_as(key)) == (None, None)


def test_a_note_names_bytes_of_its_own_blob_alone() -> None:
    note = Note.make(6 * 2**30)
    assert Note.read(note.write()) == note
    assert note.key(DIGESTS[0]).startswith(f"parts/sha256-{DIGESTS[0].hex}-")
    assert [keys.parts_of(note.key(digest)) for digest in DIGESTS] == [(digest, note.name) for digest in DIGESTS]
    assert keys.parts_of(note.key(DIGESTS[0]) + "0") is keys.parts_of("parts/strange") is None
    for raw in (b"", note.write() + b"x", note.write()[:-1], note.write().replace(b"6442450944", b"06")):
        with pytest.raises(MalformedError):
            Note.read(raw)


def test_a_mark_names_one_store() -> None:
    assert keys.read_mark(keys.write_mark("a" * 32)) == "a" * 32
    assert keys.read_mark(keys.write_mark("a" * 32) + b"x") == keys.read_mark(b"\xff") == ""


def answered(status: int, code: str) -> str:
    return f"Generic S3 error: … non-2xx status code: {status} x: <Error><Code>{code}</Code><Message>\x1b[2J</Message>"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (answered(404, "NoSuchBucket"), "s3-no-bucket"), (answered(403, "SignatureDoesNotMatch"), "s3-credentials"),
        (answered(403, "RequestTimeTooSkewed"), "s3-clock"), (answered(403, "AccessDenied"), "s3-denied"),
        (answered(400, "AuthorizationHeaderMalformed"), "s3-region"), (answered(400, "EntityTooLarge"), "s3-too-large"),
        (answered(507, "Other"), "s3-full"), (answered(503, "SlowDown"), "s3-busy"), (answered(429, ""), "s3-busy"),
        (answered(501, "NotImplemented"), "s3-not-known"), (answered(400, "\x1b"), "s3-failed"),
        ("kind: Connect … error: InvalidCertificate(\n UnknownIssuer", "s3-tls"), ("kind: Timeout", "s3-slow"),
        ("kind: Connect", "s3-unreachable"), ("x" * 10_000_000, "s3-unreachable"), ("", "s3-unreachable"),
    ],
    ids=lambda value: str(value)[-24:],
)  # fmt: skip
def test_an_answer_becomes_one_line_with_a_remedy_and_none_of_the_servers_words(text: str, code: str) -> None:
    error = fault(text, HERE, "reading blobs/x")
    assert (error.code, error.diagnostics().isprintable(), bool(error.remedy)) == (code, True, True)
    assert len(error.diagnostics()) < 400
    assert isinstance(error, NoSpaceError) is (code == "s3-full")
    assert isinstance(error, S3LostError) is (code in {"s3-busy", "s3-tls", "s3-slow", "s3-unreachable"})
