"""What each setting of config.toml may be: one table, for `load_config`, `serve` and `lockgate config check`.

A fault names the key, the value that was found and the form that is allowed. All faults of a file are found at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from appliance.addresses import split_listen
from appliance.api.states import ROLES
from appliance.limits import access as access_limits
from appliance.limits import collecting as collecting_limits
from appliance.limits import forwarding as forwarding_limits
from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import station as station_limits
from appliance.permissions import check_pattern, parse_networks
from appliance.settings.admission import ADMISSION
from appliance.settings.cache_form import CACHES, wrong_caches
from appliance.settings.directory import DIRECTORY, missing_in
from appliance.settings.form_kinds import FILE, FLAG, Form, choice, is_number, passes, text, texts, whole
from appliance.settings.malware import MALWARE
from appliance.settings.quarantine import QUARANTINE
from appliance.settings.redirects import check_hosts
from appliance.settings.traces import TRACES
from appliance.settings.transfer_form import DIODES, DROP_FOLDERS, REPLICAS, TRANSFER_HOSTS, wrong_transfers
from appliance.settings.upstreams import check_mirror, check_proxy
from appliance.settings.webhooks import check_url
from appliance.settings.workload_issuers import WORKLOAD_ISSUERS, wrong_issuers
from bundles import limits
from bundles.errors import LockgateError, MalformedError
from bundles.io import toml
from bundles.oci.reference import Reference, check_registry, check_site

REFERENCE: Final = "see docs/reference/configuration.md"
_SHOWN: Final = 80
"""Characters of a value that a message shows."""
_STREAM: Final = re.compile(r"[a-z0-9.*?-]{1,65}\Z")
_GROUP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?\Z")
_ACT: Final = re.compile(r"[a-z][a-z.-]{0,39}\*?\Z|\*\Z")
_OBJECTIVE_NAME: Final = re.compile(r"[a-z0-9-]{1,32}\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}\Z")
_ROBOT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_RATE_MOST: Final = 1_000_000
_ELSEWHERE: Final = frozenset({"rule", "separate", "people", "break_glass", "required_inspectors", "sources"})
"""Keys of approvals.toml."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A setting that is wrong. `key` has its table before it, as `access.addresses`, and is "" for the file itself;
    `value` is as the file has it, shortened; `what` says what is wrong; `remedy` is the allowed form, or what the key
    is called."""

    key: str
    value: str
    what: str
    remedy: str

    @property
    def thing(self) -> str:
        """The key with its value."""
        return f"{self.key} = {self.value}" if self.key and self.value else self.key or self.value


def _is_path(value: str) -> bool:
    """A whole path, as it would be printed, other than the root of everything."""
    return value.startswith("/") and os.path.normpath(value) == value and value != "/"


def _is_stream(value: str) -> bool:
    """A pattern that some stream can match: SITE.SITE, or something with a wildcard."""
    return _STREAM.match(value) is not None and ("*" in value or "?" in value or value.count(".") == 1)


def _is_rate(value: Any) -> bool:
    is_finite = (is_number(value) or isinstance(value, float)) and math.isfinite(value)
    return is_finite and 0 <= value <= _RATE_MOST


def _host_in_lower_case(value: str) -> None:
    check_registry(value)
    if value != value.lower():
        raise LockgateError("a host in capitals")


_LISTEN: Final = 'an address and a port, as "127.0.0.1:5000" or "[::1]:5000"'
_PATTERNS: Final = texts('patterns of repositories, as "team/app", "team/*" or "team/**"', passes(check_pattern))
_NETWORKS: Final = 'networks or addresses, as "10.0.0.0/8" or "10.1.2.3"'
_is_network: Final = passes(lambda value: parse_networks([value]))
_MIRRORS: Final = (
    f'at most {collecting_limits.UPSTREAM_MIRRORS} mirrors, as "mirror.example" or "cache.example:5000/hub"'
)
_UPSTREAM: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "ca": FILE,
        "client_cert": FILE,
        "client_key": FILE,
        "plain_http": FLAG,
        "proxy": Form('a URL without an account, as "http://proxy.example:3128", or "" for none',
                      text(lambda value: value == "" or passes(check_proxy)(value))),
        "mirrors": Form(f"a list of {_MIRRORS}",
                        lambda value: isinstance(value, list) and len(value) <= collecting_limits.UPSTREAM_MIRRORS,
                        passes(check_mirror)),
        "concurrency": whole(1, collecting_limits.UPSTREAM_CONCURRENCY, " of requests at once"),
    }
)  # fmt: skip
"""The settings of one registry."""

_WEBHOOK: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "url": Form('a URL without an account, as "https://hooks.example/lockgate"; plain HTTP on loopback alone',
                    passes(check_url)),
        "acts": texts('acts of the audit log, as "intake.release" or "push-*"',
                       text(lambda value: _ACT.match(value) is not None)),
        "repositories": _PATTERNS,
        "addresses": texts(_NETWORKS, _is_network),
        "ca": FILE,
    }
)  # fmt: skip
"""The settings of one webhook."""

_percent: Final = Form("a number of percent above 0 and below 100", lambda value: _is_rate(value) and 0 < value < 100)
_owner: Final = Form(f"a text of at most {station_limits.SLO_TEXT} characters without line breaks",
                     text(lambda value: len(value) <= station_limits.SLO_TEXT and value.isprintable()))  # fmt: skip
_OBJECTIVE: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "repositories": _PATTERNS,
        "pulls": _percent,
        "pushes": _percent,
        "fast_pulls": _percent,
        "pull_seconds": Form("a number of seconds from 0.001 to 300",
                             lambda value: _is_rate(value) and 0.001 <= value <= 300),
        "owner": _owner,
        "contact": _owner,
    }
)  # fmt: skip
"""The settings of one objective."""

FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "site": Form('1 to 32 of a-z, 0-9 and -, as "alpha"', passes(check_site), required=True),
        "side": Form('"outside" or "inside"', lambda value: value in ("outside", "inside"), required=True),
        "open": FLAG,
        "listen": Form(_LISTEN, passes(split_listen)),
        "workers": whole(1, 64),
        "approvals_needed": whole(1, 16),
        "approval_hours": whole(1, 24 * 366, " of hours"),
        "partial_imports": texts('streams, as "alpha.bravo" or "alpha.*"', text(_is_stream)),
        "sparse_indexes": FLAG,
        "chunk_minimum": whole(0, limits.MIB * 1024, " of bytes"),
        "reverify_hours": whole(*lifecycle_limits.REVERIFY_HOURS, " of hours"),
        "gc_grace_hours": whole(*lifecycle_limits.GC_GRACE_HOURS, " of hours"),
        "metrics_listen": Form(f'{_LISTEN}, or ""', lambda value: value == "" or passes(split_listen)(value)),
        "media_roots": texts('whole paths of folders, as "/media"', text(_is_path)),
        "access.anonymous_pull": _PATTERNS,
        "access.addresses": texts(_NETWORKS, _is_network),
        "access.metrics_addresses": texts(_NETWORKS, _is_network),
        "access.role_addresses": Form(
            f'roles ({", ".join(ROLES)}) with lists of networks, as writer = ["10.1.0.0/16"]',
            lambda value: isinstance(value, dict), _is_network, lambda name: name in ROLES,
        ),
        "access.requests_per_second": Form(f"a number from 0 to {_RATE_MOST}", _is_rate),
        "access.socket_group": Form('the name of a group of this system, or ""',
                                    text(lambda value: value == "" or _GROUP.match(value) is not None)),
        "access.session_minutes": whole(1, access_limits.SESSION_LIFE // 60, " of minutes"),
        "tls.certificate": FILE,
        "tls.key": FILE,
        "tls.ca": FILE,
        "tls.clients": choice("off", "optional", "required"),
        "tls.client_ca": Form(f'{FILE.says}, or ""', text(lambda _: True)),
        "tls.minimum": choice("1.2", "1.3"),
        "registry.push": _PATTERNS,
        "sbom.syft": Form('the whole path of a program, as "/opt/syft", or ""',
                          text(lambda value: value == "" or _is_path(value))),
        "sbom.sha256": Form('64 hex digits in lower case, or ""',
                            text(lambda value: value == "" or _SHA256.match(value) is not None)),
        "sbom.on_push": FLAG,
        **MALWARE,
        **QUARANTINE,
        **ADMISSION,
        **DIRECTORY,
        **TRACES,
        "collect.redirects": Form(
            'registries, as references have them and in lower case, with lists of hosts, as'
            ' "registry.example" = ["cdn.example", "*.store.example"]',
            lambda value: isinstance(value, dict), lambda host: isinstance(host, str) and passes(_check_host)(host),
            passes(_host_in_lower_case),
        ),
        "collect.use_host_configuration": FLAG,
        "webhooks": Form(
            f"a table for each of at most {forwarding_limits.WEBHOOKS} endpoints, named by a-z, 0-9 and -, as"
            " [webhooks.deploy]",
            lambda value: isinstance(value, dict) and len(value) <= forwarding_limits.WEBHOOKS,
            name=text(lambda name: _OBJECTIVE_NAME.match(name) is not None), inside=_WEBHOOK,
        ),
        "log.format": choice("text", "json"),
        "log.requests": FLAG,
        "log.phases": FLAG,
        "probe.image": Form('a reference in the station, as "base/canary:1", or "" for none',
                            text(lambda value: value == "" or passes(Reference.parse)(value))),
        "probe.minutes": whole(0, station_limits.PROBE_MINUTES, " of minutes"),
        "probe.account": Form('a robot, as "robot-canary", or "" for nobody',
                              text(lambda value: value == "" or _ROBOT.match(value) is not None)),
        "probe.host": Form('a host\'s name or address, as "registry.example", or "" for none',
                           text(lambda value: value == "" or _HOST.match(value) is not None)),
        "probe.client_cert": FILE,
        "probe.client_key": FILE,
        "syslog.host": Form('a host and a port, as "logs.example:6514", or "" for none',
                            text(lambda value: value == "" or passes(split_listen)(value))),
        "syslog.ca": FILE,
        "syslog.name": Form('a host\'s name or address, as "logs.example", or "" for the host',
                            text(lambda value: value == "" or _HOST.match(value) is not None)),
        "syslog.client_cert": FILE,
        "syslog.client_key": FILE,
        "slo.days": whole(1, 90, " of days"),
        "slo.storage": _percent,
        "slo.authentication_errors": _percent,
        "slo.objectives": Form(
            f"a table for each of at most {station_limits.SLO_OBJECTIVES} objectives, named by a-z, 0-9 and -, as"
            " [slo.objectives.production]",
            lambda value: isinstance(value, dict) and len(value) <= station_limits.SLO_OBJECTIVES,
            name=text(lambda name: _OBJECTIVE_NAME.match(name) is not None and name != "other"), inside=_OBJECTIVE,
        ),
        "transfer_hosts": TRANSFER_HOSTS,
        "drop_folders": DROP_FOLDERS,
        "diodes": DIODES,
        "workload_issuers": WORKLOAD_ISSUERS,
        "caches": CACHES,
        "replicas": REPLICAS,
        "upstreams": Form(
            'a table for each registry, by its host in quotes and lower case, as [upstreams."registry.example:5000"]',
            lambda value: isinstance(value, dict), name=passes(_host_in_lower_case), inside=_UPSTREAM,
        ),
    }
)  # fmt: skip
"""Every setting, by its key with its table's name before it."""

