"""What each setting of config.toml may be: one table, for `load_config`, `serve` and `lockgate config check`
(appliance.settings.faults)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
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
from appliance.settings.blobs import BLOBS
from appliance.settings.cache_form import CACHES
from appliance.settings.directory import DIRECTORY
from appliance.settings.form_kinds import FILE, FLAG, Form, choice, is_number, passes, text, texts, whole
from appliance.settings.malware import MALWARE
from appliance.settings.metadata import METADATA
from appliance.settings.quarantine import QUARANTINE
from appliance.settings.redirects import check_hosts
from appliance.settings.traces import TRACES
from appliance.settings.transfer_form import DIODES, DROP_FOLDERS, REPLICAS, STANDBY, TRANSFER_HOSTS
from appliance.settings.upstreams import check_mirror, check_proxy
from appliance.settings.webhooks import check_url
from appliance.settings.workload_issuers import WORKLOAD_ISSUERS
from bundles import limits
from bundles.errors import LockgateError
from bundles.oci.reference import Reference, check_registry, check_site

_STREAM: Final = re.compile(r"[a-z0-9.*?-]{1,65}\Z")
_GROUP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?\Z")
_ACT: Final = re.compile(r"[a-z][a-z.-]{0,39}\*?\Z|\*\Z")
_OBJECTIVE_NAME: Final = re.compile(r"[a-z0-9-]{1,32}\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}\Z")
_ROBOT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_RATE_MOST: Final = 1_000_000


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
is_network: Final = passes(lambda value: parse_networks([value]))
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

WEBHOOK: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "url": Form('a URL without an account, as "https://hooks.example/lockgate"; plain HTTP on loopback alone',
                    passes(check_url)),
        "acts": texts('acts of the audit log, as "intake.release" or "push-*"',
                       text(lambda value: _ACT.match(value) is not None)),
        "repositories": _PATTERNS,
        "addresses": texts(_NETWORKS, is_network),
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
        "access.addresses": texts(_NETWORKS, is_network),
        "access.metrics_addresses": texts(_NETWORKS, is_network),
        "access.role_addresses": Form(
            f'roles ({", ".join(ROLES)}) with lists of networks, as writer = ["10.1.0.0/16"]',
            lambda value: isinstance(value, dict), is_network, lambda name: name in ROLES,
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
        **METADATA,
        **BLOBS,
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
            name=text(lambda name: _OBJECTIVE_NAME.match(name) is not None), inside=WEBHOOK,
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
        "syslog.program": FLAG,
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
        **STANDBY,
        "upstreams": Form(
            'a table for each registry, by its host in quotes and lower case, as [upstreams."registry.example:5000"]',
            lambda value: isinstance(value, dict), name=passes(_host_in_lower_case), inside=_UPSTREAM,
        ),
    }
)  # fmt: skip
"""Every setting, by its key with its table's name before it."""


def _check_host(host: str) -> None:
    check_hosts([host])
