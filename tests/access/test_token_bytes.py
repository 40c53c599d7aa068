"""A bearer token's bytes are compared and verified before anything of them is parsed."""

from __future__ import annotations

import base64
import json
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from appliance.access import tokens
from appliance.access.scopes import Scope
from appliance.limits import access as limits
from bundles.errors import RefusedError, UsageError

KID = "1700000000-0011223344556677"
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = MappingProxyType({KID: KEY.public_key()})
CLAIMS = tokens.Claims(
    issuer="a", audience="a", subject="anna", issued=100, expires=200, id="0", generation=1, session="",
    access=(Scope("repository", "team/app", frozenset({"pull"})),),
)  # fmt: skip


def verify(token: str) -> tokens.Claims:
    return tokens.verify(token, KEYS, issuer="a", audience="a", now=150)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(head: str, body: str) -> str:
    """A token with this header and body and the station's own signature over them."""
    r, s = decode_dss_signature(KEY.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{body}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_what_the_station_signed_is_taken() -> None:
    assert verify(tokens.sign(CLAIMS, KID, KEY)) == CLAIMS


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT", "alg": "ES256", "kid": KID},
        {"alg": "none", "kid": KID, "typ": "JWT"},
        {"alg": "ES256", "kid": KID, "typ": "JWT", "crit": []},
        {"alg": "ES256", "kid": f"../{KID}", "typ": "JWT"},
    ],
)
def test_a_header_other_than_the_stations_own_bytes_is_refused_whoever_signed_it(header: dict[str, Any]) -> None:
    body = tokens.sign(CLAIMS, KID, KEY).split(".")[1]
    with pytest.raises(RefusedError):
        verify(signed(encoded(json.dumps(header, separators=(",", ":")).encode()), body))


def test_no_json_is_parsed_of_a_token_that_the_station_did_not_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(tokens, "loads", lambda raw, **_: parsed.append(raw))
    hostile = encoded(b'"' + b'\\"' * 2_000)
    for token in (
        f"{hostile}.{hostile}.{hostile}",
        f"{tokens.header_of(KID)}.{hostile}.{encoded(bytes(64))}",
        f"{tokens.header_of(KID)}.{hostile}.{hostile}",
        f"{hostile}..",
        "...." * 500,
        "\udcff.\udcff.\udcff",
    ):
        with pytest.raises(RefusedError):
            verify(token)
    assert parsed == []


def test_a_token_beyond_8_kib_is_refused_even_if_the_station_signed_it() -> None:
    padding = "x" * 8_000
    body = encoded(json.dumps({"iss": padding}).encode())
    assert limits.TOKEN_LENGTH == 8 * 1024
    with pytest.raises(RefusedError, match="form"):
        verify(signed(tokens.header_of(KID), body))


def test_no_token_is_made_that_nobody_would_take() -> None:
    access = tuple(Scope("repository", f"{'long' * 50}/{number}", frozenset({"pull"})) for number in range(40))
    claims = tokens.Claims(
        issuer="a", audience="a", subject="anna", issued=100, expires=200, id="0", generation=1, session="",
        access=access,
    )  # fmt: skip
    with pytest.raises(UsageError, match="too long"):
        tokens.sign(claims, KID, KEY)
