"""Listing tags and repositories, a page at a time (specification: end-8; Docker's catalog)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from appliance.limits import registry as limits
from tests.conformance.shapes import image
from tests.registry_server import Answer, Server

TAGS = sorted(["v1", "v2", "V1", "1.0", "latest", "_x", "a-b", "a.b", "a_b", "zz"])


@pytest.fixture
def tagged(server: Server, repository: str) -> str:
    content = image()
    content.push(server, repository)
    query = "&".join(f"tag={tag}" for tag in reversed(TAGS))
    path = f"/v2/{repository}/manifests/{content.digest}?{query}"
    assert server.ask("PUT", path, content.manifest, {"Content-Type": content.media_type}).status == 201
    return repository


def next_page(answer: Answer) -> str | None:
    link = answer.headers["Link"]
    if link is None:
        return None
    found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert found is not None
    return found[1]


def pages(server: Server, path: str | None) -> Iterator[Answer]:
    while path is not None:
        answer = server.ask("GET", path)
        assert answer.status == 200
        yield answer
        path = next_page(answer)


def test_tags_are_listed_in_bytewise_order(server: Server, tagged: str) -> None:
    answer = server.ask("GET", f"/v2/{tagged}/tags/list")
    assert answer.json == {"name": tagged, "tags": TAGS}
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Link"] is None


@pytest.mark.parametrize("number", [1, 3, 9, 10, 11])
def test_pages_follow_one_another_without_gap_or_double(server: Server, tagged: str, number: int) -> None:
    found = [answer.json["tags"] for answer in pages(server, f"/v2/{tagged}/tags/list?n={number}")]
    assert [tag for page in found for tag in page] == TAGS
    assert all(len(page) == number for page in found[:-1])
    assert len(found) == -(-len(TAGS) // number)


def test_a_list_begins_after_last_whether_or_not_that_tag_exists(server: Server, tagged: str) -> None:
    assert server.ask("GET", f"/v2/{tagged}/tags/list?last=a_b").json["tags"] == ["latest", "v1", "v2", "zz"]
    assert server.ask("GET", f"/v2/{tagged}/tags/list?last=b&n=2").json["tags"] == ["latest", "v1"]
    assert server.ask("GET", f"/v2/{tagged}/tags/list?last=zzz").json["tags"] == []


def test_none_asked_for_is_none_given_and_no_link(server: Server, tagged: str) -> None:
    answer = server.ask("GET", f"/v2/{tagged}/tags/list?n=0")
    assert (answer.json["tags"], answer.headers["Link"]) == ([], None)


def test_more_than_the_ceiling_is_lowered_to_it(server: Server, tagged: str) -> None:
    assert server.ask("GET", f"/v2/{tagged}/tags/list?n={10 * limits.PAGE_MAXIMUM}").json["tags"] == TAGS


@pytest.mark.parametrize("number", ["-1", "x", "", "1.5", "9" * 30, "%D9%A1"])
@pytest.mark.parametrize("path", ["/v2/{}/tags/list", "/v2/_catalog"])
def test_a_number_that_is_none_is_400(server: Server, tagged: str, path: str, number: str) -> None:
    answer = server.ask("GET", f"{path.format(tagged)}?n={number}")
    assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


def test_an_unknown_repository_is_404(server: Server, repository: str) -> None:
    answer = server.ask("GET", f"/v2/{repository}/tags/list")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_a_repository_without_tags_has_an_empty_list(server: Server, repository: str) -> None:
    image().push(server, repository)
    assert server.ask("GET", f"/v2/{repository}/tags/list").json == {"name": repository, "tags": []}


def test_the_catalog_lists_every_repository_once(server: Server, repository: str) -> None:
    names = [f"{repository}/{number}" for number in range(5)]
    for name in names:
        image().push(server, name)
    listed = [name for answer in pages(server, "/v2/_catalog?n=2") for name in answer.json["repositories"]]
    assert listed == sorted(set(listed))
    assert set(names) <= set(listed)
    after = server.ask("GET", f"/v2/_catalog?n=2&last={names[1].replace('/', '%2F')}")
    assert after.json["repositories"] == names[2:4]
