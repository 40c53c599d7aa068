"""A secret is used by its characters, and never printed."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import secrets
import traceback

import pytest

from bundles.io.secret import HIDDEN, Secret, without_secrets

WORDS = "correct horse battery"


def test_a_secret_is_its_characters_for_whoever_uses_it() -> None:
    secret = Secret(WORDS)
    assert secret == WORDS
    assert secret.reveal() == WORDS
    assert type(secret.reveal()) is str
    assert secret.encode() == WORDS.encode()
    assert json.loads(json.dumps({"password": secret})) == {"password": WORDS}
    assert Secret(secret).reveal() == WORDS
    assert not Secret()


@pytest.mark.parametrize("printed", [
    repr, str, ascii, "{}".format, "{!r:>30}".format, "{:s}".format,
    lambda secret: f"{secret} {secret!r}", lambda secret: repr([secret]), lambda secret: repr({"password": secret}),
    lambda secret: logging.LogRecord("x", 1, "x", 1, "failed: %s %r", (secret, secret), None).getMessage(),
])  # fmt: skip
def test_a_secret_is_never_printed(printed) -> None:  # type: ignore[no-untyped-def]
    assert WORDS not in printed(Secret(WORDS))
    assert HIDDEN in printed(Secret(WORDS))


def test_a_traceback_with_its_variables_shows_no_secret() -> None:
    def fails(passphrase: Secret) -> None:
        raise ValueError(f"cannot open it with {passphrase}")

    try:
        fails(Secret(WORDS))
    except ValueError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "passphrase = (secret)" in told
    assert "with (secret)" in told


def test_a_secret_is_not_stored() -> None:
    for store in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            store(Secret(WORDS))


def test_what_is_known_to_be_secret_is_taken_out_of_a_text_and_what_looks_so() -> None:
    token = secrets.token_urlsafe(32)
    key = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"
    text = f"Authorization: Bearer abc.def, session {token}, typed {WORDS}, {key}"
    assert without_secrets(text, [Secret(WORDS)]) == (
        "Authorization: (secret), session (secret), typed (secret), (secret)"
    )


def test_digests_ids_and_paths_stay() -> None:
    text = f"sha256:{'ab01' * 16} alpha.bravo-000007 /media/usb-blue/volumes/0002.7z 30f2c341ae8cd9a4"
    assert without_secrets(text) == text
