"""A directory by LDAP, against Debian's slapd: who proves themselves there, and that nothing falls back to anything."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.access.certificates import make_ca
from appliance.access.directory import DirectoryError, Person
from appliance.access.ldap_directory import LdapDirectory, normal
from appliance.limits import access as limits
from appliance.paths import StationPaths
from appliance.permissions import Grant
from appliance.settings.directory import DirectorySettings, grant_of
from appliance.settings.faults import faults
from bundles.errors import UsageError
from tests.access.directory import BUILDERS, PASSWORD, Slapd, a_slapd

GRANTS = frozenset({Grant("collector"), Grant("reader", "team/**")})


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with a_slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


async def asked(settings: DirectorySettings, root: Path, name: str, password: str = PASSWORD) -> Person | None:
    directory = LdapDirectory(settings, root)
    try:
        return await directory.prove(name, password)
    finally:
        directory.close()


async def fault(settings: DirectorySettings, root: Path, name: str = "anna") -> str:
    with pytest.raises(DirectoryError) as caught:
        await asked(settings, root, name)
    return caught.value.fault


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
async def test_a_person_proves_themselves_under_tls_and_has_what_their_groups_give(
    slapd: Slapd, tmp_path: Path, tls: str
) -> None:
    port = slapd.secure if tls == "ldaps" else slapd.plain
    settings = slapd.settings(tmp_path, tls=tls, address=f"localhost:{port}")
    assert await asked(settings, tmp_path, "anna") == Person("Anna Berg", GRANTS)
    assert await asked(settings, tmp_path, "bob") == Person("Bob (x)*, Bell", GRANTS)
    assert await asked(settings, tmp_path, "dora") == Person("Dora", frozenset())
    for name, password in (("anna", "wrong"), ("nobody", PASSWORD), ("elsewhere", PASSWORD), ("lockgate", PASSWORD)):
        assert await asked(settings, tmp_path, name, password) is None


@pytest.mark.parametrize("name", ["*", "a*", "anna)(uid=*", "anna)(|(uid=*))", "\\61nna", "anna\0", ""])
async def test_a_name_is_no_filter(slapd: Slapd, tmp_path: Path, name: str) -> None:
    assert await asked(slapd.settings(tmp_path), tmp_path, name) is None


async def test_an_empty_password_is_no_anonymous_log_in(slapd: Slapd, tmp_path: Path) -> None:
    assert await asked(slapd.settings(tmp_path), tmp_path, "anna", "") is None
    settings = slapd.settings(tmp_path)
    (tmp_path / "keys/directory.secret").write_text("\n")
    assert await fault(settings, tmp_path) == "directory-login"


async def test_two_entries_of_one_name_are_nobody(slapd: Slapd, tmp_path: Path) -> None:
    assert await fault(slapd.settings(tmp_path, user_base="dc=example", user_attribute="sn"), tmp_path, "x") == (
        "directory-answer"
    )


async def test_only_the_pinned_authority_counts_and_only_for_the_name(slapd: Slapd, tmp_path: Path) -> None:
    settings = slapd.settings(tmp_path, address=f"127.0.0.1:{slapd.secure}")
    assert await fault(settings, tmp_path) == "directory-tls"
    settings = slapd.settings(tmp_path, address=f"localhost:{slapd.plain}")
    assert await fault(settings, tmp_path) in ("directory-tls", "directory-down"), "plain LDAP is not spoken"
    settings = slapd.settings(tmp_path)
    (tmp_path / "tls/directory-ca.pem").write_bytes(some_ca(tmp_path))
    assert await fault(settings, tmp_path) == "directory-tls"
    (tmp_path / "tls/directory-ca.pem").write_text("")
    assert await fault(settings, tmp_path) == "directory-tls"


async def test_the_stations_own_account_is_a_closed_file_and_right(
    slapd: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, secret = slapd.settings(tmp_path), tmp_path / "keys/directory.secret"
    kept = secret.read_text()
    secret.chmod(0o644)
    assert await fault(settings, tmp_path) == "directory-login"
    secret.chmod(0o600)
    secret.write_text("wrong")
    assert await fault(settings, tmp_path) == "directory-login"
    secret.unlink()
    assert await fault(settings, tmp_path) == "directory-login"
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/directory").write_text(kept)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert await asked(settings, tmp_path, "anna") is not None


async def test_a_directory_that_is_away_is_said_so_and_let_alone_for_a_while(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = Slapd(Path("/nowhere"), plain=0, secure=port)
    given = DirectorySettings(address=f"localhost:{settings.secure}", ca="ca.pem", bind_dn="cn=x", user_base="cn=x",
                              group_base="cn=x")  # fmt: skip
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/directory.secret").write_text("x")
    (tmp_path / "keys/directory.secret").chmod(0o600)
    directory = LdapDirectory(given, tmp_path)
    for _ in range(2):
        with pytest.raises(DirectoryError) as caught:
            await directory.prove("anna", "x")
        assert caught.value.fault == "directory-down"
    directory.close()


async def test_a_directory_that_says_nothing_blocks_no_loop_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DIRECTORY_TIME", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = DirectorySettings(address=f"localhost:{silent.getsockname()[1]}", ca="ca.pem", bind_dn="cn=x",
                                  user_base="cn=x", group_base="cn=x")  # fmt: skip
        (tmp_path / "ca.pem").write_text("")
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys/directory.secret").write_text("x")
        (tmp_path / "keys/directory.secret").chmod(0o600)
        (tmp_path / "ca.pem").write_bytes(some_ca(tmp_path))
        directory = LdapDirectory(given, tmp_path)
        waiting = asyncio.create_task(directory.prove("anna", "x"))
        turns = 0
        while not waiting.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 10
        with pytest.raises(DirectoryError) as caught:
            await waiting
        assert caught.value.fault == "directory-down"
        directory.close()
        for thread in threading.enumerate():
            if thread.name.startswith("directory"):
                thread.join(20)
                assert not thread.is_alive(), "what was asked was ended"


async def test_those_who_wait_behind_others_do_not_make_the_directory_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong passwords by the dozen, which a server answers slowly, are no reason to ask nothing for everybody."""
    monkeypatch.setattr(limits, "DIRECTORY_TIME", 0.05)
    monkeypatch.setattr(limits, "DIRECTORY_THREADS", 1)
    given = DirectorySettings(address="localhost:1", ca="ca.pem", bind_dn="cn=x", user_base="cn=x", group_base="cn=x")
    directory, go = LdapDirectory(given, tmp_path), threading.Event()
    asyncio.get_running_loop().run_in_executor(directory._threads, go.wait, 20)
    try:
        with pytest.raises(DirectoryError) as caught:
            await directory.prove("anna", "x")
    finally:
        go.set()
        directory.close()
    assert (caught.value.fault, directory._away_until) == ("directory-down", 0.0)


