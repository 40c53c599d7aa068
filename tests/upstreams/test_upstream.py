"""What config.toml, and the machine's registries.conf and certs.d where they count, make of a registry."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.settings.faults import faults
from appliance.settings.station import Config
from appliance.upstreams.registries_conf import read_rules
from appliance.upstreams.upstream import Upstreams
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from tests.access.papers import Issuer


def upstreams(root: Path, etc: Path | None = None, **settings: Any) -> Upstreams:
    document = {"site": "alpha", "side": "outside", "collect": {"use_host_configuration": etc is not None}, **settings}
    return Upstreams(msgspec.convert(document, Config, strict=True), root, etc or root / "nowhere")


def conf(etc: Path, text: str, name: str = "registries.conf") -> Path:
    path = etc / "containers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def shows_certificate(context: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    """Whether a client with `context` shows its certificate to a server at 127.0.0.1 that asks for one."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up, server_hostname="127.0.0.1")
    serving = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (client, serving):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return bool(serving.getpeercert())


# config.toml.


def test_a_registry_without_settings_is_reached_by_https_with_the_machines_certificates(tmp_path: Path) -> None:
    plain = upstreams(tmp_path)
    assert not plain.plain_http("ghcr.io", "team/app")
    assert (plain.context("ghcr.io"), plain.proxy("ghcr.io"), plain.mirrors("ghcr.io", "team/app")) == (None, None, ())
    assert plain.located("ghcr.io", "team/app") == ("ghcr.io", "team/app")


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_loopback_is_plain_http_without_a_proxy_until_certificates_or_the_settings_say_otherwise(
    tmp_path: Path, host: str
) -> None:
    ca = Issuer(tmp_path, "ca").ca
    assert upstreams(tmp_path).plain_http(host, "app")
    assert not upstreams(tmp_path, upstreams={host: {"ca": str(ca)}}).plain_http(host, "app")
    assert not upstreams(tmp_path, upstreams={host: {"plain_http": False}}).plain_http(host, "app")
    assert upstreams(tmp_path, upstreams={host: {"proxy": "http://p.example:3128"}}).proxy(host) == ""


def test_plain_http_is_for_the_host_and_port_that_is_named(tmp_path: Path) -> None:
    named = upstreams(tmp_path, upstreams={"old.example:5000": {"plain_http": True}})
    assert named.plain_http("OLD.example:5000", "app")
    assert not named.plain_http("old.example", "app")
    assert not named.plain_http("sub.old.example:5000", "app")


def test_the_authorities_of_a_registry_stand_in_the_place_of_the_machines(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, "ca")
    shown = issuer.client("us").name
    settings = {"ca": "ca.pem", "client_cert": shown, "client_key": shown}
    context = upstreams(tmp_path, upstreams={"reg.example": settings}).context("reg.example")
    assert context is not None
    assert [dict(one[0] for one in found["subject"])["commonName"] for found in context.get_ca_certs()] == ["ca"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_host_that_a_registry_chose_has_its_authorities_and_is_shown_no_certificate(tmp_path: Path) -> None:
    """As a handshake shows with a server that asks for a certificate."""
    issuer = Issuer(tmp_path, "ca")
    shown = issuer.client("us").name
    settings = {"ca": "ca.pem", "client_cert": shown, "client_key": shown}
    found = upstreams(tmp_path, upstreams={"127.0.0.1:5000": settings})
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issuer.server("127.0.0.1"))
    server.load_verify_locations(tmp_path / "ca.pem")
    server.verify_mode = ssl.CERT_OPTIONAL
    for context, is_shown in ((found.context("127.0.0.1:5000"), True), (found.authorities("127.0.0.1:5000"), False)):
        assert context is not None
        assert shows_certificate(context, server) is is_shown
    assert found.authorities("evil.example") is None