_TABLES: Final = frozenset(key.rpartition(".")[0] for key in FORMS) - {""}
_TABLES_OF_TABLES: Final = (
    "access.role_addresses", "collect.redirects", "upstreams", "transfer_hosts", "drop_folders", "diodes",
    "workload_issuers", "caches", "replicas", "quarantine.sites",
)  # fmt: skip


def _check_host(host: str) -> None:
    check_hosts([host])


def faults(raw: bytes) -> list[Fault]:
    """What is wrong in a config.toml, in the file's order; nothing where it can be used."""
    try:
        raw.decode()
        document = toml.loads(raw)
    except UnicodeDecodeError as error:
        return [Fault("", f"byte {error.start}", f"not UTF-8 ({error.reason})", "write the file in UTF-8")]
    except MalformedError as error:
        remedy = "correct the line: KEY = VALUE below its [TABLE], with texts in quotes"
        if raw.startswith(b"\xef\xbb\xbf"):
            remedy = "save the file without a byte order mark"
        return [Fault("", "", f"not TOML: {error.what[:160]}", remedy)]
    found = list(_unfit(document))
    return found or list(_at_odds(document))


def _unfit(document: Mapping[str, Any]) -> Iterator[Fault]:
    for key, form in FORMS.items():
        if form.required and key not in document:
            yield Fault(key, "", "a setting is missing", f"write {key} = {form.says}")
    for key, value in _settings(document):
        if key not in FORMS:
            yield _unknown(key, value)
            continue
        form = FORMS[key]
        if not form.fits(value):
            yield Fault(key, _written(value), "a wrong value", f"write {form.says}")
        elif isinstance(value, dict):
            yield from _unfit_table(key, form, value)
        elif form.each is not None:
            yield from (_unfit_element(key, form, each) for each in value if not form.each(each))


