"""Private keys and tokens: what is one, where it may straddle, and how much work hostile bytes make."""

from __future__ import annotations

import json
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from appliance.content_rules.secret_forms import _BATCH, PRIVATE_KEYS, TOKENS, WINDOW, Form, Search
from tests.content_rules.looking import KEY_PEM, entry, found, look, tar

NONE, UNDER = NoEncryption(), BestAvailableEncryption(b"x")
RSA, EC, ED = (
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
)
PEM, DER = Encoding.PEM, Encoding.DER
KEYS = {
    "pkcs8": RSA.private_bytes(PEM, PrivateFormat.PKCS8, NONE),
    "pkcs8 encrypted": EC.private_bytes(PEM, PrivateFormat.PKCS8, UNDER),
    "pkcs1": RSA.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, NONE),
    "pkcs1 encrypted": RSA.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, UNDER),
    "sec1": EC.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, NONE),
    "openssh": ED.private_bytes(PEM, PrivateFormat.OpenSSH, NONE),
    "json": json.dumps({"private_key": ED.private_bytes(PEM, PrivateFormat.PKCS8, NONE).decode()}).encode(),
    "crlf": KEY_PEM.replace(b"\n", b"\r\n"),
    "yaml": b"key: |\n  " + KEY_PEM.replace(b"\n", b"\n  "),
    "der pkcs8 rsa": RSA.private_bytes(DER, PrivateFormat.PKCS8, NONE),
    "der pkcs8 ec": EC.private_bytes(DER, PrivateFormat.PKCS8, NONE),
    "der pkcs8 ed25519": ED.private_bytes(DER, PrivateFormat.PKCS8, NONE),
    "der pkcs1": RSA.private_bytes(DER, PrivateFormat.TraditionalOpenSSL, NONE),
    "der sec1": EC.private_bytes(DER, PrivateFormat.TraditionalOpenSSL, NONE),
    "pkcs12": pkcs12.serialize_key_and_certificates(b"n", EC, None, None, UNDER),
    "putty": b"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nComment: x\r\n",
    "age": b"# created\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n",
    "java": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1\0\1a",
}  # fmt: skip
NOT_KEYS = {
    "marker alone": b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
    "in a program": b"\0-----BEGIN PRIVATE KEY-----\0-----END %s-----\0" + b"A" * 64,
    "placeholder": b"-----BEGIN PRIVATE KEY-----\n" + b"x" * 64 + b"\n-----END PRIVATE KEY-----\n",
    "public": RSA.public_key().public_bytes(PEM, PublicFormat.PKCS1),
    "age checksum": b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEQ\n",
    "java certificates": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\2\0\1a",
    "der": b"\x30\x82\x01\x00\x02\x01\x05" + bytes(90),
}  # fmt: skip
BODY = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3rS5tU7vW9xY1zA3bC5dE7fG9hI1j"
TOKEN_TEXTS = [
    f"AWS_ACCESS_KEY_ID=AKIAQYLPMN5HFIQR7XYA\nAWS_SECRET_ACCESS_KEY={BODY[:40]}\n",
    "ghs_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", f"github_pat_{BODY[:22]}_{BODY[:59]}", f"glpat-{BODY[:20]}",
    f"xoxb-123456789012-{BODY[:24]}", f"npm_{BODY[:36]}", f"pypi-AgEIcHlwaS5vcmc{BODY}", f"AIza{BODY[:35]}",
    f"AccountKey={BODY[:86]}==", f"sk_live_{BODY[:24]}", f"rk_live_{BODY[:24]}", f"SG.{BODY[:22]}.{BODY[:43]}",
    f"dckr_pat_{BODY[:27]}", f"hvs.{BODY[:90]}", f"dop_v1_{'0a' * 32}", f"hf_{'aB' * 17}",
    '{"auths":{"r.example":{"auth":"bmFtZTpwYXNzd29yZA=="}}}',
]  # fmt: skip
NO_TOKENS = [
    "AKIAIOSFODNN7EXAMPLE " + BODY[:40], "AKIAQYLPMN5HFIQR7XYA", "AKIAQYLPMN5HFIQR7XYA " + "0a" * 20,
    "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", f"xghp_{BODY[:36]}", f"glpat-{BODY[:10]}", f"npm_{BODY[:35]}",
    f"sk_test_{BODY[:24]}", f"SG.{BODY[:21]}.{BODY[:43]}", f"AIza{BODY[:36]}", "hf_model_files", '"auth": "basic"',
]  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_a_private_key_is_found(name: str) -> None:
    assert found("private-key", tar(entry("k", KEYS[name]), entry("o", b"text\n"))) == ["k"]


@pytest.mark.parametrize("name", NOT_KEYS)
def test_what_is_no_private_key_is_not(name: str) -> None:
    assert found("private-key", tar(entry("k", NOT_KEYS[name]))) == []


def test_every_form_of_tokens_has_a_text() -> None:
    for form in TOKENS:
        assert any(form.anchor in text.encode() for text in TOKEN_TEXTS) or form.anchor in (
            b"ASIA", b"ghp_", b"gho_", b"ghu_", b"ghr_",
        )  # fmt: skip


@pytest.mark.parametrize("text", TOKEN_TEXTS)
def test_a_token_is_found_wherever_it_straddles(text: str) -> None:
    token = text.encode()
    for lead in (0, 1, 255, WINDOW - 3, _BATCH - 1, _BATCH + WINDOW - 5, 3 * _BATCH + 1):
        search, data = Search(TOKENS), b"\n" * lead + token + b"\n"
        seen = [one for at in range(0, len(data), 700) for one in search.feed(data[at : at + 700])] + search.end()
        assert len(seen) == 1, lead


@pytest.mark.parametrize("text", NO_TOKENS)
def test_what_only_looks_like_a_token_is_not(text: str) -> None:
    assert found("secret", text.encode()) == []


def test_a_secret_reaches_nothing_but_its_fingerprint() -> None:
    token = b"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"
    seen, _ = look(tar(entry("a", token), entry("b", b"x=" + token), entry("k", KEY_PEM)))
    one, two = seen.rules["secret"].found.listed
    assert one["fingerprint"] == two["fingerprint"]
    assert len(one["fingerprint"]) == 12
    said = repr(seen)
    assert "zQWBuTSO" not in said
    assert "MC4CAQAw" not in said


@pytest.mark.parametrize("forms", [PRIVATE_KEYS, TOKENS])
def test_the_work_grows_as_the_bytes_do(forms: tuple[Form, ...]) -> None:
    """Anchors without end: so many checks, each of one window, and no byte is held for longer than that."""
    hostile = b"".join(form.anchor for form in forms) * 200

    def checks(times: int) -> int:
        count = 0

        def counted(form: Form) -> Form:
            def check(window: bytes) -> bytes:
                nonlocal count
                count += 1
                assert len(window) <= WINDOW
                return form.check(window)

            return form._replace(check=check)

        search = Search(tuple(map(counted, forms)))
        for _ in range(times):
            search.feed(hostile)
            assert len(search._held) <= WINDOW + _BATCH
        search.end()
        return count

    assert checks(4) - checks(2) == 2 * (checks(2) - checks(1))


def test_random_bytes_hold_none() -> None:
    assert found("private-key", random.Random(1).randbytes(300_000)) == []
