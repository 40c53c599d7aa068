"""What the settings of transfer hosts, drop folders, diodes and replicas may be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from appliance.limits import diode as diode_limits
from appliance.limits import replication as replication_limits
from appliance.limits import standby as standby_limits
from appliance.limits import transfer as limits
from appliance.permissions import check_pattern
from appliance.settings import diodes
from appliance.settings.form_kinds import FILE, FLAG, Form, passes, text, texts, whole
from appliance.settings.replicas import split_url
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
        "repeat": whole(1, diode_limits.DIODE_ROUNDS, " of rounds"),
        "drop_folder": Form("the name of a drop folder", text(lambda value: NAME.match(value) is not None)),
        "key": FLAG,
    }
)

DIODES: Final = Form(
    f"a table for each of at most {diode_limits.DIODES} one-way links, named by a-z, 0-9 and -, as [diodes.gap]",
    lambda value: isinstance(value, dict) and len(value) <= diode_limits.DIODES,
    name=text(lambda name: NAME.match(name) is not None), inside=_DIODE,
)  # fmt: skip

_ROBOT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

_REPLICA: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "url": Form('a station\'s registry, as "https://primary.example:5000"; plain HTTP on loopback alone',
                    passes(split_url)),
        "ca": FILE,
        "account": Form('a robot there, as "robot-follower"', text(lambda value: _ROBOT.match(value) is not None)),
        "repositories": texts('patterns of repositories, as "team/app", "team/*" or "**"', passes(check_pattern)),
        "every": whole(*replication_limits.REPLICA_EVERY, " of seconds"),
        "hours": _HOST["hours"],
        "rate": _HOST["rate"],
        "deletes": FLAG,
        "follow": FLAG,
    }
)  # fmt: skip

REPLICAS: Final = Form(
    f"a table for each of at most {replication_limits.REPLICAS} stations that this one follows,"
    " named by a-z, 0-9 and -, as [replicas.north]",
    lambda value: isinstance(value, dict) and len(value) <= replication_limits.REPLICAS,
    name=text(lambda name: NAME.match(name) is not None), inside=_REPLICA,
)  # fmt: skip


STANDBY: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "standby.exchange": Form('the whole path of a folder, as "/mnt/standby", or "" for none',
                                 text(lambda value: value == "" or _is_whole(value))),
        "standby.every": whole(*standby_limits.STANDBY_EVERY, " of seconds"),
        "standby.hours": _HOST["hours"],
        "standby.rate": _HOST["rate"],
    }
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
    for fault in _wrong_replicas(document):
        yield "replicas", *fault


def _wrong_replicas(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, replica in document.get("replicas", {}).items():
        if document["side"] == "inside":
            yield name, "", "an inside station follows no other", "write it on an outside station"
        for needed in ("url", "repositories"):
            if not replica.get(needed):
                yield name, needed, "a setting is missing", f"write {needed} = {_REPLICA[needed].says}"
        secure = replica.get("url", "").startswith("https:")
        if secure and not replica.get("ca"):
            yield name, "ca", "a setting is missing", f"write ca = {FILE.says}: no other authority counts for it"
        if not secure and replica.get("ca"):
            yield name, "ca", "plain HTTP has no certificates", "leave ca out, or write url with https"


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
