"""Each address is in one zone, however it is written, and a source sends its client to public ones and its own."""

from __future__ import annotations

import pytest

from appliance.outgoing.collect.zones import zone_of, zone_of_host


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("172.15.255.255", "public"),
        ("172.32.0.0", "public"),
        ("100.63.255.255", "public"),
        ("100.128.0.0", "public"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fec0::1", "private"),
        ("100.64.0.1", "shared"),
        ("100.127.255.255", "shared"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.1.2.3", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("2001:0:1::1", "reserved"),
        ("100::1", "reserved"),
        ("4000::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:8.8.8.8", "public"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::808:808", "public"),
        ("64:ff9b:1::808:808", "reserved"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:a00:1::1", "private"),
        ("2002:808:808::1", "public"),
    ],
)
def test_an_address_is_in_the_zone_of_what_it_reaches(address: str, zone: str) -> None:
    assert zone_of(address) == zone


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("127.1", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f000001", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("0", "unspecified"),
        ("0xa9fea9fe", "link-local"),
        ("localhost", "loopback"),
        ("LOCALHOST.", "loopback"),
        ("a.localhost", "loopback"),
        ("registry.example", None),
        ("127.0.0.1.example", None),
        ("", None),
    ],
)
def test_a_host_that_is_an_address_in_disguise_is_one(host: str, zone: str | None) -> None:
    assert zone_of_host(host) == zone


def test_what_is_no_address_has_no_zone() -> None:
    for text in ("registry.example", "", "127.0.0.1.2", "::g"):
        with pytest.raises(ValueError, match="does not appear"):
            zone_of(text)
