"""A file at a URL: which URLs are one, and what is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.collection_file import read_collection
from appliance.file_url import check_file_url
from appliance.jobs.params import check_params
from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.host_client import HostClient
from appliance.outgoing.collect.pace import Pace
from appliance.outgoing.collect.url_source import check_url
from bundles.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "https://files.example/a%2Fb/%41.bin", "https://FILES.example/a", "https://files.example:443/a",
        "https://[2001:db8::1]:8443/a", "https://files.example//a//[b", "https://files.example/@scope/a",
    ],
)  # fmt: skip
def test_a_file_is_asked_for_at_its_hosts_own_origin_by_the_very_path(text: str) -> None:
    url = check_url(text)
    host = url.host_port_subcomponent or ""
    assert HostClient(HostAccess(host), (), Pace(host, 0.001)).is_source(url)
    assert str(url).partition("/a")[2] == text.partition("/a")[2]


@pytest.mark.parametrize(
    "text",
    ["https://a..b/x", "https://a:0/x", "https:///x", "https://a", "HTTPS://", "ftp://a/x", "https://a b/x", "x"],
)
def test_what_is_no_url_of_a_file_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        check_url(text)


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"https://ada:{SECRET}@files.example/a", f"https://{SECRET}@files.example/a", f"https://files.example/a?{SECRET}",
        f"https://files.example/a?sig={SECRET}@x", f"https://files.example/a#{SECRET}", f"https://ada:a/{SECRET}@h/a",
        f"https://ada:a?{SECRET}@h/a", f"https://ada:a#{SECRET}@h/a", f"ftp://ada:{SECRET}@h/a", f"//a:{SECRET}@h/a",
        f"https://files.example/a#x?{SECRET}", f"https://files.example?{SECRET}", f"https:ada:{SECRET}@h/a",
        f"https://files.example/a/@b?{SECRET}", f"https://h/a?#{SECRET}", "https://h/a?", "https://h/a#", "https://@h/a",
    ],
)  # fmt: skip
def test_a_url_with_an_account_a_query_or_a_fragment_is_refused_and_not_quoted(text: str) -> None:
    """By the client, before anything is sent; by the station, before a job is; and in the job."""
    sent = {"sources": [{"kind": "url", "url": text, "sha256": "0" * 64, "as": "files/a:1"}]}
    for check in (check_url, check_file_url, lambda _: check_params("collect", sent)):
        with pytest.raises(UsageError) as caught:
            check(text)
        assert SECRET not in caught.value.diagnostics()
        assert caught.value.remedy


@pytest.mark.parametrize("source", [{"kind": "url"}, {"kind": "url", "url": 5}, {"url": "https://a:b@h/x"}])
def test_a_source_by_url_needs_one_before_a_job_is_made(source: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        check_params("collect", {"sources": [source]})


def test_a_collection_that_lists_such_a_url_is_refused_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "collection.toml"
    for text in (f"https://ada:{SECRET}@files.example/a", f"https://files.example/a?X-Amz-Signature={SECRET}"):
        file.write_text(f'[[source]]\nas = "files/a:1"\nfrom = "{text}"\nsha256 = "{"0" * 64}"\n')
        with pytest.raises(UsageError) as caught:
            read_collection(file)
        assert f"{file}, line 3" in caught.value.thing
        assert SECRET not in caught.value.diagnostics()


@pytest.mark.parametrize(
    "text",
    [
        f"ada:{SECRET}@h.example/a:1",
        f"docker://ada:{SECRET}@h.example/a:1",
        f"https://{SECRET}@h/a",
        f"h.example/a:1?{SECRET}",
    ],
)
def test_a_reference_with_an_account_or_a_query_is_refused_before_a_job_is_made(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_params("collect", {"sources": [{"kind": "registry", "reference": text}]})
    assert SECRET not in caught.value.diagnostics()


def test_references_to_registries_are_taken() -> None:
    for text in ("docker://h.example:5000/a/b:1", f"localhost/a@sha256:{'0' * 64}", f"h.example/a:1@sha256:{'0' * 64}"):
        check_params("collect", {"sources": [{"kind": "registry", "reference": text, "as": None}]})
