"""A file at a URL: which URLs are one, and what is asked for."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("text", ["https://a..b/x", "https://a:0/x", "https:///x", "ftp://a/x", "https://a b/x", "x"])
def test_what_is_no_url_of_a_file_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        check_url(text)