@pytest.mark.parametrize(
    ("settings", "thing"),
    [
        ({"ca": "missing.pem"}, "missing.pem"),
        ({"ca": "text.pem"}, "text.pem"),
        ({"client_cert": "ca.pem", "client_key": "ca.pem"}, "ca.pem with"),
        ({"client_cert": "missing.pem", "client_key": "ca.pem"}, "missing.pem"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_found_before_a_start(
    tmp_path: Path, settings: dict[str, str], thing: str
) -> None:
    Issuer(tmp_path, "ca")
    (tmp_path / "text.pem").write_text("not PEM")
    wrong = upstreams(tmp_path, upstreams={"reg.example": settings, "good.example": {"ca": "ca.pem"}})
    with pytest.raises(FailedError) as failed:
        wrong.context("reg.example")
    assert thing in failed.value.thing
    assert '[upstreams."reg.example"]' in failed.value.thing
    assert [error.thing for error in wrong.objections()] == [failed.value.thing]
    assert wrong.context("good.example") is not None


def test_mirrors_are_asked_in_their_order_with_their_prefix_and_the_whole_name(tmp_path: Path) -> None:
    mirrors = ["m1.example", "m2.example:5000/hub"]
    found = upstreams(tmp_path, upstreams={"docker.io": {"mirrors": mirrors}})
    assert found.mirrors("docker.io", "alpine") == (
        ("m1.example", "library/alpine"), ("m2.example:5000", "hub/library/alpine"),
    )  # fmt: skip
    assert found.mirrors("index.docker.io", "team/app")[1] == ("m2.example:5000", "hub/team/app")
    assert found.mirrors("m1.example", "library/alpine") == ()


HEAD = 'site = "a"\nside = "outside"\n'


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ('[upstreams."Reg.example"]', 'upstreams."Reg.example"', "lower case"),
        ('[upstreams."https://reg.example"]', 'upstreams."https://reg.example"', "reg"),
        ("[upstreams.reg.example]", "upstreams.reg", "in quotes"),
        ('upstreams = ["reg.example"]', "upstreams", "a table for each"),
        ('[upstreams."a.example"]\nproxi = "x"', 'upstreams."a.example".proxi', "did you mean proxy?"),
        ('[upstreams."a.example"]\npassword = "x"', 'upstreams."a.example".password', "use ca, client_cert"),
        ('[upstreams."a.example"]\nplain_http = "yes"', 'upstreams."a.example".plain_http', "true or false"),
        ('[upstreams."a.example"]\nproxy = "p:3128"', 'upstreams."a.example".proxy', "http://proxy.example:3128"),
        (
            '[upstreams."a.example"]\nproxy = "http://u:p@p.example"',
            'upstreams."a.example".proxy',
            "without an account",
        ),
        ('[upstreams."a.example"]\nproxy = "socks5://p.example"', 'upstreams."a.example".proxy', "http://"),
        ('[upstreams."a.example"]\nmirrors = ["https://m.example"]', 'upstreams."a.example".mirrors', "mirror.example"),
        ('[upstreams."a.example"]\nmirrors = "m.example"', 'upstreams."a.example".mirrors', "a list of"),
        ('[upstreams."a.example"]\nconcurrency = 0', 'upstreams."a.example".concurrency', "from 1 to"),
        ('[upstreams."a.example"]\nclient_cert = "x"', 'upstreams."a.example".client_key', "both"),
        ('[upstreams."a.example"]\nca = "x"\nplain_http = true', 'upstreams."a.example".plain_http', "leave ca"),
        ('[upstream."a.example"]', "[upstream]", "did you mean [upstreams]?"),
        ('[collect]\nuse_host_configuration = "yes"', "collect.use_host_configuration", "true or false"),
    ],
)
def test_each_wrong_setting_of_a_registry_is_named_with_what_may_stand_there(text: str, key: str, remedy: str) -> None:
    (fault,) = faults(f"{HEAD}{text}\n".encode())
    assert fault.key == key
    assert remedy in fault.remedy
    assert ":p@" not in fault.what + fault.remedy


def test_right_settings_have_no_fault() -> None:
    text = """
[collect]
use_host_configuration = true
[upstreams."docker.io"]
mirrors = ["m.example", "cache.example:5000/hub"]
proxy = ""
concurrency = 4
[upstreams."127.0.0.1:5000"]
ca = "tls/ca.pem"
client_cert = "/etc/us.pem"
client_key = "/etc/us.key"
[upstreams."[::1]:5000"]
plain_http = true
"""
    assert faults(f"{HEAD}{text}".encode()) == []


# The machine's own configuration.


def test_the_machines_configuration_counts_where_the_settings_say_so_alone(tmp_path: Path) -> None:
    conf(tmp_path, '[[registry]]\nlocation = "ghcr.io"\nblocked = true\n')
    with pytest.raises(RefusedError, match="blocked"):
        upstreams(tmp_path, tmp_path).mirrors("ghcr.io", "team/app")
    without = Upstreams(msgspec.convert({"site": "a", "side": "outside"}, Config), tmp_path, tmp_path)
    assert without.mirrors("ghcr.io", "team/app") == ()


RULES = """
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"
something-newer = 1

[[registry]]
prefix = "docker.io"
location = "hub.corp.example/cache"
[[registry.mirror]]
location = "m1.corp.example:5000/hub"
insecure = true
[[registry.mirror]]
location = "m2.corp.example"
pull-from-mirror = "digest-only"

[[registry]]
prefix = "docker.io/team"
location = "docker.io/team"
blocked = true

[[registry]]
prefix = "*.dev.example"
[[registry.mirror]]
location = "dev-mirror.example/all"

[[registry]]
location = "plain.example:5000"
insecure = true

[[registry]]
location = "quay.io"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m3.corp.example"
"""


def test_rules_go_by_their_longest_prefix(tmp_path: Path) -> None:
    conf(tmp_path, RULES)
    found = upstreams(tmp_path, tmp_path)
    assert found.located("docker.io", "alpine") == ("hub.corp.example", "cache/library/alpine")
    assert found.mirrors("docker.io", "alpine") == (("m1.corp.example:5000", "hub/library/alpine"),)
    assert found.mirrors("docker.io", "teams/app") == (("m1.corp.example:5000", "hub/teams/app"),)
    for ask in (found.located, found.mirrors):
        with pytest.raises(RefusedError, match="blocked"):
            ask("docker.io", "team/app")
    assert found.mirrors("a.dev.example", "app") == (("dev-mirror.example", "all/app"),)
    assert found.located("a.dev.example", "app") == ("a.dev.example", "app")
    assert found.mirrors("dev.example", "app") == ()
    assert found.mirrors("quay.io", "app") == ()


def test_insecure_means_http_for_what_is_named_and_never_tls_without_a_check(tmp_path: Path) -> None:
    conf(tmp_path, RULES)
    found = upstreams(tmp_path, tmp_path)
    assert found.plain_http("plain.example:5000", "app")
    assert found.plain_http("m1.corp.example:5000", "hub/library/alpine")
    assert not found.plain_http("m1.corp.example:5000", "other/app")
    assert not found.plain_http("plain.example", "app")
    assert found.context("plain.example:5000") is None
    settings = {"plain.example:5000": {"plain_http": False}}
    assert not upstreams(tmp_path, tmp_path, upstreams=settings).plain_http("plain.example:5000", "app")


def test_mirrors_of_config_toml_go_before_the_machines(tmp_path: Path) -> None:
    conf(tmp_path, RULES)
    found = upstreams(tmp_path, tmp_path, upstreams={"docker.io": {"mirrors": ["own.example"]}})
    assert found.mirrors("docker.io", "alpine") == (("own.example", "library/alpine"),)


def test_a_drop_in_replaces_the_rule_of_its_prefix(tmp_path: Path) -> None:
    conf(tmp_path, '[[registry]]\nlocation = "ghcr.io"\nblocked = true\n')
    conf(tmp_path, '[[registry]]\nlocation = "ghcr.io"\n', "registries.conf.d/10-open.conf")
    conf(tmp_path, "not TOML", "registries.conf.d/notes.txt")
    assert [(rule.prefix, rule.blocked) for rule in read_rules(tmp_path)] == [("ghcr.io", False)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("registry = [", "not TOML"),
        ("[registries.search]\nregistries = []", "version 1"),
        ("registry = 1", "no list"),
        ("registry = [1]", "[[registry]] 1"),
        ("[[registry]]\nblocked = true", "`location` is missing"),
        ("[[registry]]\nlocation = 7", "`location` is no text"),
        ('[[registry]]\nlocation = "https://ghcr.io"', "no registry"),
        ('[[registry]]\nlocation = "ghcr.io"\nblocked = "yes"', "`blocked`"),
        ('[[registry]]\nlocation = "ghcr.io"\n[[registry.mirror]]\ninsecure = true', "[[registry.mirror]] 1"),
        ('[[registry]]\nlocation = "ghcr.io"\nmirror = [{location = "m.example", pull-from-mirror = "x"}]', "none of"),
        ('[[registry]]\nlocation = "ghcr.io"\nmirror = ' + "[" + '{location = "m.example"},' * 11 + "]", "at most 10"),
    ],
)
def test_a_malformed_file_of_the_machine_is_named_with_its_key(tmp_path: Path, text: str, what: str) -> None:
    path = conf(tmp_path, text)
    found = upstreams(tmp_path, tmp_path)
    with pytest.raises(UsageError) as wrong:
        found.mirrors("ghcr.io", "app")
    assert what in wrong.value.diagnostics()
    assert str(path) in wrong.value.thing
    assert "use_host_configuration = false" in wrong.value.remedy
    assert [str(error) for error in found.objections()] == [str(wrong.value)]


