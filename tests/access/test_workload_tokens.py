"""Tokens of other issuers: what is believed of one, and by which stable word everything else is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from appliance.access import workload_tokens
from appliance.access.workload_keys import KeyFile, parse_keys
from appliance.access.workload_tokens import RefusedTokenError, Workload, check_claims, read, verify
from appliance.limits import access as limits
from appliance.settings.faults import faults
from appliance.settings.workload_issuers import WorkloadIssuerSettings, robot_of
from bundles.errors import LockgateError, MalformedError
from tests.access.issuer import (
    AUDIENCE,
    RSA,
    SUBJECT,
    URL,
    b64,
    claims,
    ec_jwk,
    ed_jwk,
    rsa_jwk,
    settings,
    sign,
    token,
    write_keys,
)  # fmt: skip

KEYS = parse_keys(json.dumps({"keys": [rsa_jwk(), ec_jwk(), ed_jwk()]}).encode())
ISSUER = settings(Path("x"), algorithms=("RS256", "ES256", "EdDSA"))


def believed(text: str, issuer: WorkloadIssuerSettings = ISSUER, asked: str = "", **keys: Any) -> Workload:
    one = read(text)
    if one.issuer != issuer.issuer:
        raise RefusedTokenError("token-issuer")
    check_claims(one, issuer, int(time.time()))
    return verify(one, "cluster", issuer, keys or KEYS, asked)


@pytest.mark.parametrize(("alg", "kid"), [("RS256", "one"), ("ES256", "two"), ("EdDSA", "three")])
def test_a_token_is_a_workload_and_its_robot(alg: str, kid: str) -> None:
    found = believed(token(alg=alg, kid=kid))
    assert (found.issuer, found.subject, found.robot) == ("cluster", SUBJECT, "robot-prod")
    assert found.expires > time.time()


def forged(alg: str) -> str:
    """HMAC with the issuer's public key as the secret (RFC 8725, section 2.1)."""
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = b64(json.dumps({"alg": alg, "kid": "one"}).encode()), b64(json.dumps(claims()).encode())
    return f"{head}.{body}.{b64(hmac.digest(public, f'{head}.{body}'.encode(), hashlib.sha256))}"


def head(**fields: Any) -> Callable[[], str]:
    return lambda: token({"alg": "RS256", "kid": "one", **fields})


def with_claims(alg: str = "RS256", **changed: Any) -> Callable[[], str]:
    return lambda: token(alg=alg, **changed)


def raw_claims(text: str) -> str:
    return sign(b64(b'{"alg":"RS256","kid":"one"}'), b64(text.encode()))


def twice() -> str:
    return raw_claims(json.dumps(claims())[:-1] + f', "sub": "{SUBJECT}x"}}')


def slack() -> str:
    """The signature with unused bits set: the same bytes in another spelling."""
    text = token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def changed_signature() -> str:
    head_, body, signature = token().split(".")
    return f"{head_}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def unsigned() -> str:
    return token({"alg": "none", "kid": "one"}).rpartition(".")[0] + "."


def at(**times: float) -> Callable[[], str]:
    """A token whose times are so many seconds from when it is made."""
    return lambda: token(**{name: int(time.time()) + seconds for name, seconds in times.items()})


