"""`collect HOST/REPO:PATTERN`: registries on loopback are asked for their tags, also those that mean no good."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from appliance.jobs.kinds import PartlyDoneError
from appliance.limits import collecting as limits
from appliance.outgoing.collect import job as collect
from appliance.outgoing.collect.dates import created_of
from bundles.errors import FailedError, LockgateError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import Handler, SmallRegistry, serving


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as running:
        for tag in ("1.9.0", "1.10.0", "1.10.0-alpine", "2.0.0", "2.1.0-rc1", "latest"):
            running.image("team/app", tag, tag.encode())
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the usual back-off."""
    monkeypatch.setattr(limits, "REMOTE_BACK_OFF", 0.001)


def many(registry: SmallRegistry, pattern: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "tags", "reference": f"{registry.host}/team/app:{pattern}", "as": None, **fields}


def dated(registry: SmallRegistry, tag: str, created: str) -> Digest:
    """An image that says when it was made."""
    config = json.dumps({"created": created, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []}
    return registry.manifest(
        "team/app", tag, OCI_MANIFEST, document | {"config": registry.blob(config) | {"mediaType": OCI_CONFIG}}
    )


def run(outside: Outside, *entries: dict[str, Any], **params: Any) -> dict[str, Any]:
    return outside.run(outside.context("collect", {"sources": list(entries), **params}), collect.run)


def test_what_is_chosen_is_collected_and_what_is_not_is_counted(outside: Outside, registry: SmallRegistry) -> None:
    digest = registry.image("team/app", "1.10.0", b"signed")
    registry.image("team/app", f"sha256-{digest.hex}.sig", b"signature")
    registry.page = 2
    result = run(outside, many(registry, "1.*", select={"newest": 1}))
    assert result["references"] == ["team/app:1.10.0"]
    assert result["selected"] == [
        {"source": 0, "from": f"{registry.host}/team/app:1.*", "repositories": 1, "tags": 7, "chosen": 1,
         "left_out": {"attached": 1, "pattern": 3, "variant": 1, "older": 1}},
    ]  # fmt: skip
    assert registry.counted("tags/list") == 4
    assert outside.shows("team/app:2.0.0") is None
    assert outside.shows(f"team/app:sha256-{digest.hex}.sig") is not None


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.123456789+02:00", "2026-01-02T01:04:05Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-01-02", None),
        (1767000000, None),
        (None, None),
    ],
)
def test_when_an_image_was_made_is_what_its_configuration_says(said: object, at: str | None) -> None:
    assert created_of(json.dumps({"created": said}).encode()) == at


def test_images_are_chosen_by_when_they_were_made(outside: Outside, registry: SmallRegistry) -> None:
    for tag, year in (("old", 2024), ("new", 2026), ("newer", 2027)):
        dated(registry, tag, f"{year}-01-01T00:00:00Z")
    registry.index("team/app", "both", dated(registry, "", "2028-01-01T00:00:00Z"))
    result = run(outside, many(registry, "*", select={"created_since": "2026-01-01", "latest": 2}))
    assert result["references"] == ["team/app:both", "team/app:newer"]
    assert result["selected"][0]["left_out"] == {"undated": 6, "before": 1, "older": 1}


def test_a_configuration_that_is_another_is_refused(outside: Outside, registry: SmallRegistry) -> None:
    dated(registry, "1.0.0", "2026-01-01T00:00:00Z")
    config = next(digest for digest, raw in registry.blobs.items() if b"created" in raw)
    registry.blobs[config] = registry.blobs[config].replace(b"2026", b"2027")
    with pytest.raises(RefusedError):
        run(outside, many(registry, "1.0*", select={"latest": 1}))


def test_tags_get_the_repository_that_was_named(outside: Outside, registry: SmallRegistry) -> None:
    taken = run(outside, many(registry, "1.10.*", **{"as": "mirror/app"}))["references"]
    assert taken == ["mirror/app:1.10.0", "mirror/app:1.10.0-alpine"]


def test_a_plan_says_why_and_takes_nothing(outside: Outside, registry: SmallRegistry) -> None:
    entry = many(registry, "*", select={"range": "<2", "exclude": ["1.9*"]})
    (planned,) = run(outside, entry, plan="bytes")["planned"]
    assert (planned["source"], planned["reference"]) == (0, "team/app:1.10.0")
    assert planned["why"] == "version 1.10.0, in <2"
    assert planned["fetch"] > 0
    assert outside.shows("team/app:1.10.0") is None


def test_what_fails_of_many_names_their_source_once(outside: Outside, registry: SmallRegistry) -> None:
    def fault(handler: Handler) -> bool:
        if "manifests/1.9.0" in handler.path or "manifests/2.0.0" in handler.path:
            handler.answer(404)
            return True
        return False

    registry.fault = fault
    with pytest.raises(PartlyDoneError, match="2 of 7 sources") as partly:
        run(outside, registry.entry("team/app", "latest", "x:1"), many(registry, "*"))
    assert partly.value.result["failed"] == [1]
    assert partly.value.result["references"] == [
        "x:1", "team/app:1.10.0", "team/app:1.10.0-alpine", "team/app:2.1.0-rc1", "team/app:latest",
    ]  # fmt: skip


