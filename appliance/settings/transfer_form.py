"""What the settings of a transfer host may be (appliance.settings.transfer_hosts)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from appliance import limits
from appliance.settings import diodes
from appliance.settings.form_kinds import FILE, FLAG, Form, passes, text, texts, whole
from appliance.settings.transfer_hosts import check_fingerprint, check_folder, check_user, parse_hours, split_address

NAME: Final = re.compile(r"[a-z0-9-]{1,32}\Z")


def _is_whole(path: str) -> bool:
    return path.startswith("/") and os.path.normpath(path) == path and path != "/"


_HOST: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "address": Form('an SSH server, as "sftp.example" or "sftp.example:2022"', passes(split_address)),
        "user": Form("the account's name there", passes(check_user)),
        "host_keys": texts('fingerprints as ssh-keygen -l prints them, as "SHA256:…"', passes(check_fingerprint)),
        "folder": Form("a folder on it, as \"/incoming\", or \"\" for where a log-in starts", passes(check_folder)),
        "key": FILE,
        "certificate": FILE,
        "agent": Form("the whole path of an agent's socket", text(lambda value: value.startswith("/"))),
        "password": FLAG,
        "through": Form("the name of another transfer host", text(lambda value: NAME.match(value) is not None)),
        "rate": whole(0, 10**12, " of bytes a second"),
        "parallel": whole(1, limits.SFTP_PARALLEL, " of files at once"),
        "hours": texts('windows in UTC, as "22:00-05:30"', passes(parse_hours)),
        "compare": FLAG,
    }
)  # fmt: skip

TRANSFER_HOSTS: Final = Form(
    f"a table for each of at most {limits.TRANSFER_HOSTS} transfer hosts, named by a-z, 0-9 and -, as"
    " [transfer_hosts.dropzone]",
    lambda value: isinstance(value, dict) and len(value) <= limits.TRANSFER_HOSTS,
    name=text(lambda name: NAME.match(name) is not None), inside=_HOST,
)  # fmt: skip


DROP_FOLDERS: Final = Form(
    f"a table for each of at most {limits.DROP_FOLDERS} folders, named by a-z, 0-9 and -, as [drop_folders.incoming]",
    lambda value: isinstance(value, dict) and len(value) <= limits.DROP_FOLDERS,
    name=text(lambda name: NAME.match(name) is not None),
    inside={"path": Form('the whole path of a folder, as "/srv/incoming"', text(_is_whole))},
)  # fmt: skip


_DIODE: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "address": Form('an IP address, as "10.9.0.2:7416"', passes(diodes.split_address)),
        "mtu": whole(600, 9000, " of bytes"),
        "rate": whole(10_000, 10**10, " of bytes a second"),
        "repair": whole(0, 200, " of percent"),
        "repeat": whole(1, limits.DIODE_ROUNDS, " of rounds"),
        "drop_folder": Form("the name of a drop folder", text(lambda value: NAME.match(value) is not None)),
        "key": FLAG,
    }
)

DIODES: Final = Form(
    f"a table for each of at most {limits.DIODES} one-way links, named by a-z, 0-9 and -, as [diodes.gap]",
    lambda value: isinstance(value, dict) and len(value) <= limits.DIODES,
    name=text(lambda name: NAME.match(name) is not None), inside=_DIODE,
)  # fmt: skip


def wrong_transfers(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Settings that are right by themselves and not together: table, name, key (or "" for all of it), what is wrong and
    what to do."""
    for name, folder in document.get("drop_folders", {}).items():
        if not folder.get("path"):
            yield "drop_folders", name, "path", "a setting is missing", "write path = the whole path of a folder"
        if document["side"] != "inside":
            yield "drop_folders", name, "", "an outside station imports nothing", "write it on the inside station"
    for fault in _wrong_diodes(document):
        yield "diodes", *fault
    for fault in _wrong_hosts(document.get("transfer_hosts", {})):
        yield "transfer_hosts", *fault


def _wrong_diodes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    folders = document.get("drop_folders", {})
    for name, diode in document.get("diodes", {}).items():
        if not diode.get("address"):
            yield name, "address", "a setting is missing", f"write address = {_DIODE['address'].says}"
        into = diode.get("drop_folder", "")
        if document["side"] == "inside" and not into:
            yield name, "drop_folder", "a setting is missing", "write drop_folder = the NAME of a [drop_folders.NAME]"
        elif document["side"] == "inside" and into not in folders:
            yield name, "drop_folder", "no drop folder is called so", f"write [drop_folders.{into}] too"
        elif document["side"] != "inside" and into:
            yield name, "drop_folder", "an outside station receives nothing", "leave it out"


def _wrong_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for name, host in hosts.items():
        for needed in ("address", "user", "host_keys"):
            if not host.get(needed):
                yield name, needed, "a setting is missing", f"write {needed} = {_HOST[needed].says}"
        if host.get("certificate") and not (host.get("key") or host.get("agent")):
            yield name, "certificate", "a certificate has a key", "write key = FILE too, or agent = SOCKET"
        seen, at = {name}, host.get("through", "")
        if at and at not in hosts:
            yield name, "through", "no transfer host is called so", f"write [transfer_hosts.{at}] too"
        while at in hosts and at not in seen:
            seen.add(at)
            at = hosts[at].get("through", "")
        if at in seen:
            yield name, "through", "hosts that are reached through one another", "leave one `through` out"
        elif len(seen) > limits.SFTP_JUMPS + 1:
            yield name, "through", "too many hosts on the way", f"at most {limits.SFTP_JUMPS} stand before one"
