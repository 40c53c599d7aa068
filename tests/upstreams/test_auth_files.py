"""Log-ins are found where podman, skopeo and docker keep them, and no message quotes a secret."""

from __future__ import annotations

import base64
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from appliance.limits import collecting as limits
from appliance.upstreams.accounts import Account, Accounts, keys_of, place_of
from appliance.upstreams.auth_files import accounts_for, accounts_in, has_files
from bundles.errors import FailedError, LockgateError, UsageError
from tests.handles.people import STRANGER, as_uid, needs_root

SECRET = "s3cret-of-the-test"


def basic(user: str, secret: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


class Home:
    """A person's home, and the environment of their process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}

    def write(self, name: str, document: Any, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        path.chmod(mode)
        return path

    def find(self, host: str, repository: str = "team/app", authfile: Path | None = None) -> Account | None:
        accounts, _ = accounts_for([(host, repository)], authfile, self.environ)
        return accounts.find(host, repository)

    def user(self, host: str, repository: str = "team/app", authfile: Path | None = None) -> str | None:
        found = self.find(host, repository, authfile)
        return None if found is None else found.user

    def helper(self, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
        program = self.folder / "bin" / f"docker-credential-{name}"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


FILES = ("run/containers/auth.json", ".config/containers/auth.json", ".docker/config.json")


def test_each_usual_file_is_read_and_the_first_that_has_an_account_counts(home: Home) -> None:
    for name in reversed(FILES):
        home.write(name, {"auths": {"ghcr.io": basic(name)}})
        assert home.user("ghcr.io") == name


def test_a_file_without_an_account_for_the_registry_leaves_the_next_one_its_turn(home: Home) -> None:
    home.write(FILES[0], {"auths": {"quay.io": basic("quay")}})
    home.write(FILES[2], {"auths": {"ghcr.io": basic("docker")}})
    assert (home.user("quay.io"), home.user("ghcr.io"), home.user("nvcr.io")) == ("quay", "docker", None)


def test_configured_folders_go_before_those_of_the_home(home: Home, tmp_path: Path) -> None:
    home.environ |= {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "DOCKER_CONFIG": str(tmp_path / "docker")}
    for name in FILES[1:]:
        home.write(name, {"auths": {"ghcr.io": basic("home")}})
    home.write("docker/config.json", {"auths": {"ghcr.io": basic("docker")}})
    assert home.user("ghcr.io") == "home"  # of ~/.config, which podman reads before docker's
    home.write("xdg/containers/auth.json", {"auths": {"ghcr.io": basic("xdg")}})
    assert home.user("ghcr.io") == "xdg"


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_file_that_is_named_is_the_only_one_that_is_read(home: Home, tmp_path: Path, by: str) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io": basic("docker")}})
    named = home.write("named.json", {"auths": {"quay.io": basic("named")}})
    given = named if by == "option" else None
    if by == "environment":
        home.environ["REGISTRY_AUTH_FILE"] = str(named)
    assert (home.user("quay.io", authfile=given), home.user("ghcr.io", authfile=given)) == ("named", None)
    named.unlink()
    with pytest.raises(UsageError, match="no such file") as missing:
        home.find("quay.io", authfile=given)
    assert str(named) in missing.value.diagnostics()


def test_the_option_goes_before_the_environment(home: Home) -> None:
    home.environ["REGISTRY_AUTH_FILE"] = str(home.write("one.json", {"auths": {"ghcr.io": basic("one")}}))
    assert home.user("ghcr.io", authfile=home.write("two.json", {"auths": {"ghcr.io": basic("two")}})) == "two"


def test_without_a_file_nothing_is_asked_for(home: Home) -> None:
    assert not has_files(None, home.environ)
    home.write(FILES[2], {})
    assert has_files(None, home.environ)


@pytest.mark.parametrize(
    ("repository", "user"),
    [("team/app", "app"), ("team/other", "team"), ("team/app/sub", "app"), ("teams/app", "all"), ("tea", "all")],
)
def test_of_several_keys_of_one_registry_the_longest_that_fits_counts(home: Home, repository: str, user: str) -> None:
    keys = {"reg.example:5000": "all", "reg.example:5000/team": "team", "reg.example:5000/team/app": "app"}
    home.write(FILES[0], {"auths": {key: basic(name) for key, name in keys.items()}})
    assert home.user("reg.example:5000", repository) == user
    assert home.user("REG.example:5000", repository) == user
    assert home.user("reg.example", repository) is None


def test_docker_itself_knows_no_key_of_a_part_of_a_registry(home: Home) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io/team": basic("docker wrote an URL once")}})
    assert home.user("ghcr.io", "other/app") == "docker wrote an URL once"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"])
@pytest.mark.parametrize("host", ["docker.io", "index.docker.io"])
def test_docker_hub_has_one_account_by_whichever_name(home: Home, key: str, host: str) -> None:
    home.write(FILES[2], {"auths": {key: basic("hub")}})
    assert home.user(host, "alpine") == home.user(host, "team/app") == "hub"
    assert home.user("docker.example", "alpine") is None


def test_a_key_that_is_an_url_is_the_registry_in_it(home: Home) -> None:
    home.write(FILES[2], {"auths": {"https://reg.example:5000/v2/": basic("url")}})
    assert home.user("reg.example:5000") == "url"
    home.write(FILES[2], {"auths": {"https://reg.example/v2/": basic("url"), "reg.example": basic("plain")}})
    assert home.user("reg.example") == "plain"


def test_a_secret_with_colons_and_a_name_without_a_secret_are_taken_as_docker_takes_them(home: Home) -> None:
    home.write(
        FILES[0], {"auths": {"a.example": basic("user", "a:b"), "b.example": basic("user", ""), "c.example": {}}}
    )
    found = home.find("a.example")
    assert found is not None
    assert (found.user, found.secret) == ("user", "a:b")
    assert (home.find("b.example"), home.find("c.example")) == (None, None)


def test_an_identity_token_is_one(home: Home) -> None:
    home.write(FILES[2], {"auths": {"acr.example": basic("00000000", "") | {"identitytoken": SECRET}}})
    found = home.find("acr.example")
    assert found is not None
    assert (found.secret, found.identity_token) == ("", SECRET)


MALFORMED = {
    "it is no object": {"auths": {"ghcr.io": SECRET}},
    "auth is no text": {"auths": {"ghcr.io": {"auth": 7}}},
    "auth is no base64 of a text": {"auths": {"ghcr.io": {"auth": f"{SECRET}!"}}},
    "auth is no base64 of a text ": {"auths": {"ghcr.io": {"auth": base64.b64encode(b"\xff\xfe:x").decode()}}},
    "auth has no colon": {"auths": {"ghcr.io": {"auth": base64.b64encode(SECRET.encode()).decode()}}},
    "identitytoken is no text": {"auths": {"ghcr.io": {"identitytoken": [SECRET]}}},
    "control characters": {"auths": {"ghcr.io": basic("na\nme")}},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_entry_is_one_line_with_file_and_key_and_without_the_secret(home: Home, what: str) -> None:
    path = home.write(FILES[0], MALFORMED[what])
    with pytest.raises(UsageError) as wrong:
        home.find("ghcr.io")
    line = wrong.value.diagnostics()
    assert what.strip() in line
    assert f"{path}: auths.ghcr.io" in line
    assert SECRET not in line
    assert base64.b64encode(SECRET.encode()).decode() not in line
    assert home.user("quay.io") is None  # an entry of another registry is not looked at


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f'{{"auths": {{"ghcr.io": {{"auth": "{SECRET}"', "no JSON"),
        (f'{{"auths": {{"ghcr.io": {{}}, "ghcr.io": "{SECRET}"}}}}', "no JSON"),
        ("[]", "no JSON object"),
        ('{"auths": []}', "auths is no object"),
        ('{"credHelpers": {"ghcr.io": 7}}', "credHelpers.ghcr.io is no text"),
        ('{"credsStore": {}}', "credsStore is no text"),
        ("[" * 100_000, "no JSON"),
        (" " * (limits.AUTH_FILE + 1), "too large"),
    ],
    ids=lambda value: value[:40],
)
def test_a_malformed_file_is_one_line_that_names_it(home: Home, text: str, what: str) -> None:
    path = home.write(FILES[2], text)
    with pytest.raises(UsageError) as wrong:
        home.find("ghcr.io")
    assert what in wrong.value.diagnostics()
    assert str(path) in wrong.value.diagnostics()
    assert SECRET not in wrong.value.diagnostics()
    assert "\n" not in wrong.value.diagnostics()


def test_what_is_no_regular_file_is_not_waited_for(home: Home, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        home.find("ghcr.io", authfile=tmp_path / "pipe")


def test_a_home_that_is_anothers_has_no_log_ins(home: Home, tmp_path: Path) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io": basic("docker")}})
    environ = home.environ
    (tmp_path / "loop").symlink_to("loop")
    for name in (str(tmp_path / "loop"), str(tmp_path / FILES[2]), "a\0b"):
        home.environ = environ | {"HOME": name}
        assert not has_files(None, home.environ)
        assert home.user("ghcr.io") is None
    home.environ = {"HOME": ""}
    assert isinstance(has_files(None, home.environ), bool)


@needs_root
def test_a_home_that_this_account_may_not_enter_is_passed_over(home: Home, tmp_path: Path) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io": basic("docker")}})
    (tmp_path / ".docker").chmod(0o700)
    assert as_uid(STRANGER, lambda: (has_files(None, home.environ), home.user("ghcr.io"))) == (False, None)


def test_a_link_to_a_file_of_log_ins_is_followed(home: Home, tmp_path: Path) -> None:
    real = home.write("dotfiles/auth.json", {"auths": {"ghcr.io": basic("linked")}})
    (tmp_path / "run/containers").mkdir(parents=True)
    (tmp_path / FILES[0]).symlink_to(real)
    assert home.user("ghcr.io") == "linked"


@pytest.mark.parametrize(("mode", "said"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o620, 1)])
def test_a_file_that_others_may_read_is_warned_of_where_an_account_of_it_is_used(
    home: Home, mode: int, said: int
) -> None:
    path = home.write(FILES[0], {"auths": {"ghcr.io": basic("user")}}, mode)
    _, lines = accounts_for([("ghcr.io", "a"), ("ghcr.io", "b")], None, home.environ)
    assert len(lines) == said
    assert all(f"chmod 600 {path}" in line and SECRET not in line for line in lines)
    assert accounts_for([("quay.io", "a")], None, home.environ)[1] == []


@pytest.mark.parametrize(("mode", "said"), [(0o644, 0), (0o664, 1)])
def test_a_file_that_holds_no_secret_may_be_read_and_not_changed(
    home: Home, monkeypatch: pytest.MonkeyPatch, mode: int, said: int
) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    home.helper("test", answering("helped"), monkeypatch)
    home.write(FILES[2], {"credsStore": "test"}, mode)
    assert len(accounts_for([("ghcr.io", "a")], None, home.environ)[1]) == said


# Credential helpers.


def answering(user: str, secret: str = SECRET) -> str:
    return f'cat >"$HOME/asked"; echo {shlex.quote(json.dumps({"ServerURL": "x", "Username": user, "Secret": secret}))}'


@pytest.mark.parametrize("how", ["credHelpers", "credsStore"])
def test_a_helper_is_asked_for_the_registry(home: Home, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    home.helper("test", answering("helped"), monkeypatch)
    home.write(FILES[2], {how: {"ghcr.io": "test"} if how == "credHelpers" else "test"})
    found = home.find("ghcr.io")
    assert found is not None
    assert (found.user, found.secret, found.host) == ("helped", SECRET, "ghcr.io")
    assert (home.folder / "asked").read_text() == "ghcr.io"


def test_the_user_that_stands_for_a_token_makes_an_identity_token(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    home.helper("test", answering("<token>"), monkeypatch)
    home.write(FILES[2], {"credsStore": "test"})
    found = home.find("docker.io", "alpine")
    assert found is not None
    assert (found.secret, found.identity_token, found.key) == ("", SECRET, "docker.io")
    assert (home.folder / "asked").read_text() == "https://index.docker.io/v1/"


def test_a_helper_that_holds_nothing_leaves_the_entries_their_turn(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.helper("none", "echo credentials not found in native keychain; exit 1", monkeypatch)
    home.write(
        FILES[2], {"credHelpers": {"ghcr.io": "none"}, "credsStore": "none", "auths": {"ghcr.io": basic("file")}}
    )
    assert (home.user("ghcr.io"), home.user("quay.io")) == ("file", None)


def test_the_registrys_own_helper_goes_before_the_one_for_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    home.helper("own", answering("own"), monkeypatch)
    home.helper("all", answering("all"), monkeypatch)
    document = {"credHelpers": {"ghcr.io": "own"}, "credsStore": "all", "auths": {"quay.io": basic("stale")}}
    home.write(FILES[2], document)
    assert (home.user("ghcr.io"), home.user("quay.io")) == ("own", "all")


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (f"echo 'cannot unlock {SECRET}'; exit 1", "helper failed"),
        (f"echo '{SECRET}'", "answered with no account"),
        ('echo \'{"Username": 7, "Secret": "x"}\'', "answered with no account"),
        ("echo '[1]'", "answered with no account"),
        ('echo \'{"Username": "a:b", "Secret": "x"}\'', "answered with no account"),
        ('echo \'{"Username": "a\\nb", "Secret": "x"}\'', "answered with no account"),
        ("exec yes " + SECRET, "too much"),
        ("exec sleep 60", "in time"),
        ("sleep 60 & exec 1>&-; sleep 60", "in time"),
    ],
)
def test_a_helper_that_misbehaves_is_one_line_that_quotes_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, script: str, what: str
) -> None:
    monkeypatch.setattr(limits, "CREDENTIAL_HELPER", 0.3)
    home.helper("bad", script, monkeypatch)
    home.write(FILES[2], {"credHelpers": {"ghcr.io": "bad"}})
    with pytest.raises(FailedError, match=what) as failed:
        home.find("ghcr.io")
    assert "docker-credential-bad" in failed.value.diagnostics()
    assert SECRET not in failed.value.diagnostics()


def test_what_a_helper_leaves_running_is_not_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    home.helper("daemon", f'sleep 60 & {answering("helped")}; echo $! >"$HOME/left"', monkeypatch)
    home.write(FILES[2], {"credHelpers": {"ghcr.io": "daemon"}})
    assert home.user("ghcr.io") == "helped"
    os.kill(int((home.folder / "left").read_text()), 9)


@pytest.mark.parametrize("name", ["../../bin/sh", "a/b", "", "-x", "a b", "x" * 65])
def test_a_helper_whose_name_is_none_is_not_started(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    home.helper("test", answering("helped"), monkeypatch)
    home.write(FILES[2], {"credHelpers": {"ghcr.io": name}})
    with pytest.raises(UsageError, match="not the name of a credential helper"):
        home.find("ghcr.io")


def test_a_helper_is_not_taken_from_a_folder_of_path_that_is_not_named_from_the_root(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.helper("test", answering("planted"), monkeypatch)
    monkeypatch.chdir(home.folder / "bin")
    monkeypatch.setenv("PATH", ".::bin")
    home.write(FILES[2], {"credHelpers": {"ghcr.io": "test"}})
    with pytest.raises(FailedError, match="not on PATH"):
        home.find("ghcr.io")


def test_a_missing_helper_for_all_is_said_and_public_content_still_comes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    path = home.write(FILES[2], {"credsStore": "desktop"})
    accounts, said = accounts_for([("ghcr.io", "a"), ("quay.io", "a")], None, home.environ)
    assert not accounts
    assert len(said) == 2
    assert all("docker-credential-desktop" in line and str(path) in line for line in said)


# The document, and the station's own file.


def test_accounts_travel_as_one_document_and_are_in_no_text() -> None:
    account = Account("ghcr.io/team", "user", SECRET, "token-of-it")
    accounts = Accounts.decode(Accounts([account]).encode())
    found = accounts.find("ghcr.io", "team/app")
    assert found == account
    assert accounts.find("ghcr.io", "other/app") is None
    assert accounts.hosts == ["ghcr.io"]
    for text in (repr(account), str(account), repr(accounts), str(accounts), repr([found]), f"{found}"):
        assert SECRET not in text
        assert "token-of-it" not in text


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[1]", b'[{"key": "a"}]', b'[{"key":"a","user":1,"secret":"","identity_token":""}]',
            b"[" * 100_000, b"\xff", b" " * (limits.ACCOUNTS_HANDED + 1)],
    ids=lambda raw: repr(raw[:30]),
)  # fmt: skip
def test_a_document_of_another_form_is_a_usage_error_that_quotes_nothing(raw: bytes) -> None:
    with pytest.raises(UsageError, match="malformed accounts"):
        Accounts.decode(raw)


def test_the_stations_own_file_holds_entries_alone(home: Home) -> None:
    path = home.write(
        "own.json", {"auths": {"ghcr.io": basic("station"), "quay.io/team": basic("team"), "x.example": {}}}
    )
    accounts = accounts_in(path)
    assert accounts.hosts == ["ghcr.io", "quay.io"]
    assert accounts.find("quay.io", "other") is None
    assert not accounts_in(home.folder / "missing.json")
    for helper in ({"credsStore": "pass"}, {"credHelpers": {"ghcr.io": "pass"}}):
        with pytest.raises(UsageError, match="helper"):
            accounts_in(home.write("own.json", helper))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ghcr.io/team/app:1", ("ghcr.io", "team/app")),
        ("docker://ghcr.io/team/app@sha256:0", ("ghcr.io", "team/app")),
        ("localhost:5000/app:1", ("localhost:5000", "app")),
        ("ghcr.io/team/*:1", ("ghcr.io", "team")),
        ("ghcr.io/te*m/app", ("ghcr.io", "")),
        ("ghcr.io", ("ghcr.io", "")),
    ],
)
def test_the_place_of_a_reference_is_what_stands_fast_in_it(text: str, place: tuple[str, str]) -> None:
    assert place_of(text) == place


def test_the_keys_of_a_repository_begin_with_the_longest() -> None:
    assert list(keys_of("Reg.Example:5000", "a/b")) == [
        "reg.example:5000/a/b",
        "reg.example:5000/a",
        "reg.example:5000",
    ]
    assert list(keys_of("docker.io", "alpine")) == ["docker.io/library/alpine", "docker.io/library", "docker.io"]


def test_every_error_about_accounts_has_a_remedy(home: Home) -> None:
    home.write(FILES[0], {"auths": {"docker.io": 7}})
    with pytest.raises(LockgateError) as wrong:
        home.find("docker.io", "alpine")
    assert "skopeo login docker.io" in wrong.value.remedy