def test_where_nothing_is_chosen_that_is_no_success(outside: Outside, registry: SmallRegistry) -> None:
    with pytest.raises(NotFoundError, match="no tag is chosen"):
        run(outside, many(registry, "9.*"))
    with pytest.raises(PartlyDoneError) as partly:
        run(outside, many(registry, "latest*"), many(registry, "9.*"))
    assert (partly.value.result["failed"], partly.value.result["references"]) == ([1], ["team/app:latest"])
    assert [event["outcome"] for event in outside.events("collect")].count("done") == 1


def test_too_many_tags_are_refused_before_anything_is_taken(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COLLECT_CHOSEN", 3)
    with pytest.raises(UsageError, match="6 tags are chosen"):
        run(outside, many(registry, "*"))
    assert registry.counted("manifests") == 0


def test_two_sources_of_one_name_are_refused(outside: Outside, registry: SmallRegistry) -> None:
    with pytest.raises(UsageError, match="two sources"):
        run(outside, many(registry, "1.9*"), registry.entry("team/app", "1.9.0"))
    assert registry.counted("manifests") == 0


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "tags", "reference": "h.example/app"}, {"kind": "tags", "reference": "app:*"},
        {"kind": "tags", "reference": "h.example/app:*", "select": {"newest": 0}},
        {"kind": "tags", "reference": "h.example/app:*", "select": []},
        {"kind": "tags", "reference": "h.example/app:*", "as": "app:1"},
    ],
)  # fmt: skip
def test_malformed_params_are_refused(outside: Outside, entry: dict[str, Any]) -> None:
    with pytest.raises((UsageError, MalformedError)):
        run(outside, entry)


def answering(*bodies: bytes, link: str = "") -> Callable[[Handler], bool]:
    """A fault that answers lists of tags with one body after another."""
    left = list(bodies)

    def fault(handler: Handler) -> bool:
        if "/tags/list" not in handler.path:
            return False
        body = left.pop(0) if len(left) > 1 else left[0]
        handler.answer(200, body, {"Link": f'<{link}>; rel="next"'} if link else {})
        return True

    return fault


def listing(*tags: object) -> bytes:
    return json.dumps({"name": "team/app", "tags": list(tags)}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b'{"tags": 7}', b'{"tags": ["a", 7]}', b'{"tags": ["a"], "tags": ["b"]}',
        b'{"tags": ' + b"[" * 100_000, listing("../../x"), listing("a b"), listing("x" * 129), listing("\x1b[2J"),
        b'{"tags": ["\xff"]}', listing(*(f"t{n}" for n in range(100_001))),
    ],
    ids=lambda body: body[:16].decode(errors="replace").encode("unicode_escape").decode(),
)  # fmt: skip
def test_a_list_that_is_none_is_one_line(outside: Outside, registry: SmallRegistry, body: bytes) -> None:
    registry.fault = answering(body)
    with pytest.raises(MalformedError) as wrong:
        run(outside, many(registry, "*"))
    assert "\n" not in wrong.value.diagnostics()
    assert "\x1b" not in wrong.value.diagnostics()
    assert registry.counted("manifests") == 0


def test_a_registry_without_the_repository_is_named(outside: Outside, registry: SmallRegistry) -> None:
    registry.fault = lambda handler: "tags/list" in handler.path and (handler.answer(404), True)[1]
    with pytest.raises(NotFoundError) as missing:
        run(outside, many(registry, "*"))
    assert f"{registry.host}/team/app" in missing.value.thing


@pytest.mark.parametrize(
    ("link", "bodies"),
    [
        ("/v2/team/app/tags/list?last=a", [listing("a"), listing("b"), listing("c")]),
        ("/v2/team/app/tags/list", [listing("a")]),
    ],
)
def test_pages_in_a_circle_end(outside: Outside, registry: SmallRegistry, link: str, bodies: list[bytes]) -> None:
    registry.fault = answering(*bodies, link=link)
    with pytest.raises(MalformedError):
        run(outside, many(registry, "*"))
    assert registry.counted("tags/list") <= 6


