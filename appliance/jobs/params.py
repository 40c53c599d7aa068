"""What the params of each kind of job may hold, as JSON schema: the API shows it, and nothing else is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from appliance.file_url import check_file_url
from appliance.handles.params import DOCUMENT_SCHEMA, HANDLE_SCHEMA
from appliance.jobs.forms import check_form
from appliance.limits import collecting as limits
from bundles.errors import UsageError
from bundles.oci.reference import DOCKER_SCHEME, check_registry

_NO_REFERENCE: Final = re.compile(r"[?#]|://|\A[^/]*@")
"""What makes a text a URL, with an account or a query, and no reference to another registry."""

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_FLAG: Final = {"type": "boolean"}
SIZE: Final = {"type": ["string", "integer"]}
_HANDLES: Final = {"type": "array", "items": HANDLE_SCHEMA}
SINCE: Final = {"oneOf": [{"type": "string", "enum": ["none", "last"]}, DOCUMENT_SCHEMA]}
"""What a delta stands on: a word, or the document that came back."""

_PINNED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["reference", "digest"],
    "properties": {"reference": _TEXT, "digest": _TEXT},
    "additionalProperties": False,
}
"""An artifact that a source must give, as a lock has it."""

_SELECT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "exclude": _TEXTS, "range": _TEXT, "variant": _TEXT,
        "newest": {"type": "integer", "minimum": 1, "maximum": limits.COLLECT_CHOSEN},
        "created_since": _TEXT, "latest": {"type": "integer", "minimum": 1, "maximum": limits.COLLECT_CHOSEN},
    },
    "additionalProperties": False,
}  # fmt: skip
"""Which tags are taken of a source that is many (appliance.selecting.selection)."""

_SOURCE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {
            "type": "string",
            "enum": [
                "layout",
                "oci-archive",
                "docker-archive",
                "dir",
                "file",
                "registry-folder",
                "registry",
                "tags",
                "url",
            ],
        },
        "path": HANDLE_SCHEMA,
        "reference": _TEXT,
        "url": _TEXT,
        "sha256": _TEXT,
        "name": {"type": ["string", "null"]},
        "tag": {"type": ["string", "null"]},
        "as": {"type": ["string", "null"]},
        "redirects": {"type": ["array", "null"], "items": _TEXT},
        "pinned": {"type": ["array", "null"], "items": _PINNED},
        "last": _FLAG,
        "platforms": {"type": ["array", "null"], "items": _TEXT},
        "select": {"oneOf": [{"type": "null"}, _SELECT]},
    },
    "additionalProperties": False,
}

ACCOUNTS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["handle", "hosts"],
    "properties": {"handle": _TEXT, "hosts": _TEXTS},
    "additionalProperties": False,
}
"""Accounts at registries: a secret's handle, and the registries in it. A job's own params have the hosts alone."""

SECRET_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["handle"],
    "properties": {"handle": _TEXT},
    "additionalProperties": False,
}
"""A password, or a key's passphrase: a secret's handle. A job's own params have `true` in its place."""

