"""Keys on tokens: their URIs, and SoftHSM as the token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bundles.errors import UsageError
from bundles.signing.keys import PublicKey
from bundles.signing.pkcs11_uri import TokenKey, parse
from bundles.signing.token_key import TokenPrivateKey
from tests.softhsm import PIN, Card, inserted


def test_a_uri_names_a_key_a_token_and_a_library() -> None:
    named = parse("pkcs11:token=My%20card;serial=0a;object=build;id=%01%ff;type=private?module-path=/usr/lib/p11.so")
    assert named == TokenKey(Path("/usr/lib/p11.so"), "My card", "0a", "build", b"\x01\xff")
    assert parse("pkcs11:object=b;token=t?module-path=/p.so").id is None


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:", "pkcs11:token=t;object=o", "pkcs11:token=t?module-path=/p.so", "pkcs11:object=o?module-path=/p.so",
        "pkcs11:token=t;object=o?module-path=p.so", "pkcs11:token=t;token=u;object=o?module-path=/p.so",
        "pkcs11:token=t;object=o;pin-value=1?module-path=/p.so",
        "pkcs11:token=t;object=o?module-path=/p.so&pin-value=1",
        "pkcs11:token=t;object=o?module-path=/p.so&pin-source=/f", "pkcs11:token=%zz;object=o?module-path=/p.so",
        "pkcs11:token=%ff;object=o?module-path=/p.so", "pkcs11:token=t;object=o%00?module-path=/p.so",
        "pkcs11:token=t;object=o;type=public?module-path=/p.so", "pkcs11:token=t;object=o;colour=red?module-path=/p.so",
        "pkcs11:token=t;object=a b?module-path=/p.so", "pkcs11:token;object=o?module-path=/p.so",
        f"pkcs11:token=t;object={'o' * 1000}?module-path=/p.so",
    ],
)  # fmt: skip
def test_what_is_no_such_uri_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    with inserted(tmp_path_factory.getbasetemp()) as made:
        yield made


def test_a_token_signs_what_its_public_half_verifies_and_refuses_by_name(card: Card) -> None:
    for curve, algorithm in ((ec.SECP256R1(), "ecdsa-p256"), (ec.SECP384R1(), "ecdsa-p384")):
        key = ec.generate_private_key(curve)
        card.put(algorithm, key)
        private = TokenPrivateKey(parse(card.uri(algorithm)), PIN)
        assert private.public == PublicKey.of(key.public_key())
        assert private.public.verify(b"said", private.sign(b"said"))
        for take in (lambda one=private: one.to_pem(None), lambda one=private: one.derive(b"x")):
            with pytest.raises(UsageError, match="stays on the token"):
                take()
    card.put("rsa", rsa.generate_private_key(65537, 2048))
    card.put("p521", ec.generate_private_key(ec.SECP521R1()))
    asked = [
        (card.uri("ecdsa-p256"), b"0000", "PIN does not open"),
        (card.uri("ecdsa-p256"), b"\xff", "PIN is no text"),
        (card.uri("nothing"), PIN, "no such key"),
        (card.uri("ecdsa-p256", "card 2"), PIN, "no such token"),
        (card.uri("rsa"), PIN, "another kind"),
        (card.uri("p521"), PIN, "another curve"),
        (f"{card.uri('x')}.gone", PIN, "no such library"),
    ]
    for uri, pin, what in asked:
        with pytest.raises(UsageError, match=what):
            TokenPrivateKey(parse(uri), pin)