@pytest.mark.parametrize("folder", ["containers", "docker"])
def test_certs_d_adds_authorities_and_shows_certificates(tmp_path: Path, folder: str) -> None:
    issuer = Issuer(tmp_path, "ca")
    place = tmp_path / folder / "certs.d/reg.example:5000"
    place.mkdir(parents=True)
    (place / "corp.crt").write_bytes(issuer.ca.read_bytes())
    (place / "client.cert").write_bytes(issuer.client("us").read_bytes())
    (place / "client.key").write_bytes(issuer.client("us").read_bytes())
    (place / "README").write_text("not looked at")
    (place / "client.key").write_bytes((place / "client.cert").read_bytes())
    found = upstreams(tmp_path, tmp_path)
    context = found.context("reg.example:5000")
    assert context is not None
    names = [dict(one[0] for one in each["subject"]).get("commonName") for each in context.get_ca_certs()]
    assert "ca" in names
    assert found.context("reg.example") is None


@pytest.mark.parametrize(("there", "missing"), [("client.cert", "client.key"), ("client.key", "client.cert")])
def test_a_certificate_without_its_key_is_named(tmp_path: Path, there: str, missing: str) -> None:
    place = tmp_path / "containers/certs.d/reg.example"
    place.mkdir(parents=True)
    (place / there).write_text("x")
    with pytest.raises(LockgateError) as wrong:
        upstreams(tmp_path, tmp_path).context("reg.example")
    assert str(place / missing) in wrong.value.diagnostics()
