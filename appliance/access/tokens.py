"""Bearer tokens: JWTs (RFC 7519) signed with ES256, verified strictly, by keys that rotate.

The station makes a fixed header for each of its keys. A token's header is compared with these as bytes and is never
parsed: the algorithm and the key are the station's, not the token's (RFC 8725, section 3.1). The signature is verified
before any JSON is parsed, so that only bytes which this station signed reach a parser.
What a token says holds for minutes, and only as far as the account still may when it is used.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from appliance.access.scopes import Scope
from appliance.limits import access as limits
from bundles.errors import MalformedError, RefusedError, UsageError
from bundles.io.strict_json import loads

_HALF: Final = 32
"""Bytes of r and of s in an ES256 signature (RFC 7518, section 3.4)."""

_CLAIMS: Final = frozenset({"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "gen", "sid", "access"})
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are seconds since 1970.

    `subject` is the account ("" for anybody), `generation` the account's when it was made, `session` what it was made
    with (a robot's secret, a log-in's family, "" for a password), `access` what it may be used for.
    """

    issuer: str
    audience: str
    subject: str
    issued: int
    expires: int
    id: str
    generation: int
    session: str
    access: tuple[Scope, ...]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """base64url without padding, in its one form. Raises RefusedError."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused("encoding") from None
    if _encode(raw) != text:
        raise _refused("encoding")
    return raw


def _refused(why: str) -> RefusedError:
    return RefusedError(f"the token is not valid ({why})", remedy="ask for another one")


def new_id() -> str:
    """A token's id, 128 random bits."""
    return secrets.token_hex(16)


@lru_cache(maxsize=64)
def header_of(kid: str) -> str:
    """The one header, base64url, of every token that the key named `kid` signs."""
    return _part({"alg": "ES256", "kid": kid, "typ": "JWT"})


def _part(fields: dict[str, Any]) -> str:
    return _encode(json.dumps(fields, separators=(",", ":")).encode())


def sign(claims: Claims, kid: str, key: ec.EllipticCurvePrivateKey) -> str:
    """The token in its compact form (RFC 7515, section 3.1).

    Raises UsageError where it would be longer than `limits.TOKEN_LENGTH`: no worker would take it.
    """
    payload = {
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "iat": claims.issued,
        "nbf": claims.issued,
        "exp": claims.expires,
        "jti": claims.id,
        "gen": claims.generation,
        "sid": claims.session,
        "access": [scope.to_claim() for scope in claims.access],
    }
    signed = f"{header_of(kid)}.{_part(payload)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), _ECDSA))
    token = f"{signed}.{_encode(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"
    if len(token) > limits.TOKEN_LENGTH:
        raise UsageError(
            "a token for so many repositories would be too long",
            thing=f"{len(token)} bytes, at most {limits.TOKEN_LENGTH}",
            remedy="ask for fewer scopes at once",
        )
    return token


def verify(
    token: str, keys: Mapping[str, ec.EllipticCurvePublicKey], *, issuer: str, audience: str, now: int
) -> Claims:
    """What a token says. `now` is seconds since 1970.

    Raises RefusedError for anything that is not exactly a token of this station, for this audience, good now; what
    is wrong is for the log, not for the client.
    """
    if len(token) > limits.TOKEN_LENGTH or not token.isascii():
        raise _refused("form")
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    key = next((key for kid, key in keys.items() if header_of(kid) == head), None)
    if key is None:
        raise _refused("header")
    raw = _decode(signature)
    if len(raw) != 2 * _HALF:
        raise _refused("signature")
    r, s = int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), f"{head}.{body}".encode(), _ECDSA)
    except InvalidSignature:
        raise _refused("signature") from None
    claims = _claims(_object(_decode(body)))
    if claims.issuer != issuer or claims.audience != audience:
        raise _refused("audience")
    if now + limits.TOKEN_SKEW < claims.issued or now >= claims.expires:
        raise _refused("time")
    if claims.expires - claims.issued > limits.TOKEN_LIFE:
        raise _refused("lifetime")
    return claims


def _object(raw: bytes) -> dict[str, Any]:
    """A JSON object without duplicate keys. Raises RefusedError."""
    try:
        found = loads(raw, ceiling=limits.TOKEN_LENGTH, nodes=limits.TOKEN_NODES, what="a token")
    except MalformedError:
        raise _refused("JSON") from None
    if not isinstance(found, dict):
        raise _refused("JSON")
    return found


def _claims(fields: dict[str, Any]) -> Claims:
    if fields.keys() != _CLAIMS or fields["nbf"] != fields["iat"]:
        raise _refused("claims")
    texts = [fields[name] for name in ("iss", "aud", "sub", "jti", "sid")]
    numbers = [fields[name] for name in ("iat", "exp", "gen")]
    entries = fields["access"]
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(type(number) is int for number in numbers)
        or not isinstance(entries, list)
    ):
        raise _refused("claims")
    return Claims(
        issuer=texts[0], audience=texts[1], subject=texts[2], id=texts[3], session=texts[4],
        issued=numbers[0], expires=numbers[1], generation=numbers[2], access=tuple(map(_scope, entries)),
    )  # fmt: skip


def _scope(entry: Any) -> Scope:
    if not isinstance(entry, dict) or entry.keys() != {"type", "name", "actions"}:
        raise _refused("access")
    actions = entry["actions"]
    if not isinstance(actions, list):
        raise _refused("access")
    if not all(isinstance(part, str) for part in (entry["type"], entry["name"], *actions)):
        raise _refused("access")
    return Scope(entry["type"], entry["name"], frozenset(actions))