REFUSED: list[tuple[str, Callable[[], str]]] = [
    ("token-form", unsigned),
    ("token-algorithm", head(alg="none")),
    ("token-algorithm", lambda: forged("HS256")),
    ("token-algorithm", head(alg="RS512")),
    ("token-algorithm", lambda: token(alg="RS256", header={"alg": "ES256", "kid": "one"})),
    ("token-key", head(kid="nobody")),
    ("token-form", lambda: token({"alg": "RS256"})),
    ("token-form", head(crit=["exp"], exp=1)),
    ("token-form", head(jku="https://evil.example/keys")),
    ("token-form", head(jwk=rsa_jwk())),
    ("token-form", head(typ="JWE")),
    ("token-form", twice),
    ("token-form", slack),
    ("token-form", lambda: raw_claims("[" * 600 + "]" * 600)),
    ("token-form", lambda: raw_claims("[]")),
    ("token-form", lambda: raw_claims('{"iss": NaN}')),
    ("token-form", lambda: "eyJ.eyJ.e"),
    ("token-form", lambda: "eyJ..é"),
    ("token-form", lambda: "eyJ" + "a" * 1_000 + ".e30.AAAA"),
    ("token-size", lambda: "eyJ" + "." * 9_000),
    ("token-size", lambda: token(padding="x" * 8_192)),
    ("token-issuer", with_claims(iss="https://other.example")),
    ("token-claims", with_claims(iss=None)),
    ("token-claims", with_claims(exp=None)),
    ("token-claims", with_claims(nbf=None)),
    ("token-claims", with_claims(iat=None)),
    ("token-claims", with_claims(exp=True)),
    ("token-claims", at(exp=600.5)),
    ("token-claims", with_claims(exp="9999999999")),
    ("token-claims", with_claims(sub=None)),
    ("token-claims", with_claims(sub=SUBJECT + "\u202e")),
    ("token-claims", with_claims(aud=None)),
    ("token-claims", with_claims(aud=["x"] * 17)),
    ("token-audience", with_claims(aud="registry.alpha.example")),
    ("token-audience", with_claims(aud=[[AUDIENCE]])),
    ("token-expired", at(iat=-900, nbf=-900, exp=-31)),
    ("token-early", at(nbf=120)),
    ("token-early", at(iat=120)),
    ("token-lifetime", at(exp=366 * 86_400)),
    ("token-lifetime", at(iat=-30 * 86_400)),
    ("token-signature", changed_signature),
    ("token-subject", with_claims(sub="system:serviceaccount:prod:other")),
]


@pytest.mark.parametrize(("fault", "make"), REFUSED, ids=[f"{n} {fault}" for n, (fault, _) in enumerate(REFUSED)])
def test_a_token_is_refused_by_a_stable_word(fault: str, make: Callable[[], str]) -> None:
    with pytest.raises(RefusedTokenError) as caught:
        believed(make())
    assert (caught.value.fault, caught.value.code) == (fault, fault)
    assert (caught.value.subject != "") is (fault == "token-subject"), "only what was signed is told"


