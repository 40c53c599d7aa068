"""Answers of the control API held against the schemas of its OpenAPI document."""

from __future__ import annotations

import functools
import re
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator

from appliance.control import openapi


@functools.cache
def strict_document(app: web.Application) -> dict[str, Any]:
    """The document, in which an object of an answer has no field but those that its shape names."""
    document = openapi.document(app)
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document


def template_of(app: web.Application, path: str) -> str:
    """The path of the document that a request's path stands for."""
    paths = sorted(strict_document(app)["paths"], key=lambda one: (one.count("{"), -len(one)))
    return next(one for one in paths if re.fullmatch(re.sub(r"\{\w+\}", ".+", one), path))


def require_described(app: web.Application, method: str, template: str, status: int, body: Any) -> None:
    """Fail where a JSON answer is not what the document says of it."""
    document = strict_document(app)
    answers = document["paths"][template][method.lower()]["responses"]
    schema = answers["200" if status < 300 else str(status)]["content"]["application/json"]["schema"]
    checker = Draft202012Validator(schema | {"components": document["components"]})
    faults = [f"{'/'.join(map(str, fault.path))}: {fault.message[:200]}" for fault in checker.iter_errors(body)]
    assert faults == [], (method, template, status, faults)
