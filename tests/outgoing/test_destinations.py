"""A source's redirects: which hosts, which schemes, and what a name resolves to when it is connected to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from appliance.outgoing.collect.destinations import Destinations, WayToProxy
from appliance.outgoing.collect.urls import joined
from appliance.settings.redirects import check_hosts
from bundles.errors import RefusedError, UsageError

PUBLIC, LOCAL = URL("https://registry.example/v2/app"), URL("http://127.0.0.1:5000/v2/app")


class Names(AbstractResolver):
    """A name server whose answers change with each question."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET6 if ":" in address else
                          socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST)
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def connect(way: Destinations | WayToProxy, address: str, port: int) -> None:
    way.make_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))).close()


@pytest.mark.parametrize(
    ("before", "url"),
    [
        (PUBLIC, "https://cdn.example/blob?signed=1"),
        (PUBLIC, "https://registry.example:8443/x"),
        (PUBLIC, "https://8.8.8.8/x"),
        (LOCAL, "http://127.0.0.1:5001/x"),
        (LOCAL, "http://localhost:5001/x"),
        (LOCAL, "https://cdn.example/x"),
    ],
)
def test_a_redirect_to_a_public_host_or_the_sources_zone_is_followed(before: URL, url: str) -> None:
    Destinations(before).check(URL(url), before)


@pytest.mark.parametrize(
    ("before", "url"),
    [
        (PUBLIC, "http://cdn.example/x"),
        (PUBLIC, "http://registry.example/x"),
        (PUBLIC, "http://127.0.0.1/x"),
        (PUBLIC, "ftp://cdn.example/x"),
        (PUBLIC, "file:///etc/passwd"),
        (PUBLIC, "https://user:password@cdn.example/x"),
        (PUBLIC, "https://127.0.0.1/x"),
        (PUBLIC, "https://127.1/x"),
        (PUBLIC, "https://2130706433/x"),
        (PUBLIC, "https://localhost/x"),
        (PUBLIC, "https://10.0.0.1/x"),
        (PUBLIC, "https://100.64.0.1/x"),
        (PUBLIC, "https://169.254.169.254/x"),
        (PUBLIC, "https://0.0.0.0/x"),
        (PUBLIC, "https://[::]/x"),
        (PUBLIC, "https://[::1]/x"),
        (PUBLIC, "https://[::ffff:127.0.0.1]/x"),
        (PUBLIC, "https://[64:ff9b::a9fe:a9fe]/x"),
        (PUBLIC, "https://[fe80::1]/x"),
        (PUBLIC, "https://[fd00::1]/x"),
        (LOCAL, "http://169.254.169.254/latest/meta-data"),
        (LOCAL, "https://169.254.169.254/latest/meta-data"),
        (LOCAL, "https://10.0.0.1/x"),
        (LOCAL, "http://cdn.example/x"),
        (URL("https://10.0.0.1/v2/app"), "https://127.0.0.1/x"),
        (URL("https://10.0.0.1/v2/app"), "https://169.254.169.254/x"),
    ],
)
def test_a_redirect_elsewhere_is_refused(before: URL, url: str) -> None:
    with pytest.raises(RefusedError):
        Destinations(before).check(URL(url), before)


def test_a_private_source_sends_to_private_addresses() -> None:
    source = URL("https://10.0.0.1/v2/app")
    Destinations(source).check(URL("https://192.168.1.1/x"), source)


def test_https_is_not_left_at_a_later_hop() -> None:
    with pytest.raises(RefusedError):
        Destinations(LOCAL).check(URL("http://127.0.0.1/x"), URL("https://cdn.example/x"))


def test_a_source_is_narrowed_to_hosts_by_each_list() -> None:
    narrowed = Destinations(PUBLIC, (("*.example", "cdn.test"), ("cdn.example", "cdn.test")))
    for url in ("https://cdn.example/x", "https://cdn.test/x", "https://registry.example/x"):
        narrowed.check(URL(url), PUBLIC)
    for url in ("https://b.example/x", "https://example/x", "https://cdn.test.evil/x", "https://evilcdn.test/x"):
        with pytest.raises(RefusedError):
            narrowed.check(URL(url), PUBLIC)
    with pytest.raises(RefusedError):
        Destinations(PUBLIC, ((),)).check(URL("https://cdn.example/x"), PUBLIC)