def test_pages_without_end_end(outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page names another one: with nothing new on it, with one more tag, and with as much as a page may hold."""
    monkeypatch.setattr(limits, "REMOTE_PAGES", 20)
    monkeypatch.setattr(limits, "REMOTE_NAMES_SIZE", 10_000)
    for of_page, most in ((lambda _: listing("a"), 6), (lambda n: listing(f"t{n}"), 22), (_long_page, 12)):
        pages = iter(range(1000))
        registry.asked.clear()

        def fault(handler: Handler, of_page: Callable[[int], bytes] = of_page, pages: Iterator[int] = pages) -> bool:
            number = next(pages)
            link = f'</v2/team/app/tags/list?last={number}>; rel="next"'
            handler.answer(200, of_page(number), {"Link": link})
            return True

        registry.fault = fault
        with pytest.raises(MalformedError):
            run(outside, many(registry, "*"))
        assert registry.counted("tags/list") <= most


def _long_page(number: int) -> bytes:
    return listing(f"t{number}", *("x" for _ in range(200)))


def test_a_next_page_elsewhere_is_refused(outside: Outside, registry: SmallRegistry) -> None:
    registry.fault = answering(listing("a"), link="https://other.example/v2/team/app/tags/list?last=a")
    with pytest.raises(RefusedError):
        run(outside, many(registry, "*"))


def test_one_source_that_cannot_be_listed_does_not_end_the_others(outside: Outside, registry: SmallRegistry) -> None:
    with serving(SmallRegistry(fault=answering(b"garbage"))) as bad, pytest.raises(PartlyDoneError) as partly:
        run(outside, many(bad, "*"), many(registry, "latest*"))
    assert partly.value.result["failed"] == [0]
    assert outside.shows("team/app:latest") is not None


def test_a_tag_that_went_between_list_and_head_is_named(outside: Outside, registry: SmallRegistry) -> None:
    registry.fault = answering(listing("gone"))
    with pytest.raises((NotFoundError, FailedError)) as gone:
        run(outside, many(registry, "*"))
    assert isinstance(gone.value, LockgateError)
    assert "gone" in gone.value.thing


def repositories(registry: SmallRegistry, pattern: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "tags", "reference": f"{registry.host}/{pattern}", "as": None, **fields}


def test_all_repositories_below_a_prefix_are_collected(outside: Outside, registry: SmallRegistry) -> None:
    registry.image("team/deep/tool", "1.0.0", b"tool")
    registry.image("team/old", "1.0.0", b"old")
    registry.image("other/app", "1.0.0", b"other")
    registry.page = 2
    entry = repositories(registry, "team/**:1.*", select={"exclude": ["team/old:*"], "newest": 1})
    result = run(outside, entry)
    assert result["references"] == ["team/app:1.10.0", "team/deep/tool:1.0.0"]
    (said,) = result["selected"]
    assert (said["repositories"], said["tags"], said["chosen"]) == (3, 8, 2)
    below = run(outside, {**entry, "as": "mirror"})["references"]
    assert below == ["mirror/team/app:1.10.0", "mirror/team/deep/tool:1.0.0"]


def test_a_repository_that_lost_its_tags_does_not_end_the_others(outside: Outside, registry: SmallRegistry) -> None:
    """A registry may list it in its catalog, and answer 404 where it is asked for its tags."""
    registry.image("team/gone", "1.0.0", b"gone")
    registry.fault = lambda handler: "team/gone/tags" in handler.path and (handler.answer(404), True)[1]
    assert run(outside, repositories(registry, "team/*:2.0.0"))["references"] == ["team/app:2.0.0"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (listing("app"), "list of repositories is none"), (b'{"repositories": ["../../etc"]}', "is none"),
        (b'{"repositories": ["A B"]}', "is none"), (b'{"repositories": ["other/app"]}', "no repository is covered"),
        (b'{"repositories": null}', "no repository is covered"),
    ],
)  # fmt: skip
def test_a_catalog_that_is_none_is_one_line(outside: Outside, registry: SmallRegistry, body: bytes, what: str) -> None:
    registry.fault = lambda handler: "_catalog" in handler.path and (handler.answer(200, body), True)[1]
    with pytest.raises((MalformedError, NotFoundError), match=what):
        run(outside, repositories(registry, "team/**:*"))
    assert registry.counted("tags/list") == 0


def test_a_registry_without_a_catalog_and_one_with_too_much_are_named(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.fault = lambda handler: "_catalog" in handler.path and (handler.answer(404), True)[1]
    with pytest.raises(NotFoundError, match="lists no repositories"):
        run(outside, repositories(registry, "team/**:*"))
    registry.fault = lambda _: False
    registry.image("team/b", "1", b"b")
    monkeypatch.setattr(limits, "COLLECT_REPOSITORIES", 1)
    with pytest.raises(UsageError, match="2 repositories are covered"):
        run(outside, repositories(registry, "team/**:*"))


def test_the_catalog_is_asked_for_with_its_own_scope(outside: Outside, registry: SmallRegistry) -> None:
    """Token authentication: a registry that names no scope in its challenge leaves it to the client."""
    scopes: list[str] = []

    def fault(handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            scopes.append(parse_qs(urlsplit(handler.path).query)["scope"][0])
            handler.answer(200, b'{"token": "t"}')
        elif handler.headers.get("Authorization") != "Bearer t":
            realm = f'Bearer realm="http://{registry.host}/token",service="r"'
            handler.answer(401, b"", {"WWW-Authenticate": realm})
        else:
            return False
        return True

    registry.fault = fault
    assert run(outside, repositories(registry, "team/**:latest"))["references"] == ["team/app:latest"]
    assert scopes[:2] == ["registry:catalog:*", "repository:team/app:pull"]