def some_ca(folder: Path) -> bytes:
    (folder / "some").mkdir()
    make_ca(StationPaths(folder / "some"), "some")
    return (folder / "some/tls/ca.pem").read_bytes()


@pytest.mark.parametrize("role", ["security-officer", "administrator", "administrator team/**", "nothing", ""])
def test_no_group_gives_a_role_that_decides(role: str) -> None:
    with pytest.raises(UsageError):
        grant_of(role)


def test_dns_are_compared_by_what_they_name() -> None:
    assert normal("CN=builders, OU=Groups,dc=Example") == normal(BUILDERS)
    assert normal("cn=builders\\,ou=groups,dc=example") != normal(BUILDERS)


CONFIG = """\
site = "bravo"
side = "inside"
[directory]
address = "ldap.example"
ca = "tls/directory-ca.pem"
bind_dn = "cn=lockgate,dc=example"
user_base = "ou=people,dc=example"
group_base = "ou=groups,dc=example"
[directory.roles]
"cn=builders,ou=groups,dc=example" = ["collector", "reader team/**"]
"""


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("", "", ""),
        ('"ldap.example"', '"ldap.example:3269"', ""),
        ('"ldap.example"', '"[2001:db8::1]:636"', ""),
        ('"ldap.example"', '"ldap://ldap.example"', "directory.address"),
        ('"ldap.example"', '"ldap.example:99999"', "directory.address"),
        ('ca = "tls/directory-ca.pem"\n', "", "directory.ca"),
        ("ca = ", 'tls = "plain"\nca = ', "directory.tls"),
        ("ca = ", 'user_attribute = "uid)(x"\nca = ', "directory.user_attribute"),
        ('"collector"', '"administrator"', "directory.roles"),
        ('"collector"', '"security-officer"', "directory.roles"),
        ('"reader team/**"', '"reader //"', "directory.roles"),
        ('["collector", "reader team/**"]', '"collector"', "directory.roles"),
    ],
)
def test_its_settings_are_checked(old: str, new: str, key: str) -> None:
    found = faults(CONFIG.replace(old, new).encode() if old else CONFIG.encode())
    assert [one.key for one in found][:1] == ([key] if key else []), found
