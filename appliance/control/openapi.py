"""The control API as an OpenAPI document, made from its routes: what is served is in it, and nothing else.

Paths, methods, path parameters and permissions come from the routes themselves, schemas of answers from the shapes in
`appliance.control.answers`; what a query or a body may hold stands in the two tables below
(docs/reference/control-api.md says it in words).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web

from appliance.control.answers import OTHER_MEDIA, schemas
from appliance.handles.params import DOCUMENT_SCHEMA, HANDLE_SCHEMA
from appliance.jobs.kinds import KINDS
from appliance.jobs.params import JOB_PARAMS, SINCE, SIZE
from appliance.limits import image_signatures as limits

PATH: Final = "/v1/openapi.json"
_PARAMETER: Final = re.compile(r"\{(?P<name>\w+)(?::[^}]*)?\}")

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_DIGEST: Final = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"}
_BASE64: Final = {"type": "string", "format": "byte"}
_PAGE: Final = {"limit": {"type": "integer", "minimum": 1}, "after": _TEXT}
_FILTERED: Final = _PAGE | {"filter": _TEXT}


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name.rstrip("!") for name in fields if name.endswith("!")],
        "properties": {name.rstrip("!"): schema for name, schema in fields.items()},
        "additionalProperties": False,
    }


QUERIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "GET /v1/repositories": _FILTERED,
    "GET /v1/repositories/{name}/tags": _FILTERED,
    "GET /v1/repositories/{name}/untagged": _PAGE,
    "GET /v1/artifact": {"ref!": _TEXT},
    "GET /v1/signatures": {"ref!": _TEXT},
    "GET /v1/signatures/subjects": {"ref!": _TEXT, "recursive": _COUNT},
    "GET /v1/policy": {"ref!": _TEXT},
    "GET /v1/file": {"ref!": _TEXT},
    "GET /v1/file/content": {"ref!": _TEXT},
    "GET /v1/layer/files": {"ref!": _TEXT, "layer!": _DIGEST, "filter": _TEXT},
    "GET /v1/sbom": {"digest!": _DIGEST} | _FILTERED,
    "GET /v1/find": {"q": _TEXT, "limit": _COUNT},
    "GET /v1/components": {"name!": _TEXT},
    "GET /v1/retirements": _PAGE,
    "GET /v1/channels": _PAGE | {"under": _TEXT},
    "GET /v1/promotions": _PAGE | {"channel!": _TEXT},
    "GET /v1/scan": {"ref!": _TEXT},
    "GET /v1/packages": {"ref!": _TEXT},
    "GET /v1/scan/find": {"id!": _TEXT},
    "GET /v1/jobs": _PAGE | {"state": _TEXT},
    "GET /v1/jobs/{id}/log": {"after": _COUNT},
    "GET /v1/intake": _PAGE | {"state": _TEXT},
    "GET /v1/intake/{id}/approval": {
        "keyid!": _TEXT, "decision": {"type": "string", "enum": ["approve", "reject"]}, "why": _TEXT,
    },
    "GET /v1/ledger": {"stream": _TEXT, "limit": _PAGE["limit"], "after": _COUNT},
    "GET /v1/bundles": _PAGE,
    "GET /v1/destination": {"to!": _TEXT, "new": {"type": "string", "enum": ["yes", "no"]}},
    "GET /v1/audit": _FILTERED | dict.fromkeys(("act", "actor", "thing", "outcome", "since", "until"), _TEXT),
    "GET /v1/audit/check": {"expect_head": _TEXT},
    "GET /v1/approvals": _FILTERED,
    "GET /v1/approvals/{id}": {"keyid": _TEXT},
    "GET /v1/custody": _FILTERED,
    "GET /v1/receipts": {"limit": _PAGE["limit"]},
    "GET /v1/report": {"period!": {"type": "string", "enum": ["week", "month", "quarter"]}},
    "GET /v1/recall": {"thing!": _TEXT},
    "GET /v1/workloads": {"every": _COUNT},
    "GET /v1/blocks": _PAGE,
    "GET /v1/accounts": _FILTERED,
    "GET /v1/access-review": _FILTERED,
    "GET /v1/accounts/{name}/explain": {"repository!": _TEXT, "address": _TEXT},
}  # fmt: skip
"""Query parameters by route; `!` marks one that must be there."""

BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "POST /v1/jobs": {
        "kind!": {"type": "string", "enum": sorted(KINDS)},
        "params!": {"anyOf": [{"title": kind, **_object(fields)} for kind, fields in sorted(JOB_PARAMS.items())]},
    },
    "POST /v1/repositories/{name}/delete": {
        "tags": _TEXT,
        "digest": _DIGEST,
        "dry_run": {"type": "boolean"},
        "after": _TEXT,
    },
    "POST /v1/copies": {"source!": _TEXT, "target!": _TEXT},
    "POST /v1/promotions": {"source!": _TEXT, "to!": _TEXT, "tag": _TEXT, "reason": _TEXT, "anew": {"type": "boolean"}},
    "POST /v1/retirements": {"reference!": _TEXT, "successor!": _TEXT, "after!": _TEXT, "reason": _TEXT},
    "POST /v1/retirements/undo": {"reference!": _TEXT},
    "POST /v1/rollbacks": {"channel!": _TEXT, "reason": _TEXT},
    "POST /v1/signatures": {
        "repository!": _TEXT,
        "public_key!": _TEXT,
        "signatures!": {
            "type": "array",
            "minItems": 1,
            "maxItems": limits.SIGNED_IMAGES,
            "items": _object({"subject!": _DIGEST, "media_type!": _TEXT, "document!": _BASE64, "signature": _BASE64}),
        },
    },
    "POST /v1/jobs/{id}/resume": {"paths!": {"type": "array", "items": HANDLE_SCHEMA}},
    "POST /v1/jobs/{id}/signatures": {"keyid!": _TEXT, "signature!": _BASE64},
    "POST /v1/intake/{id}/approval": {"payload!": _BASE64, "keyid!": _TEXT, "signature!": _BASE64},
    "POST /v1/intake/{id}/release": {"only": {"type": "array", "items": _TEXT}},
    "POST /v1/intake/{id}/withdraw": {"why!": _TEXT},
    "POST /v1/bundles/{id}/custody": {"giver!": _TEXT, "taker!": _TEXT, "medium!": _TEXT}
    | dict.fromkeys(("serial", "seal", "note"), _TEXT),
    "POST /v1/receipts": {"statement!": DOCUMENT_SCHEMA},
    "POST /v1/bundles/{id}/void": {"why!": _TEXT, "with_later": {"type": "boolean"}},
    "POST /v1/streams/{stream}/reset": {"sequence!": _COUNT, "why!": _TEXT},
    "POST /v1/plans": {
        "to!": _TEXT,
        "references!": {"type": "array", "items": _TEXT},
        "volume": _TEXT,
        "since": SINCE,
        "new_site": {"type": "boolean"},
        "changed": {"type": "boolean"},
        "media": {
            "type": "array",
            "items": _object({"path": HANDLE_SCHEMA, "capacity": SIZE}),
        },
    },
    "POST /v1/upstreams": {"references!": {"type": "array", "items": _TEXT}},
    "POST /v1/probe": {"image": _TEXT},
    "POST /v1/sites": {"site!": _TEXT},
    "POST /v1/blocks": {"thing!": _TEXT, "why!": _TEXT},
    "POST /v1/session/secret": {},
    "POST /v1/session": {"account!": _TEXT, "password!": _TEXT},
    "POST /v1/accounts": {
        "name!": _TEXT,
        "kind": {"type": "string", "enum": ["person", "robot"]},
        "full_name": _TEXT,
        "password": _TEXT,
        "uid": _COUNT,
        "days": _COUNT,
        "secretless": {"type": "boolean"},
    },
    "POST /v1/accounts/{name}/password": {"password!": _TEXT, "old": _TEXT},
    "POST /v1/accounts/{name}/secret": {"days": _COUNT, "overlap_seconds": _COUNT},
}
"""Fields of bodies by route; `!` marks one that must be there. A POST that is not here takes an object."""

_ERROR: Final = {"$ref": "#/components/schemas/ErrorDocument"}
_DECLINED: Final = {
    "400": "a malformed request",
    "403": "refused: not allowed, not trusted, or against a rule",
    "404": "no such thing",
    "405": "no such method here",
    "409": "failed, or incomplete",
    "413": "too large",
}


def document(app: web.Application) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application's routes."""
    answers, components = schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in app.router.routes():
        if route.resource is None or route.method == "HEAD":
            continue
        path = _PARAMETER.sub(r"{\g<name>}", route.resource.canonical)
        permission = getattr(route.handler, "permission", "")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route.method, path, permission, answers)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lockgate control API", "version": version("lockgate")},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(components.items())) | {"Error": _ERROR}},
    }


def _operation(method: str, path: str, permission: str, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    key = f"{method} {path}"
    kind = OTHER_MEDIA.get(key, "application/json")
    shown = {kind: {}} if key in OTHER_MEDIA else {kind: {"schema": answers.get(key, {"type": "object"})}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]
    parameters += [
        {"name": name.rstrip("!"), "in": "query", "required": name.endswith("!"), "schema": schema}
        for name, schema in QUERIES.get(key, {}).items()
    ]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "-", key).strip("-").lower(),
        "description": f"Takes the permission `{permission}`.",
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": shown},
            "201": {"description": "made", "content": shown},
            **{code: {"description": text, "content": error} for code, text in _DECLINED.items()},
        },
    }
    if method == "POST":
        operation["requestBody"] = {
            "required": key in BODIES,
            "content": {"application/json": {"schema": _body(BODIES.get(key, {}))}},
        }
    return operation


def _body(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name.rstrip("!") for name in fields if name.endswith("!")],
        "properties": {name.rstrip("!"): schema for name, schema in fields.items()},
    }