def test_no_signature_is_verified_of_what_can_be_refused_without(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    real = workload_tokens._check_signature

    def watched(one: workload_tokens.ReadToken, key: workload_tokens.IssuerKey) -> None:
        verified.append(one.text)
        real(one, key)

    monkeypatch.setattr(workload_tokens, "_check_signature", watched)
    for fault, make in REFUSED:
        before = len(verified)
        with pytest.raises(RefusedTokenError):
            believed(make())
        assert (len(verified) > before) is (fault in ("token-signature", "token-subject")), fault


def test_a_key_verifies_its_own_kind_of_signature_alone() -> None:
    one = rsa_jwk(alg="PS256")
    keys = parse_keys(json.dumps({"keys": [one]}).encode())
    with pytest.raises(RefusedTokenError) as caught:
        believed(token(), **keys)
    assert caught.value.fault == "token-algorithm"


def test_a_robot_that_is_named_must_be_the_one_that_the_subject_is() -> None:
    assert believed(token(), asked="robot-prod").robot == "robot-prod"
    with pytest.raises(RefusedTokenError) as caught:
        believed(token(), asked="robot-other")
    assert caught.value.fault == "token-subject"


@pytest.mark.parametrize(
    ("subject", "robot"),
    [
        ("system:serviceaccount:prod:puller", "robot-puller"),  # its whole name, before any pattern
        ("system:serviceaccount:prod:api", "robot-prod"),
        ("system:serviceaccount:prod:api:more", None),
        ("system:serviceaccount:prod:", None),
        ("system:serviceaccount:test:api", None),
        ("repo:acme/app:ref:refs/heads/main", "robot-ci"),
        ("repo:acme/app/more:ref:refs/heads/main", None),
        ("repo:evil/app:ref:refs/heads/main", None),
        ("system:serviceaccount:both:api", None),  # two patterns that do not agree
        ("system:serviceaccount:prod:*", "robot-prod"),  # a subject of that spelling is no pattern
        ("", None),
    ],
)
def test_a_subject_is_one_robot_or_none(subject: str, robot: str | None) -> None:
    robots = {
        "system:serviceaccount:prod:puller": "robot-puller",
        "system:serviceaccount:prod:*": "robot-prod",
        "system:serviceaccount:both:*": "robot-prod",
        "system:serviceaccount:*:api:": "robot-never",
        "system:*:both:api": "robot-other",
        "repo:acme/*:ref:refs/heads/main": "robot-ci",
    }
    assert robot_of(robots, subject) == robot


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [rsa_jwk(), rsa_jwk()]},
        {"keys": [{"kty": "oct", "kid": "s", "k": "AAAA"}]},
        {"keys": [rsa_jwk(d="AQAB")]},
        {"keys": [{**rsa_jwk(), "kid": ""}]},
        {"keys": [{**ec_jwk(), "y": ec_jwk()["x"]}]},
        {"keys": [rsa_jwk(rsa.generate_private_key(65537, 1024))]},
        {"keys": [{**rsa_jwk(), "e": b64(b"\x01")}]},
        {"keys": [{**rsa_jwk(), "n": "%%"}]},
        {"keys": [{"kty": "RSA", "kid": "x"}]},
        {"keys": [rsa_jwk(kid=str(n)) for n in range(65)]},
        {"keys": [rsa_jwk(use="enc")]},
    ],
)  # fmt: skip
def test_a_file_of_keys_is_strictly_read(document: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        parse_keys(json.dumps(document).encode())


async def test_keys_are_read_again_when_their_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKLOAD_KEYS_LOOKED_AT", 0.0)
    path = write_keys(tmp_path / "keys.json", rsa_jwk())
    file = KeyFile(path)
    assert set(await file.keys()) == {"one"}
    write_keys(path, ec_jwk())
    assert set(await file.keys()) == {"two"}
    path.write_text("{")
    with pytest.raises(LockgateError):
        await file.keys()
    path.unlink()
    with pytest.raises(LockgateError):
        await file.keys()
    os.mkfifo(path)
    with pytest.raises(LockgateError):
        await file.keys()
    path.unlink()
    write_keys(path, rsa_jwk())
    assert set(await file.keys()) == {"one"}


CONFIG = f"""\
site = "bravo"
side = "inside"
[workload_issuers.cluster]
issuer = "{URL}"
jwks = "identity/cluster.json"
audience = "{AUDIENCE}"
robots = {{ "{SUBJECT}" = "robot-prod" }}
"""


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("", "", ""),
        ('"robot-prod"', '"anna"', "workload_issuers.cluster.robots"),
        (SUBJECT, "*:prod", "workload_issuers.cluster.robots"),
        (SUBJECT, "system:pro*", "workload_issuers.cluster.robots"),
        ("robots = ", 'algorithms = ["none"]\nrobots = ', "workload_issuers.cluster.algorithms"),
        ("robots = ", 'algorithms = ["HS256"]\nrobots = ', "workload_issuers.cluster.algorithms"),
        ("robots = ", "leeway_seconds = 301\nrobots = ", "workload_issuers.cluster.leeway_seconds"),
        ("jwks = ", "keys = ", "workload_issuers.cluster.keys"),
        (f'audience = "{AUDIENCE}"\n', "", "workload_issuers.cluster.audience"),
        ("[workload_issuers.cluster]", "[workload_issuers.Cluster]", "workload_issuers.Cluster"),
    ],
)
def test_its_settings_are_checked(old: str, new: str, key: str) -> None:
    found = faults(CONFIG.replace(old, new).encode() if old else CONFIG.encode())
    assert [fault.key for fault in found][:1] == ([key] if key else [])