@pytest.mark.parametrize("host", ["", "*", "*.", "CDN.example", "cdn.example:443", "https://cdn.example", "a b", "-a"])
def test_what_is_no_host_is_refused_in_a_list(host: str) -> None:
    with pytest.raises(UsageError):
        check_hosts([host])


async def test_a_name_of_a_public_source_that_is_rebound_reaches_nothing() -> None:
    rule = Destinations(PUBLIC, (), Names(["8.8.8.8"], ["127.0.0.1"], ["10.0.0.1", "::1"]))
    assert [one["host"] for one in await rule.resolve("registry.example")] == ["8.8.8.8"]
    for _ in range(2):
        with pytest.raises(RefusedError):
            await rule.resolve("registry.example")


async def test_of_a_mixed_answer_the_permitted_addresses_are_left() -> None:
    rule = Destinations(PUBLIC, (), Names(["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1"]))
    assert [one["host"] for one in await rule.resolve("registry.example")] == ["8.8.8.8"]
    assert [one["host"] for one in await rule.resolve("cdn.example")] == ["8.8.8.8"]


async def test_a_source_by_a_private_name_reaches_its_zone_and_no_other() -> None:
    rule = Destinations(PUBLIC, (), Names(["10.0.0.1"], ["10.9.9.9"], ["169.254.169.254"]))
    assert await rule.resolve("registry.example")
    connect(rule, "10.0.0.1", 443)
    rule.answered(PUBLIC)
    assert await rule.resolve("store.example")
    with pytest.raises(RefusedError):
        await rule.resolve("cdn.example")


async def test_localhost_that_resolves_elsewhere_is_not_spoken_to_in_the_clear() -> None:
    rule = Destinations(URL("http://localhost:5000/v2/app"), (), Names(["8.8.8.8"]))
    with pytest.raises(RefusedError):
        await rule.resolve("localhost")


