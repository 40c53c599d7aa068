"""TLS to one registry: the authorities that count for it, and the certificate that this station shows it.

From config.toml's files, or from a `certs.d` folder as docker and podman read it (containers-certs.d(5)).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from appliance.limits import collecting as limits
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.io.files import open_regular

_FOLDERS: Final = ("containers/certs.d", "docker/certs.d")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM. `authorities` are added to the machine's, or stand in their place where they are `alone`; `shown`
    are pairs of a certificate's chain and its key."""

    authorities: tuple[Path, ...] = ()
    alone: bool = False
    shown: tuple[tuple[Path, Path], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.authorities or self.shown)


def certs_d(etc: Path, host: str) -> Certificates:
    """What the machine's certs.d says of `host[:port]`: the first folder of its name that there is below `etc`.

    Raises UsageError for a certificate without its key or a key without its certificate, FailedError.
    """
    for name in _FOLDERS:
        folder = etc / name / host
        try:
            files = sorted(entry for entry in folder.iterdir() if entry.suffix in (".crt", ".cert", ".key"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise FailedError(
                f"a folder of certificates cannot be read ({error.strerror})", thing=str(folder),
                remedy="let the station's account read it, or set use_host_configuration = false",
            ) from None  # fmt: skip
        if len(files) > limits.UPSTREAM_FILES:
            raise UsageError("too many files of certificates", thing=str(folder), remedy="take away what is not used")
        pairs = [(file.with_suffix(".cert"), file.with_suffix(".key")) for file in files if file.suffix != ".crt"]
        for pair in pairs:
            for one, other in (pair, pair[::-1]):
                if one not in files:
                    raise UsageError(
                        "a certificate or its key is missing", thing=str(one), remedy=f"it goes with {other.name}"
                    )
        return Certificates(tuple(file for file in files if file.suffix == ".crt"), shown=tuple(dict.fromkeys(pairs)))
    return Certificates()


def context_of(certificates: Certificates, thing: str) -> ssl.SSLContext:
    """A client's context for them: TLS 1.2 at least, the server's name checked. Blocking. Raises FailedError naming
    the file and `thing`, which says where it is named."""
    machine = not (certificates.authorities and certificates.alone)
    context = ssl.create_default_context() if machine else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in certificates.authorities:
        _load((file,), thing, partial(context.load_verify_locations, file))
    for chain, key in certificates.shown:
        # A key with a passphrase would ask for it on a terminal: it is refused.
        _load((chain, key), thing, partial(context.load_cert_chain, chain, key, _no_passphrase))
    return context


def _load(files: Sequence[Path], thing: str, load: Callable[[], object]) -> None:
    try:
        for file in files:
            _require_small(file)
        load()
    except LockgateError as error:
        raise FailedError(
            "a certificate's file cannot be used", thing=f"{error.thing} ({error.what}), for {thing}",
            remedy="correct its name, or let the station's account read it",
        ) from None  # fmt: skip
    except (OSError, ValueError) as error:  # ssl.SSLError among them
        reason = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
        raise FailedError(
            f"a certificate's file cannot be used ({reason.replace('_', ' ').lower()})"[:160],
            thing=f"{' with '.join(map(str, files))}, for {thing}", remedy="it holds PEM, and a key has no passphrase",
        ) from None  # fmt: skip


def _require_small(file: Path) -> None:
    os.close(open_regular(file.resolve(), ceiling=limits.UPSTREAM_FILE))


def _no_passphrase() -> bytes:
    return b""
