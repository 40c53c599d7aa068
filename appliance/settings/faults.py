"""What is wrong in a config.toml: its settings held against their forms, and against one another.

A fault names the key, the value that was found and the form that is allowed. All faults of a file are found at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from appliance.settings.cache_form import wrong_caches
from appliance.settings.directory import missing_in
from appliance.settings.form import FORMS, WEBHOOK, is_network
from appliance.settings.form_kinds import FILE, Form, without_password
from appliance.settings.transfer_form import wrong_transfers
from appliance.settings.workload_issuers import wrong_issuers
from bundles.errors import MalformedError
from bundles.io import toml

REFERENCE: Final = "see docs/reference/configuration.md"
_SHOWN: Final = 80
"""Characters of a value that a message shows."""
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


_TABLES: Final = frozenset(key.rpartition(".")[0] for key in FORMS) - {""}
_TABLES_OF_TABLES: Final = (
    "access.role_addresses", "collect.redirects", "upstreams", "transfer_hosts", "drop_folders", "diodes",
    "workload_issuers", "caches", "replicas", "quarantine.sites",
)  # fmt: skip


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
    if form.each is is_network and isinstance(element, str):
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


def _wrong_standby(document: Mapping[str, Any]) -> Iterator[Fault]:
    exchange = document.get("standby", {}).get("exchange", "")
    if exchange and document["side"] != "inside":
        yield Fault("standby.exchange", _written(exchange), "an outside station has no stand-by",
                    "leave it out; another outside follows by [replicas] of its own")  # fmt: skip
    if exchange and document.get("metadata", {}).get("url"):
        yield Fault("standby.exchange", _written(exchange), "metadata in PostgreSQL has no stand-by of its own here",
                    "leave it out; PostgreSQL keeps copies of its databases")  # fmt: skip


def _without_collector(syslog: Mapping[str, Any]) -> Iterator[Fault]:
    if syslog.get("host") and not syslog.get("ca"):
        yield Fault("syslog.ca", '""', "a setting is missing", f"write ca = {FILE.says}")
    if syslog.get("program") and not syslog.get("host"):
        yield Fault("syslog.program", "true", "there is no collector to send it to", "write host = HOST:PORT too")


def _at_odds(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Settings that are right by themselves and not together."""
    yield from _wrong_standby(document)
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
                            f"write {needed} = {WEBHOOK[needed].says}")  # fmt: skip
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
    yield from _without_collector(document.get("syslog", {}))
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
    text = without_password(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
