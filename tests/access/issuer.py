"""An issuer of tokens for workloads, for tests: its keys, its file of keys, and tokens right and wrong."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from appliance.settings.workload_issuers import WorkloadIssuerSettings

URL = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "registry.bravo.example"
SUBJECT = "system:serviceaccount:prod:puller"

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_jwk(key: rsa.RSAPrivateKey = RSA, kid: str = "one", **more: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "n": number(numbers.n), "e": number(numbers.e), **more}


def ec_jwk(kid: str = "two") -> dict[str, str]:
    numbers = EC.public_key().public_numbers()
    return {"kty": "EC", "kid": kid, "crv": "P-256", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}


def ed_jwk(kid: str = "three") -> dict[str, str]:
    return {"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(ED.public_key().public_bytes_raw())}


def write_keys(path: Path, *keys: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"keys": list(keys)}))
    return path


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims; None takes one away."""
    now = int(time.time())
    found = {"iss": URL, "aud": [AUDIENCE], "sub": SUBJECT, "iat": now, "nbf": now, "exp": now + 600, **changed}
    return {name: value for name, value in found.items() if value is not None}


def sign(head: str, body: str, alg: str = "RS256") -> str:
    """A token of two parts as they stand, signed with the key of the algorithm's kind."""
    signed = f"{head}.{body}".encode()
    if alg == "ES256":
        r, s = decode_dss_signature(EC.sign(signed, ec.ECDSA(hashes.SHA256())))
        made = r.to_bytes(32) + s.to_bytes(32)
    elif alg == "EdDSA":
        made = ED.sign(signed)
    else:
        made = RSA.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return f"{head}.{body}.{b64(made)}"


def token(header: dict[str, Any] | None = None, *, alg: str = "RS256", kid: str = "one", **changed: Any) -> str:
    """A token; `changed` are its claims, `header` takes the place of the right one."""
    head = {"alg": alg, "kid": kid} if header is None else header
    return sign(b64(json.dumps(head).encode()), b64(json.dumps(claims(**changed)).encode()), alg)


def settings(jwks: Path, **changed: Any) -> WorkloadIssuerSettings:
    fields = {
        "issuer": URL, "jwks": str(jwks), "audience": AUDIENCE, "robots": {SUBJECT: "robot-prod"}, **changed
    }  # fmt: skip
    return WorkloadIssuerSettings(**fields)