def _unfit_table(key: str, form: Form, table: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in table.items():
        inner = f"{key}.{_quoted(name)}"
        if form.inside is not None and isinstance(value, dict) and form.name is not None and form.name(name):
            yield from _unfit_settings(inner, form.inside, value)
            continue
        if form.name is not None and not form.name(name):
            yield _misplaced(name, inner, value) or Fault(inner, _written(value), "a wrong key", f"write {form.says}")
        elif not isinstance(value, list):
            yield Fault(inner, _written(value), "a wrong value", f"write {form.says}")
        elif form.each is not None:
            yield from (_unfit_element(inner, form, each) for each in value if not form.each(each))


def _unfit_settings(table: str, forms: Mapping[str, Form], settings: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in settings.items():
        key, form = f"{table}.{_quoted(name)}", forms.get(name)
        if form is None:
            near = difflib.get_close_matches(_plain(name), forms, 1)
            meant = f"did you mean {near[0]}?" if near else f"use {', '.join(forms)}"
            yield Fault(key, _written(value), "config.toml has no such setting", meant)
        elif not form.fits(value):
            yield Fault(key, _written(value), "a wrong value", f"write {form.says}")
        elif form.each is not None:
            yield from (_unfit_element(key, form, each) for each in value if not form.each(each))


def _unfit_element(key: str, form: Form, element: Any) -> Fault:
    remedy = f"write {form.says}"
    if form.each is _is_network and isinstance(element, str):
        try:  # a network with bits of a host in it: the address may be meant, or the network
            network = ipaddress.ip_network(element, strict=False)
            remedy = f'write "{network}" for the network, or "{element.partition("/")[0]}" for the address'
        except ValueError:
            pass
    return Fault(key, f"[{_written(element)}]", "a wrong value in a list", remedy)


def _settings(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting of a file with its table's name before it; a table that is none of ours as a whole."""
    for name, value in document.items():
        if name in _TABLES and isinstance(value, dict):
            yield from ((f"{name}.{_quoted(inner)}", each) for inner, each in value.items())
        else:
            yield _quoted(name), value


def _unknown(key: str, value: Any) -> Fault:
    """A key that nothing is called: with what is near, in its own table first."""
    what = "config.toml has no such table" if isinstance(value, dict) else "config.toml has no such setting"
    if key in _TABLES:
        return Fault(key, _written(value), "a wrong value", f"write it as a table: [{key}], and its settings below")
    table, _, name = key.rpartition(".")
    if isinstance(value, dict):
        near = difflib.get_close_matches(_plain(key), [*_TABLES, *_TABLES_OF_TABLES], 1)
        return Fault(f"[{key}]", "", what, f"did you mean [{near[0]}]?" if near else REFERENCE)
    found = _misplaced(name, key, value)
    if found is not None:
        return found
    for names in ([one for one in FORMS if one.rpartition(".")[0] == table], list(FORMS)):
        by_name = {one.rpartition(".")[2]: one for one in names}
        near = difflib.get_close_matches(_plain(name), by_name, 1)
        if near:
            return Fault(key, _written(value), what, f"did you mean {_in_place(by_name[near[0]], table)}?")
    return Fault(key, _written(value), what, REFERENCE)


def _misplaced(name: str, key: str, value: Any) -> Fault | None:
    """The fault of a setting that stands in another table than its own."""
    what = "a setting in the wrong place"
    for one in FORMS:
        if one.rpartition(".")[2] == name:
            place = one.rpartition(".")[0]
            remedy = f"move it below [{place}]" if place else "move it to the top of the file, before the first [TABLE]"
            return Fault(key, _written(value), what, remedy)
    if name in _ELSEWHERE:
        return Fault(key, _written(value), what, "move it to approvals.toml")
    return None


def _in_place(key: str, table: str) -> str:
    place, _, name = key.rpartition(".")
    if place == table:
        return name
    return f"{name}, below [{place}]" if place else f"{name}, at the top of the file"


def _at_odds(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Settings that are right by themselves and not together."""
    tls = document.get("tls", {})
    needed, is_open = document.get("approvals_needed", 2), document.get("open", False)
    if needed < 2 and not is_open:
        yield Fault("approvals_needed", _written(needed), "a wrong value",
                    "write a whole number from 2 to 16: one suffices on an open station alone")  # fmt: skip
    clients, client_ca = tls.get("clients", "off"), tls.get("client_ca", "")
    if clients == "off" and client_ca:
        yield Fault("tls.client_ca", _written(client_ca), "clients and client_ca go together",
                    'write clients = "optional" or "required" too, or client_ca = ""')  # fmt: skip
    if clients != "off" and not client_ca:
        yield Fault("tls.clients", _written(clients), "clients and client_ca go together",
                    'write client_ca = FILE too, or clients = "off"')  # fmt: skip
    for name, webhook in document.get("webhooks", {}).items():
        for needed in ("url", "acts", "addresses"):
            if not webhook.get(needed):
                yield Fault(f"webhooks.{_quoted(name)}.{needed}", "", "a setting is missing",
                            f"write {needed} = {_WEBHOOK[needed].says}")  # fmt: skip
    for table, name, key, what, remedy in (
        *wrong_transfers(document), *wrong_issuers(document), *wrong_caches(document),
    ):  # fmt: skip
        value = document[table][name].get(key, "")
        where = f"{table}.{_quoted(name)}" + (f".{key}" if key else "")
        yield Fault(where, _written(value) if value else "", what, remedy)
    log = document.get("log", {})
    if log.get("requests") and log.get("format", "text") != "json":
        yield Fault("log.requests", "true", "requests are logged as JSON alone", 'write format = "json" too')
    if log.get("phases") and not log.get("requests"):
        yield Fault("log.phases", "true", "phases stand in the lines of requests", "write requests = true too")
    for host, upstream in document.get("upstreams", {}).items():
        key = f"upstreams.{_quoted(host)}"
        pair = upstream.get("client_cert", ""), upstream.get("client_key", "")
        if bool(pair[0]) is not bool(pair[1]):
            yield Fault(f"{key}.{'client_key' if pair[0] else 'client_cert'}", '""',
                        "client_cert and client_key go together", "write both, or neither")  # fmt: skip
        if upstream.get("plain_http") and (pair[0] or upstream.get("ca")):
            yield Fault(f"{key}.plain_http", "true", "plain HTTP has no certificates",
                        "leave ca, client_cert and client_key out, or plain_http")  # fmt: skip
    yield from _unpaired(document)


def _unpaired(document: Mapping[str, Any]) -> Iterator[Fault]:
    yield from (Fault(key, '""', "a setting is missing", f"write {says}") for key, says in missing_in(document))
    if (syslog := document.get("syslog", {})).get("host") and not syslog.get("ca"):
        yield Fault("syslog.ca", '""', "a setting is missing", f"write ca = {FILE.says}")
    pair = "client_cert", "client_key"
    for table, one, other in (("sbom", "syft", "sha256"), ("probe", *pair), ("syslog", *pair)):
        found = document.get(table, {})
        if bool(found.get(one)) is not bool(found.get(other)):
            missing = other if found.get(one) else one
            yield Fault(f"{table}.{missing}", '""', f"{one} and {other} go together", "write both, or neither")


def _plain(name: str) -> str:
    return name.strip('"').lower().replace("-", "_")


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _written(value: Any) -> str:
    """A value about as the file has it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
