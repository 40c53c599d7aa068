"""Whether a job's params are of the form that their schema says, before the job is queued and stands in the audit log.

Handles and documents are not looked at here: who takes them does that (appliance.handles.params).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from appliance.handles.params import DOCUMENT_SCHEMA, HANDLE_SCHEMA
from appliance.limits import jobs as limits
from bundles.errors import UsageError

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip
_WORDS: Final[Mapping[str, str]] = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "an object", "null": "null",
}  # fmt: skip


def check_form(name: str, schema: Mapping[str, Any], value: Any) -> None:
    """A param is of its schema's form; null stands for one that is not given. Raises UsageError naming it."""
    if value is None or schema is HANDLE_SCHEMA or schema is DOCUMENT_SCHEMA:
        return
    if "oneOf" in schema:
        _one_of(name, schema["oneOf"], value)
        return
    said = schema["type"]
    kinds = [said] if isinstance(said, str) else said
    if not any(isinstance(value, _KINDS[kind]) and (kind == "boolean") is isinstance(value, bool) for kind in kinds):
        raise _wrong(name, " or ".join(_WORDS[kind] for kind in kinds if kind != "null"))
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(name, "one of " + ", ".join(word or "''" for word in schema["enum"]))
    if isinstance(value, str) and len(value) > limits.JOB_TEXT:
        raise _wrong(name, f"at most {limits.JOB_TEXT} characters long")
    if isinstance(value, list) and schema.get("items") is not HANDLE_SCHEMA:
        for one in value:
            check_form(name, schema["items"], one)
    if isinstance(value, dict):
        for field, one in value.items():
            if field not in schema["properties"]:
                raise UsageError(
                    "malformed parameters", thing=f"`{name}` has no {ascii(field)[:60]}",
                    remedy=f"give {', '.join(schema['properties'])}",
                )  # fmt: skip
            check_form(f"{name}.{field}", schema["properties"][field], one)


def check_size(params: Mapping[str, Any]) -> None:
    """Params stand in the audit log and in the metadata: there is a ceiling. Raises UsageError."""
    size = len(json.dumps(dict(params)))
    if size > limits.JOB_PARAMS_SIZE:
        raise UsageError(
            f"a job's parameters take {size} bytes, and at most {limits.JOB_PARAMS_SIZE} are taken",
            thing=max(params, key=lambda name: len(json.dumps(params[name]))),
            remedy="do it in several jobs",
        )


def _one_of(name: str, schemas: list[Mapping[str, Any]], value: Any) -> None:
    if DOCUMENT_SCHEMA in schemas:  # a word, or the document that came back
        if not isinstance(value, (str, dict)):
            raise _wrong(name, "a word or a document")
        return
    for schema in schemas:
        if schema.get("type") != "null":
            check_form(name, schema, value)


def _wrong(name: str, form: str) -> UsageError:
    return UsageError(
        "malformed parameters", thing=f"`{name}` is {form}", remedy="see docs/reference/control-api.md, Job params"
    )