JOB_PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "collect": {"sources!": {"type": "array", "items": _SOURCE}, "update": _FLAG, "accounts": ACCOUNTS_SCHEMA,
                "plan": {"type": "string", "enum": ["", "digests", "bytes"]}},
    "build": {
        "to!": _TEXT, "references!": _TEXTS, "volume": SIZE, "since": SINCE, "out!": _HANDLES, "sign_with!": _TEXT,
        "cosigners": _TEXTS, "not_after": {"type": ["string", "null"]},
    } | dict.fromkeys(("require_sbom", "new_site", "changed"), _FLAG)
    | dict.fromkeys(("purpose", "authorisation", "classification"), _TEXT),
    "recut": {"id!": _TEXT, "media!": {"type": "array", "items": {"type": "integer"}}, "out!": _HANDLES},
    "import": {"paths!": _HANDLES, "partial": _FLAG},
    "inspect": {"id!": _TEXT, "scan": _FLAG},
    "gc": {
        "dry_run": _FLAG, "now": _FLAG, "untagged": _FLAG, "retired": _FLAG,
        "older_than": {"type": ["integer", "null"]},
    },
    "scrub": {"budget": {"type": ["number", "null"]}, "restart": _FLAG},
    "scan": {"references!": _TEXTS, "again": _FLAG, "malware": _FLAG, "content": _FLAG},
    "advisories": {"path": HANDLE_SCHEMA, "reference": _TEXT, "source": {"type": ["string", "null"]}, "replace": _FLAG},
    "sftp-push": {"paths!": _HANDLES, "to!": _TEXT, "secret": SECRET_SCHEMA},
    "sftp-pull": {"id!": _TEXT, "from!": _TEXT, "out!": HANDLE_SCHEMA, "secret": SECRET_SCHEMA},
    "sftp-list": {"at!": _TEXT, "secret": SECRET_SCHEMA},
    "diode-send": {"paths!": _HANDLES, "over!": _TEXT, "repeat": {"type": ["integer", "null"]},
                   "rate": {"type": ["integer", "null"]}, "missing": _TEXT},
    "diode-receive": {"from!": _TEXT, "once": _FLAG},
    "warm": {"references!": _TEXTS, "platforms": {"type": ["array", "null"], "items": _TEXT}},
    "replica": {"name!": _TEXT, "once": _FLAG, "now": _FLAG, "take": _TEXTS},
    "receipt": {"out!": HANDLE_SCHEMA, "sequence_only": _FLAG},
}  # fmt: skip
"""By kind of job; `!` marks what must be there."""


def check_params(kind: str, params: Mapping[str, Any]) -> None:
    """Raises UsageError for a parameter that the kind does not have: what is not described is not taken. And for a
    file's URL that may hold a secret: params are kept, and shown to others than the caller."""
    known = sorted(name.rstrip("!") for name in JOB_PARAMS[kind])
    if strange := sorted(set(params).difference(known)):
        raise UsageError(
            f"a {kind} job takes no such parameter", thing=strange[0][:80], remedy=f"it takes {', '.join(known)}"
        )
    sources = params.get("sources")
    for entry in sources if isinstance(sources, list) else []:
        if not isinstance(entry, dict) or not set(entry) <= set(_SOURCE["properties"]):
            raise UsageError(
                "malformed parameters",
                thing="`sources`",
                remedy=f"give {', '.join(_SOURCE['properties'])}",
            )
        _check_addresses(entry)
    for name, schema in JOB_PARAMS[kind].items():
        check_form(name.rstrip("!"), schema, params.get(name.rstrip("!")))


def _check_addresses(entry: Mapping[str, Any]) -> None:
    """Raises UsageError where a source's URL or reference may hold a secret; it is not quoted."""
    if entry.get("kind") == "url" or "url" in entry:
        url = entry.get("url")
        if not isinstance(url, str):
            raise UsageError("malformed parameters", thing="a source's `url` is a text", remedy="give the URL")
        check_file_url(url)
    reference = entry.get("reference")
    if isinstance(reference, str) and _NO_REFERENCE.search(reference.removeprefix(DOCKER_SCHEME)):
        raise UsageError(
            "malformed remote reference", thing="a source's `reference`", remedy="write HOST[:PORT]/repository:tag"
        )


def check_secret(value: Any) -> str:
    """The handle of a `secret` as a request has it. Raises UsageError."""
    if isinstance(value, dict) and set(value) == {"handle"} and isinstance(value["handle"], str):
        return str(value["handle"])
    raise UsageError(
        "malformed parameters", thing="`secret` is the handle of a secret",
        remedy="see docs/reference/control-api.md, Handles",
    )  # fmt: skip


def check_accounts(value: Any) -> tuple[str, list[str]]:
    """The handle and the registries of `accounts` as a request has them. Raises UsageError, MalformedError."""
    fields = value if isinstance(value, dict) and set(value) == set(ACCOUNTS_SCHEMA["required"]) else {}
    handle, hosts = fields.get("handle"), fields.get("hosts")
    if (
        not isinstance(handle, str)
        or not isinstance(hosts, list)
        or len(hosts) > limits.ACCOUNTS_HOSTS
        or not all(isinstance(host, str) for host in hosts)
    ):
        raise UsageError(
            "malformed parameters", thing="`accounts` is the handle of a secret, and at most"
            f" {limits.ACCOUNTS_HOSTS} registries", remedy="see docs/reference/control-api.md, Handles",
        )  # fmt: skip
    return handle, [check_registry(host) for host in hosts]