async def test_the_address_that_is_connected_to_is_what_counts() -> None:
    """A real listener on loopback, which a public source's name resolves to: nothing arrives there."""
    arrived = 0

    async def arrive(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        writer.close()

    server = await asyncio.start_server(arrive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rule = Destinations(PUBLIC, (), Names(["127.0.0.1"]))
    rule._zone = "public"  # as after a first answer
    for resolver in (rule, Names(["127.0.0.1"])):
        connector = aiohttp.TCPConnector(resolver=resolver, socket_factory=rule.make_socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            for host in ("cdn.example", "127.0.0.1"):
                with pytest.raises(RefusedError):
                    await session.get(f"http://{host}:{port}/")
    server.close()
    await server.wait_closed()
    assert arrived == 0


async def test_a_proxy_may_be_private_and_is_no_place_to_be_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    rule = Destinations(PUBLIC, (), Names(["10.0.0.1"]))
    assert rule.proxy_of(PUBLIC) == URL("http://proxy.example:3128")
    to_proxy = WayToProxy(URL("http://proxy.example:3128"), Names(["10.0.0.1"]))
    assert await to_proxy.resolve("proxy.example")
    connect(to_proxy, "10.0.0.1", 3128)
    with pytest.raises(RefusedError):
        rule.check(URL("https://proxy.example/x"), PUBLIC)
    for name in ("evil.example", "proxy.example"):
        with pytest.raises(RefusedError):
            await rule.resolve(name)
    with pytest.raises(RefusedError):
        await to_proxy.resolve("evil.example")
    assert Destinations(LOCAL).proxy_of(URL("https://cdn.example/x")) is None


async def test_a_proxy_on_loopback_opens_its_own_port_to_what_goes_through_it_and_nothing_else() -> None:
    rule = Destinations(PUBLIC, (), Names(["127.0.0.1"]), proxy="http://127.0.0.1:3128")
    to_proxy = WayToProxy(URL("http://127.0.0.1:3128"))
    connect(to_proxy, "127.0.0.1", 3128)
    for way, address, port in (
        (to_proxy, "127.0.0.1", 8443),
        (to_proxy, "127.0.0.2", 3128),
        (rule, "127.0.0.1", 8443),
        (rule, "127.0.0.1", 3128),
    ):
        with pytest.raises(RefusedError):
            connect(way, address, port)


@pytest.mark.parametrize("answers", [(["10.9.9.9"], ["8.8.8.8"]), (["10.9.9.9", "127.0.0.1"],), (["8.8.8.8"], ["::1"])])
async def test_a_name_that_gave_addresses_of_two_zones_opens_none(answers: tuple[list[str], ...]) -> None:
    """Whoever answers for the name would choose the zone: what did not answer, and what answered first."""
    for answered in (False, True):
        rule = Destinations(PUBLIC, (), Names(*answers, ["10.0.0.7"]))
        for _ in answers:
            with contextlib.suppress(RefusedError):
                await rule.resolve("registry.example")
            if answered:
                rule.answered(PUBLIC)
        rule.answered(PUBLIC)
        for url in ("https://10.0.0.7:8443/admin", "https://127.0.0.1/x"):
            with pytest.raises(RefusedError):
                rule.check(URL(url), PUBLIC)
        for name in ("inner.example", "registry.example"):
            with pytest.raises(RefusedError):
                await rule.resolve(name)
        for address in ("10.0.0.7", "10.9.9.9", "127.0.0.1"):
            with pytest.raises(RefusedError):
                connect(rule, address, 443)


async def test_a_zone_is_open_only_once_the_source_answered_from_it() -> None:
    rule = Destinations(PUBLIC, (), Names(["10.9.9.9"]))
    await rule.resolve("registry.example")
    for before in (True, False):
        connect(rule, "10.9.9.9", 443)
        if before:
            rule.answered(URL("https://cdn.example/x"))  # another host's answer says nothing of it
            for address, port in (("10.0.0.7", 443), ("10.9.9.9", 22)):
                with pytest.raises(RefusedError):
                    connect(rule, address, port)
            with pytest.raises(RefusedError):
                rule.check(URL("https://10.0.0.7/x"), PUBLIC)
            with pytest.raises(RefusedError):
                await rule.resolve("inner.example")
            rule.answered(URL("https://registry.example:443/v2/"))
        else:
            rule.check(URL("https://10.0.0.7/x"), PUBLIC)
            assert await rule.resolve("inner.example")


UNUSABLE = [
    "https://a..b/", "https://./", "https://.a/", f"https://{'a' * 64}.example/", f"https://{'a.' * 130}b/",
    "https://a%00b/", "https://%zz/", "https://*.a/", "https://a:0/", "https://a:99999/", "https://[fe80::1%25eth0]/",
    "https://[/", "mailto:x", "//[", "https://a b/", "https://\udcff/", "https://e\u0301..b/",
]  # fmt: skip


@pytest.mark.parametrize("target", UNUSABLE)
def test_an_address_that_no_request_can_be_sent_to_is_none(target: str) -> None:
    assert joined(PUBLIC, target) is None


@pytest.mark.parametrize("host", ["a..b", ".", "a" * 64 + ".example", "*.a", "a%00b", "%zz"])
async def test_a_host_that_cannot_be_asked_for_is_refused_where_it_is_met(host: str) -> None:
    rule = Destinations(PUBLIC, (), aiohttp.ThreadedResolver())
    with pytest.raises(RefusedError):
        rule.check(URL.build(scheme="https", authority=host, path="/", encoded=True), PUBLIC)
    if ".." in host or host == "." or len(host) > 64:
        for way in (rule, WayToProxy(URL.build(scheme="http", authority=f"{host}:3128", encoded=True))):
            with pytest.raises(RefusedError):
                await way.resolve(host, 443)
