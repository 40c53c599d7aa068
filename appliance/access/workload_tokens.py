"""Tokens that other issuers signed for workloads: JWTs (RFC 7519) of OpenID Connect issuers and of Kubernetes.

Decided from values alone. The order is from cheap to dear: size, form, issuer, algorithm, times and audience, and only
then the signature. The algorithm and the key are those that config.toml pins for the issuer (RFC 8725, sections 3.1 and
3.2): a token chooses among them by name and brings none. What a refusal says of a subject was signed.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from appliance.access.workload_keys import IssuerKey
from appliance.limits import access as limits
from appliance.settings.workload_issuers import WorkloadIssuerSettings, robot_of
from bundles.errors import MalformedError, RefusedError
from bundles.io.strict_json import loads

TokenFault = Literal[
    "token-size",  # longer than limits.WORKLOAD_TOKEN
    "token-form",  # no JWT in its one form: encoding, JSON, duplicate keys, a header that says more than it may
    "token-issuer",  # of nobody that config.toml names
    "token-algorithm",  # not one that is pinned for the issuer, or not one of the key
    "token-claims",  # exp, nbf, iat, sub or aud is missing or not what it should be
    "token-audience",  # for somebody else
    "token-expired",
    "token-early",  # not good yet, or from the future
    "token-lifetime",  # good for longer than config.toml lets tokens be
    "token-keys",  # the issuer's file of keys cannot be used
    "token-key",  # signed with a key that the file does not have
    "token-signature",
    "token-subject",  # of a workload that is no robot here, or not the one that was named
    "token-robot",  # of a robot that is not there or is disabled
]
"""Why a token is refused: stable words."""

_HEADER: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_TIMES: Final = ("exp", "nbf", "iat")
_SECOND: Final = 1 << 40
_NODES: Final = 500


class RefusedTokenError(RefusedError):
    """A token that proves nobody. `subject` is "" until its signature held."""

    def __init__(self, fault: TokenFault, *, subject: str = "", issuer: str = "") -> None:
        super().__init__(
            f"the workload's token is refused ({fault})", thing=subject,
            remedy="see Workloads in docs/reference/registry.md", code=fault,
        )  # fmt: skip
        self.fault, self.subject, self.issuer = fault, subject, issuer


@dataclass(frozen=True, slots=True)
class ReadToken:
    """A token that was read and not verified."""

    text: str
    algorithm: str
    kid: str
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        return str(self.claims["iss"])


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that proved itself: by which issuer of config.toml, its subject, the robot that it is, and until when
    its token is good (seconds since 1970)."""

    issuer: str
    subject: str
    robot: str
    expires: int


def looks_like_one(text: str) -> bool:
    """Whether a password is a JWT: three parts, the first of them a JSON object in base64url."""
    return text.startswith("eyJ") and text.count(".") == 2


def read(text: str) -> ReadToken:
    """A token's header and claims. Linear, and capped. Raises RefusedTokenError."""
    if len(text) > limits.WORKLOAD_TOKEN:
        raise RefusedTokenError("token-size")
    head, body, signature = text.split(".") if text.isascii() and text.count(".") == 2 else ("", "", "")
    if not head or not body or not signature or len(head) > limits.WORKLOAD_HEADER:
        raise RefusedTokenError("token-form")
    _decode(signature)
    header, claims = _object(head), _object(body)
    if not header.keys() <= _HEADER or str(header.get("typ", "JWT")).upper() != "JWT":
        raise RefusedTokenError("token-form")
    if not all(isinstance(header.get(name), str) for name in ("alg", "kid")):
        raise RefusedTokenError("token-form")
    if not isinstance(claims.get("iss"), str):
        raise RefusedTokenError("token-claims")
    return ReadToken(text, header["alg"], header["kid"], claims)


def check_claims(token: ReadToken, issuer: WorkloadIssuerSettings, now: int) -> None:
    """What can be told without a key. `now` is seconds since 1970. Raises RefusedTokenError."""
    claims = token.claims
    if token.algorithm not in issuer.algorithms:
        raise RefusedTokenError("token-algorithm")
    if not all(_is_time(claims.get(name)) for name in _TIMES) or not _is_text(claims.get("sub")):
        raise RefusedTokenError("token-claims")
    audiences = claims.get("aud")
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(audiences, list) or not 0 < len(audiences) <= limits.WORKLOAD_AUDIENCES:
        raise RefusedTokenError("token-claims")
    if issuer.audience not in audiences:
        raise RefusedTokenError("token-audience")
    if claims["exp"] <= now - issuer.leeway_seconds:
        raise RefusedTokenError("token-expired")
    if max(claims["nbf"], claims["iat"]) > now + issuer.leeway_seconds:
        raise RefusedTokenError("token-early")
    if not 0 < claims["exp"] - claims["iat"] <= issuer.longest_hours * 3600:
        raise RefusedTokenError("token-lifetime")


def verify(
    token: ReadToken, name: str, issuer: WorkloadIssuerSettings, keys: Mapping[str, IssuerKey], asked: str = ""
) -> Workload:
    """The workload of a token whose claims hold (`check_claims`). `name` is the issuer's in config.toml; `asked` the
    robot that the client says it is, "" for whichever. Raises RefusedTokenError."""
    key = keys.get(token.kid)
    if key is None:
        raise RefusedTokenError("token-key")
    if token.algorithm not in key.algorithms:
        raise RefusedTokenError("token-algorithm")
    _check_signature(token, key)
    subject = str(token.claims["sub"])
    robot = robot_of(issuer.robots, subject)
    if robot is None or asked not in ("", robot):
        raise RefusedTokenError("token-subject", subject=subject, issuer=name)
    return Workload(name, subject, robot, int(token.claims["exp"]))


def _check_signature(token: ReadToken, key: IssuerKey) -> None:
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EdDSA's name (RFC 9864), which issuers still write
            jws.deserialize_compact(token.text, key.key, algorithms=[token.algorithm])
    except (JoseError, ValueError):
        raise RefusedTokenError("token-signature") from None


def _object(part: str) -> dict[str, Any]:
    try:
        found = loads(_decode(part), ceiling=limits.WORKLOAD_TOKEN, nodes=_NODES, what="the token", floats=True)
    except MalformedError:
        raise RefusedTokenError("token-form") from None
    if not isinstance(found, dict):
        raise RefusedTokenError("token-form")
    return found


def _decode(part: str) -> bytes:
    """base64url without padding, in its one form. Raises RefusedTokenError."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RefusedTokenError("token-form") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise RefusedTokenError("token-form")
    return raw


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _SECOND


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limits.WORKLOAD_SUBJECT and value.isprintable()
