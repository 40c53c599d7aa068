"""Accounts at registries are handed over as sealed memory: by their sender, once, and never as a path."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.handles.giving import hand_secret
from appliance.handles.secrets import SEALS, is_secret, read_secret
from appliance.jobs.params import check_accounts
from appliance.limits import collecting as limits
from bundles.errors import MalformedError, RefusedError, UsageError
from tests.handles.people import NOBODY, STRANGER, needs_root
from tests.handles.test_handing_over import Desk, descriptors, desk, folder_of, opening

__all__ = ["desk"]

SECRET = {"secret": True}


def sealed(content: bytes = b"[]", seals: int = SEALS) -> Callable[[], int]:
    """Memory without a name that holds `content`, sealed as a secret is."""

    def made() -> int:
        descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(descriptor, content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return descriptor

    return made


@needs_root
def test_a_secret_is_taken_once_by_its_sender_and_is_no_path(desk: Desk) -> None:
    answer = desk.send(STRANGER, sealed(b"[1]"), SECRET)
    assert set(answer) == {"handle", "path"}
    assert answer["path"] == ""
    name = answer["handle"]
    for uid, secret in ((STRANGER, False), (NOBODY, True)):  # as a path, and as another's
        with pytest.raises(RefusedError):
            desk.handles.take(name, uid, secret=secret)
    handle = desk.handles.take(name, STRANGER, secret=True)
    assert read_secret(handle.descriptor) == b"[1]"
    handle.close()
    with pytest.raises(RefusedError):
        desk.handles.take(name, STRANGER, secret=True)


@needs_root
def test_a_folder_is_no_secret(desk: Desk, tmp_path: Path) -> None:
    mine = folder_of(STRANGER, tmp_path / "mine")
    answer = desk.send(STRANGER, opening(mine), shown=str(mine))
    with pytest.raises(RefusedError):
        desk.handles.take(answer["handle"], STRANGER, secret=True)


@needs_root
def test_what_is_no_sealed_memory_is_refused_and_recorded_without_its_content(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content-of-the-file")
    file.chmod(0o644)
    before = descriptors()
    unsealed = sealed(b"content", 0)
    partly = sealed(b"content", fcntl.F_SEAL_WRITE)
    for open_it in (unsealed, partly, opening(file), opening(tmp_path), lambda: os.pipe()[0]):
        assert desk.send(os.geteuid(), open_it, SECRET)["error"] == "RefusedError"
    assert desk.send(os.geteuid(), sealed(b"x" * (limits.ACCOUNTS_HANDED + 1)), SECRET)["error"] == "UsageError"
    assert len(desk.log.events) == 6
    assert "content" not in str(desk.log.events)
    assert descriptors() <= before + 3  # the pipe's other end, and the connection's two while they are closed


def test_the_client_seals_what_it_hands_over(desk: Desk) -> None:
    name = hand_secret(desk.paths.root, b"accounts")
    handle = desk.handles.take(name, os.geteuid(), secret=True)
    assert read_secret(handle.descriptor) == b"accounts"
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(handle.descriptor, b"x", 0)
    handle.close()


@pytest.mark.parametrize(
    "message", [b'{"secret": false}', b'{"secret": 2}', b'{"secret": true, "path": "/"}', b"[]", b"{", b"\xff"]
)
def test_another_message_brings_no_secret(message: bytes) -> None:
    assert not is_secret(message)
    assert is_secret(b'{"secret":true}')


@pytest.mark.parametrize(
    "value", [None, 7, [], "x", {}, {"handle": "x"}, {"handle": "x", "hosts": "ghcr.io"}, {"handle": 7, "hosts": []},
              {"handle": "x", "hosts": ["ghcr"]}, {"handle": "x", "hosts": ["/etc"]}, {"handle": "x", "hosts": [1]},
              {"handle": "x", "hosts": [], "secret": "y"}, {"handle": "x", "hosts": ["a.example"] * 201}],
)  # fmt: skip
def test_accounts_of_another_form_are_a_usage_error(value: Any) -> None:
    with pytest.raises((UsageError, MalformedError)):
        check_accounts(value)
