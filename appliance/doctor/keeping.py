"""What a station keeps: who can read its private keys and change its settings, and when its certificates end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from appliance import clock
from appliance.access.certificates import Expiry
from appliance.doctor.examined import Examined, State
from appliance.limits import doctor as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from bundles.errors import FailedError, LockgateError
from bundles.io.display import some
from bundles.io.files import read_small
from bundles.limits import MIB

_PUBLIC: Final = (".pub.pem", ".pub", ".json")
_READ: Final = 0o077
_WRITE: Final = 0o022
_SHOWN: Final = 5
"""Files that are named of one fault."""


class _Fault(NamedTuple):
    """Something about a file, and the command that sets it right."""

    what: str
    remedy: str


def look_at_permissions(paths: StationPaths, config: Config) -> Iterator[Examined]:
    """The checks `key files`, `key files elsewhere` and `settings`: what other accounts can read or change."""
    owner = paths.root.stat().st_uid
    own = sorted(_below(paths.keys)) + [file for file in (paths.tls / "ca.key",) if file.exists()]
    inside = [file for file in _named_keys(paths.root, config) if file.is_relative_to(paths.root)]
    elsewhere = [file for file in _named_keys(paths.root, config) if not file.is_relative_to(paths.root)]
    files = [*([paths.keys] if paths.keys.exists() else []), *dict.fromkeys([*own, *inside])]
    yield _examined("key files", [_secret(file, owner) for file in files], len(files), "shut to other accounts")
    if elsewhere:
        found = [_secret(file, owner, strict=False) for file in elsewhere]
        yield _examined("key files elsewhere", found, len(elsewhere), "shut to other accounts")
    shared = [
        paths.root, paths.config, paths.approvals, paths.trust, paths.image_policy, paths.audit, paths.store, paths.tls,
        *(sorted(paths.trust.iterdir()) if paths.trust.is_dir() else []),
    ]  # fmt: skip
    there = [one for one in shared if os.path.lexists(one)]
    yield _examined(
        "settings", [_unchangeable(one, owner) for one in there], len(there), "changed by their owner alone"
    )


def _examined(name: str, found: Sequence[_Fault | None], count: int, right: str) -> Examined:
    faults = [one for one in found if one is not None]
    if not faults:
        return Examined(name=name, state="ok", detail=f"{right}: {some(count, 'file or folder', 'files and folders')}")
    more = f", and {len(faults) - _SHOWN} more" if faults[_SHOWN:] else ""
    return Examined(
        name=name, state="wrong", detail="; ".join(one.what for one in faults[:_SHOWN]) + more,
        remedy=faults[0].remedy + ("; and so on" if faults[1:] else ""),
    )  # fmt: skip


def _below(folder: Path) -> Iterator[Path]:
    """All files and folders below one. Raises OSError."""
    if not folder.is_dir():
        return
    for number, (at, folders, files) in enumerate(os.walk(folder, onerror=_raise)):
        if number > limits.DOCTOR_FOLDERS:
            raise FailedError("too many folders", thing=str(folder), remedy="see what made them, and remove them")
        yield from (Path(at, name) for name in (*folders, *files))


def _raise(error: OSError) -> None:
    raise error


def _named_keys(root: Path, config: Config) -> list[Path]:
    """Private keys that config.toml names."""
    named = [config.syslog.client_key, *(one.client_key for one in config.upstreams.values())]
    named += [one.key for one in config.transfer_hosts.values()]
    if not config.open:
        named.append(config.tls.key)
    found = [Path(os.path.normpath(root / name)) for name in named if name]
    return [file for file in dict.fromkeys(found) if os.path.lexists(file)]


def _secret(file: Path, owner: int, *, strict: bool = True) -> _Fault | None:
    """What is wrong with a secret's file or folder. Without `strict` its group may read it: the service's own."""
    status = file.lstat()
    if stat.S_ISLNK(status.st_mode):
        status = file.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (owner, 0):
        return _Fault(f"{file} belongs to uid {status.st_uid}", f"chown {owner} {file}; see who had it")
    shut = _WRITE if file.name.endswith(_PUBLIC) else _READ if strict else 0o037
    if mode & shut:
        wanted = "644" if file.name.endswith(_PUBLIC) else "700" if stat.S_ISDIR(status.st_mode) else "600"
        remedy = f"chmod {wanted} {file}"
        if shut != _WRITE:
            remedy += "; where somebody may have copied it, make another key"
        return _Fault(f"{file} is open to other accounts (mode {mode:04o})", remedy)
    return None


def _unchangeable(file: Path, owner: int) -> _Fault | None:
    status = file.lstat()
    if stat.S_ISLNK(status.st_mode):  # a folder that stands elsewhere, as a store on its own disk
        status = file.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (owner, 0):
        return _Fault(f"{file} belongs to uid {status.st_uid}", f"chown {owner} {file}; see who had it")
    if mode & _WRITE:
        return _Fault(f"{file} can be changed by other accounts (mode {mode:04o})", f"chmod go-w {file}")
    return None


class _Named(NamedTuple):
    """A file of certificates: a chain, all of which must be good, or authorities, of which one must be."""

    name: str
    path: Path
    is_chain: bool


def look_at_certificates(paths: StationPaths, config: Config) -> Iterator[Examined]:
    """A check `certificate NAME` for each file of certificates that the settings use; `certificates` where none is."""
    files = list(_files(paths.root, config))
    if not files:
        yield Examined(name="certificates", state="unused", detail="no setting uses any")
    for one in files:
        yield _certificates(one)


def _files(root: Path, config: Config) -> Iterator[_Named]:
    if not config.open:
        yield _Named("server", config.tls.path(root, "certificate"), True)
        if config.tls.path(root, "ca").is_file():
            yield _Named("CA", config.tls.path(root, "ca"), False)
        if config.tls.clients != "off" and config.tls.client_ca:
            yield _Named("CA of clients", config.tls.path(root, "client_ca"), False)
    others = [("syslog", config.syslog.ca, config.syslog.client_cert)]
    others += [(f"registry {host}", one.ca, one.client_cert) for host, one in config.upstreams.items()]
    for name, ca, shown in others:
        if ca:
            yield _Named(f"CA of {name}", root / ca, False)
        if shown:
            yield _Named(f"for {name}", root / shown, True)


def _certificates(one: _Named) -> Examined:
    name = f"certificate {one.name}"
    try:
        raw = read_small(Path(os.path.realpath(one.path)), MIB)
    except LockgateError as error:
        return Examined.of_error(name, error, "wrong" if not one.path.exists() else "not-checked")
    try:
        found = x509.load_pem_x509_certificates(raw)
    except ValueError:
        return Examined(name=name, state="wrong", detail=f"no certificates: {one.path}", remedy="put a PEM file there")
    now = datetime.now(UTC)
    early = [entry for entry in found if entry.not_valid_before_utc > now]
    if early and (one.is_chain or len(early) == len(found)):
        begins = early[0].not_valid_before_utc.strftime(clock.FORMAT)
        detail = f"{one.path} is not good before {begins}"
        return Examined(name=name, state="wrong", detail=detail, remedy="see whether the clock is right: date -u")
    choose = min if one.is_chain else max
    ends = choose(entry.not_valid_after_utc for entry in found)
    expiry = Expiry(one.name, one.path, ends.strftime(clock.FORMAT), int((ends - now).total_seconds()))
    state: State = "ok" if not expiry.level else "wrong" if expiry.level >= 3 else "attention"
    remedy = "lockgate tls renew" if one.name == "server" else "put a newer one there, then restart the station"
    return Examined(name=name, state=state, detail=expiry.text, remedy=remedy if expiry.level else "")
