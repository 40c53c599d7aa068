"""Credential helpers: `docker-credential-NAME get` (the docker-credential-helpers protocol).

The registry's name goes in on the standard input, `{"ServerURL", "Username", "Secret"}` comes out. A helper runs in the
process tree of the person who collects, from their PATH and with their environment: it asks their keychain.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from appliance.limits import collecting as limits
from appliance.upstreams.accounts import HUB, Account
from bundles.errors import FailedError, UsageError
from bundles.processes import start as children

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NONE: Final = (b"credentials not found in native keychain", b"credentials not found")
"""What helpers print where they hold nothing for a registry (docker-credential-helpers, credentials/error.go)."""
_TOKEN_USER: Final = "<token>"  # noqa: S105  the name that stands for "this is an identity token"
_HUB_SERVERS: Final = ("https://index.docker.io/v1/", HUB)


class MissingHelperError(FailedError):
    """A helper is not on the caller's PATH."""


def ask_helper(name: str, host: str, file: Path) -> Account | None:
    """The account that helper `name`, which `file` names, holds for a registry; None where it holds none.

    Raises UsageError for what is no name of a helper, MissingHelperError, FailedError where it fails, takes too long or
    answers with something else. Nothing that it printed is quoted.
    """
    program = f"docker-credential-{name}"
    if not _NAME.match(name):
        raise UsageError("not the name of a credential helper", thing=f"{file}: {name!r}"[:200], remedy="correct it")
    path = children.find_callers_program(program)
    if path is None:
        raise MissingHelperError(
            "the credential helper is not on PATH", thing=f"{program}, for {host}, named in {file}",
            remedy=f"install it, or log in without it: skopeo login {host}",
        )  # fmt: skip
    for server in _HUB_SERVERS if host == HUB else (host,):
        found = _get(path, server, host)
        if found is not None:
            return found
    return None


def _get(program: Path, server: str, host: str) -> Account | None:
    by_hand = f"see what it says: echo {server} | {program.name} get"
    answer = children.ask(
        [program, "get"], env=dict(os.environ), message=server.encode(),
        timeout=limits.CREDENTIAL_HELPER, ceiling=limits.CREDENTIAL_ANSWER,
    )  # fmt: skip
    if answer is None:
        raise FailedError(
            "the credential helper did not answer in time, or said too much", thing=f"{program.name}, for {host}",
            remedy=by_hand,
        )  # fmt: skip
    status, said = answer
    if status != 0:
        if said.strip().startswith(_NONE):
            return None
        raise FailedError("the credential helper failed", thing=f"{program.name}, for {host}", remedy=by_hand)
    try:
        fields: Any = json.loads(said)
        user, secret = fields["Username"], fields["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str) or ":" in user or not user.isprintable():
        raise FailedError(
            "the credential helper answered with no account", thing=f"{program.name}, for {host}", remedy=by_hand
        )
    if not secret:
        return None
    if user == _TOKEN_USER:
        return Account(host, "", identity_token=secret)
    return Account(host, user, secret)
