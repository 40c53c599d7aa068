"""Each setting of config.toml that is wrong is named with its value and what may stand there, before a start."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from appliance.settings.faults import Fault, faults
from appliance.settings.form import FORMS
from appliance.settings.station import Config, load_config
from bundles.errors import UsageError
from tests.cli.conftest import Run

NAMED = 'site = "bravo"\nside = "inside"\n'


def found(lines: str) -> list[Fault]:
    return faults(f"{NAMED}{lines}\n".encode())


def test_every_setting_has_a_form_and_every_form_is_a_setting() -> None:
    def names(struct: type[msgspec.Struct], before: str = "") -> set[str]:
        keys: set[str] = set()
        for field in msgspec.structs.fields(struct):
            inner = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            keys |= names(field.type, f"{field.name}.") if inner else {f"{before}{field.name}"}
        return keys

    assert names(Config) == FORMS.keys()


def test_a_new_stations_file_has_every_setting_and_no_fault(run: Run, station: Path) -> None:
    raw = (station / "config.toml").read_bytes()
    assert faults(raw) == []
    top = tomllib.loads(raw.decode())
    assert {key.partition(".")[0] for key in FORMS} == top.keys()
    assert run("config", "check", "-C", station).status == 0


@pytest.mark.parametrize(
    ("lines", "thing", "remedy"),
    [
        ('listen = "5000"', 'listen = "5000"', "127.0.0.1:5000"),
        ('listen = ":5000"', 'listen = ":5000"', "127.0.0.1:5000"),
        ('listen = "127.0.0.1"', 'listen = "127.0.0.1"', "an address and a port"),
        ('listen = "10.0.0.300:5000"', 'listen = "10.0.0.300:5000"', "an address and a port"),
        ('listen = "::1:5000"', 'listen = "::1:5000"', "[::1]:5000"),
        ('listen = "[1:2]:5000"', 'listen = "[1:2]:5000"', "[::1]:5000"),
        ('listen = "127.0.0.1:65536"', 'listen = "127.0.0.1:65536"', "an address and a port"),
        ("listen = 5000", "listen = 5000", "an address and a port"),
        ('workers = "2"', 'workers = "2"', "a whole number from 1 to 64"),
        ("workers = true", "workers = true", "from 1 to 64"),
        ("workers = 2.0", "workers = 2.0", "from 1 to 64"),
        ('open = "no"', 'open = "no"', "true or false"),
        ("open = 1", "open = 1", "true or false"),
        ("approvals_needed = 1", "approvals_needed = 1", "from 2 to 16"),
        ("approval_hours = 0", "approval_hours = 0", "from 1 to 8784"),
        ('partial_imports = "alpha.*"', 'partial_imports = "alpha.*"', "a list of streams"),
        ('partial_imports = ["alpha"]', 'partial_imports = ["alpha"]', "alpha.bravo"),
        ("partial_imports = [1]", "partial_imports = [1]", "alpha.bravo"),
        ("chunk_minimum = -1", "chunk_minimum = -1", "from 0 to 1073741824"),
        ("reverify_hours = 0", "reverify_hours = 0", "from 1 to 744"),
        ("gc_grace_hours = 9000", "gc_grace_hours = 9000", "from 0 to 8784"),
        ('metrics_listen = "9100"', 'metrics_listen = "9100"', "an address and a port"),
        ('media_roots = ["media"]', 'media_roots = ["media"]', "/media"),
        ('media_roots = ["/"]', 'media_roots = ["/"]', "/media"),
        ('[access]\nanonymous_pull = ["Team/*"]', 'access.anonymous_pull = ["Team/*"]', "team/**"),
        ('[access]\nanonymous_pull = "public/**"', 'access.anonymous_pull = "public/**"', "a list of patterns"),
        ('[access]\naddresses = ["10.0.0.0/33"]', 'access.addresses = ["10.0.0.0/33"]', "10.0.0.0/8"),
        ('[access]\naddresses = ["10.1.2.3/8"]', 'access.addresses = ["10.1.2.3/8"]', 'write "10.0.0.0/8" for the net'),
        ('[access]\nmetrics_addresses = ["any"]', 'access.metrics_addresses = ["any"]', "10.0.0.0/8"),
        ("[access.role_addresses]\nwritter = []", "access.role_addresses.writter = []", "writer"),
        ('[access.role_addresses]\nwriter = ["x"]', 'access.role_addresses.writer = ["x"]', "networks"),
        ('[access.role_addresses]\nwriter = "10.0.0.0/8"', 'access.role_addresses.writer = "10.0.0.0/8"', "lists of"),
        ("[access]\nrequests_per_second = nan", "access.requests_per_second = NaN", "from 0 to"),
        ("[access]\nrequests_per_second = -1", "access.requests_per_second = -1", "from 0 to"),
        ('[access]\nsocket_group = "two words"', 'access.socket_group = "two words"', "name of a group"),
        ("[access]\nsession_minutes = 0", "access.session_minutes = 0", "from 1 to 720"),
        ('[tls]\ncertificate = ""', 'tls.certificate = ""', "a file"),
        ('[tls]\nclients = "yes"', 'tls.clients = "yes"', '"off" or "optional" or "required"'),
        ('[tls]\nclient_ca = "ca.pem"', 'tls.client_ca = "ca.pem"', 'clients = "optional"'),
        ('[tls]\nminimum = "1.1"', 'tls.minimum = "1.1"', '"1.2" or "1.3"'),
        ('[registry]\npush = ["a b"]', 'registry.push = ["a b"]', "team/**"),
        ('[syslog]\nhost = "logs.example"', 'syslog.host = "logs.example"', "logs.example:6514"),
        ("[syslog]\nca = 1", "syslog.ca = 1", "a file"),
        ('[probe]\nimage = "Canary"', 'probe.image = "Canary"', "base/canary:1"),
        ("[probe]\nminutes = -1", "probe.minutes = -1", "1440"),
        ("[webhooks.deploy]\nurl = 1", "webhooks.deploy.url = 1", "hooks.example"),
        ('[webhooks.deploy]\nurl = "http://a.example"', "webhooks.deploy.url", "plain HTTP on loopback alone"),
        ('[webhooks.deploy]\nacts = ["Block"]', "webhooks.deploy.acts", "intake.release"),
        ('[webhooks.deploy]\nsecret = "x"', "webhooks.deploy.secret", "use url"),
        ("[webhooks.Deploy]\n", "webhooks.Deploy", "a-z, 0-9"),
        ('[log]\nformat = "xml"', 'log.format = "xml"', '"text" or "json"'),
        ("[log]\nrequests = true", "log.requests = true", 'format = "json"'),
        ("[slo]\ndays = 0", "slo.days = 0", "from 1 to 90"),
        ("[slo]\nstorage = 100", "slo.storage = 100", "below 100"),
        ("[slo.objectives.Prod]\npulls = 99.9", "slo.objectives.Prod", "a-z, 0-9"),
        ("[slo.objectives.other]\npulls = 99.9", "slo.objectives.other", "a-z, 0-9"),
        ("[slo.objectives.prod]\npulls = 100", "slo.objectives.prod.pulls = 100", "below 100"),
        ('[slo.objectives.prod]\nrepositories = "a"', 'slo.objectives.prod.repositories = "a"', "a list of"),
        ("[slo.objectives.prod]\npull_seconds = 0", "slo.objectives.prod.pull_seconds = 0", "from 0.001"),
        ('[slo.objectives.prod]\nowner = "a\\nb"', "slo.objectives.prod.owner", "without line breaks"),
        ("[slo.objectives.prod]\npull = 99.9", "slo.objectives.prod.pull", "did you mean pulls?"),
        ('[sbom]\nsyft = "syft"', 'sbom.syft = "syft"', "whole path"),
        ('[sbom]\nsyft = "/opt/syft"', 'sbom.sha256 = ""', "both, or neither"),
        ('[sbom]\nsha256 = "AB"', 'sbom.sha256 = "AB"', "64 hex digits"),
        ('[collect.redirects]\n"a.example" = ["https://b"]', 'redirects."a.example" = ["https://b"]', "cdn.example"),
        ('[collect.redirects]\n"https://a.example" = []', 'redirects."https://a.example" = []', "registry.example"),
        ('[collect.redirects]\n"A.example" = []', 'redirects."A.example" = []', "in lower case"),
        ('[collect]\nredirects = ["a"]', 'collect.redirects = ["a"]', "registries"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_the_form_that_is_allowed(lines: str, thing: str, remedy: str) -> None:
    (fault,) = found(lines)
    assert thing in fault.thing
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("lines", "thing", "remedy"),
    [
        ("workerz = 2", "workerz = 2", "did you mean workers?"),
        ("Gc-Grace-Hours = 2", "Gc-Grace-Hours = 2", "did you mean gc_grace_hours?"),
        ("[access]\nadresses = []", "access.adresses = []", "did you mean addresses?"),
        ("anonymous_pul = []", "anonymous_pul = []", "did you mean anonymous_pull, below [access]?"),
        ('push = ["a"]', 'push = ["a"]', "move it below [registry]"),
        ("[access]\nworkers = 2", "access.workers = 2", "move it to the top of the file"),
        ("[collect.redirects]\nworkers = 4", "collect.redirects.workers = 4", "move it to the top of the file"),
        ('[collect.redirects]\npush = ["a"]', 'collect.redirects.push = ["a"]', "move it below [registry]"),
        ("[acces]\naddresses = []", "[acces]", "did you mean [access]?"),
        ("[collect.redirect]\n", "[collect.redirect]", "did you mean [collect.redirects]?"),
        ('[[sources]]\nsite = "alpha"', "sources", "move it to approvals.toml"),
        ("colour = 1", "colour = 1", "docs/reference/configuration.md"),
        ("access = 1", "access = 1", "[access]"),
    ],
)
def test_a_key_that_no_setting_has_is_named_with_what_was_meant(lines: str, thing: str, remedy: str) -> None:
    (fault,) = found(lines)
    assert fault.thing.startswith(thing)
    assert remedy in fault.remedy


def test_an_address_that_the_machine_lacks_and_a_folder_that_is_not_there_are_named(
    run: Run, station: Path, tmp_path: Path
) -> None:
    """192.0.2.0/24 is for documentation (RFC 5737): no machine has one of it."""
    config = station / "config.toml"
    text = config.read_text().replace('listen = "127.0.0.1:5000"', 'listen = "192.0.2.7:5000"', 1)
    text = text.replace('metrics_listen = ""', 'metrics_listen = "no-such-host.invalid:9100"')
    roots = f'media_roots = ["{tmp_path}/nope", "{config}", "/run/media", "{tmp_path}"]'
    config.write_text(re.sub("^media_roots = .*$", roots, text, flags=re.MULTILINE))
    ended = run("config", "check", "--json", "-C", station)
    assert ended.status == 2
    things = [item["thing"] for item in ended.document["items"]]
    assert ['listen = "192.0.2.7:5000"', "metrics_listen", str(tmp_path / "nope"), str(config)] == [
        part for part, thing in zip(
            ('listen = "192.0.2.7:5000"', "metrics_listen", str(tmp_path / "nope"), str(config)), things, strict=True
        ) if part in thing
    ]  # fmt: skip


def test_all_faults_are_listed_and_a_start_names_the_first(run: Run, station: Path) -> None:
    config = station / "config.toml"
    config.write_text(config.read_text().replace("workers = 2", "workers = 0") + 'open = true\n"x" = []\n')
    ended = run("config", "check", "--json", "-C", station)
    assert (ended.status, ended.document["ok"]) == (2, False)
    assert [item["key"] for item in ended.document["items"]] == [
        "workers", "collect.redirects.open", "collect.redirects.x",
    ]  # fmt: skip
    assert "3 settings to correct" in ended.err
    assert len(run("config", "check", "-C", station).out.splitlines()) == 3
    started = run("serve", "-C", station)
    assert started.status == 2
    assert f"workers = 0 in {config}; write a whole number from 1 to 64, and 2 more" in started.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('site = "bravo"', 'site = "brav0"', "site = 'bravo'"),
        ('socket_group = ""', 'socket_group = "no-such-group"', "no-such-group"),
        ('metrics_listen = ""', 'metrics_listen = "0.0.0.0:5000"', "listens there already"),
    ],
)
def test_what_does_not_fit_this_station_or_system_is_named_by_the_check_and_by_a_start(
    run: Run, station: Path, old: str, new: str, said: str
) -> None:
    config = station / "config.toml"
    config.write_text(config.read_text().replace(old, new))
    ended = run("config", "check", "-C", station)
    assert ended.status == 2
    assert said in ended.out
    started = run("serve", "-C", station)
    assert started.status == 2
    assert said in started.err


def test_files_that_settings_name_and_the_rules_for_approvals_are_looked_at(run: Run, station: Path) -> None:
    config = station / "config.toml"
    config.write_text(
        config.read_text()
        .replace('syft = ""', 'syft = "/nowhere/syft"')
        .replace('sha256 = ""', f'sha256 = "{"0" * 64}"')
        .replace('"tls/server.pem"', '"tls/gone.pem"')
    )
    (station / "approvals.toml").write_text("[[rule]]\napprovals = 99\n")
    ended = run("config", "check", "-C", station)
    assert ended.status == 2
    assert [word for word in ("/nowhere/syft", "tls/gone.pem", "approvals.toml") if word not in ended.out] == []


def test_an_open_station_on_another_address_than_loopback_is_named(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path / "delta", "--site", "delta", "--side", "inside", "--open").status == 0
    config = tmp_path / "delta" / "config.toml"
    config.write_text(config.read_text().replace("127.0.0.1:5000", "0.0.0.0:5000"))
    ended = run("config", "check", "-C", tmp_path / "delta")
    assert (ended.status, "an open station listens on loopback alone" in ended.out) == (2, True)


@pytest.mark.parametrize(
    ("raw", "what"),
    [(b"\xef\xbb\xbf" + NAMED.encode(), "not TOML"), (b"site = 'a", "not TOML"), (b"a = " + b"[" * 20_000, "not TOML"),
     (b"site = 'a'\nsite = 'b'", "not TOML"), (b"\xff", "not UTF-8")],
)  # fmt: skip
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "config.toml").write_bytes(raw)
    with pytest.raises(UsageError) as refused:
        load_config(tmp_path / "config.toml")
    assert what in refused.value.what
    assert "\n" not in refused.value.diagnostics()


def test_a_file_is_read_each_time_and_no_reader_has_the_lists_of_another(tmp_path: Path) -> None:
    """What a file of the same bytes came to is kept."""
    path = tmp_path / "config.toml"
    path.write_text('site = "bravo"\nside = "inside"\nmedia_roots = ["/media"]\n')
    first = load_config(path)
    first.media_roots.append("/elsewhere")
    assert load_config(path).media_roots == ["/media"]
    path.write_text('site = "bravo"\nside = "inside"\nmedia_roots = ["/mnt"]\n')
    assert load_config(path).media_roots == ["/mnt"]
    path.write_text('site = "bravo"\nside = "nowhere"\n')
    for _ in range(2):
        with pytest.raises(UsageError):
            load_config(path)
