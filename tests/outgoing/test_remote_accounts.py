"""Accounts at registries: what proves one goes to the host it is for, and nowhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from yarl import URL

from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.challenges import Challenge, choose
from appliance.outgoing.collect.host_client import HostClient
from appliance.outgoing.collect.pace import Pace
from bundles.errors import FailedError, LockgateError
from bundles.oci.digest import Digest
from tests.outgoing.asking import Asking
from tests.outgoing.small_registry import Handler, SmallRegistry, serving

SECRET = "s3cret-of-eve"
BASIC = "Basic " + base64.b64encode(f"eve:{SECRET}".encode()).decode()


class Known:
    """Accounts by host, and mirrors by host and repository."""

    def __init__(self, *accesses: HostAccess, mirrors: tuple[tuple[str, str], ...] = ()) -> None:
        self._accesses = {access.host: access for access in accesses}
        self._mirrors = mirrors

    def for_repository(self, host: str, repository: str) -> HostAccess:
        return self._accesses.get(host, HostAccess(host))

    def located(self, host: str, repository: str) -> tuple[str, str]:
        return host, repository

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        return self._mirrors


class Guarded(SmallRegistry):
    """A registry that wants an account; `sent` are the Authorization headers that it got, by path."""

    def __init__(self, challenge: str, takes: str) -> None:
        super().__init__()
        self.challenge, self.takes = challenge, takes
        self.sent: list[tuple[str, str]] = []
        self.fault = self.guard

    def guard(self, handler: Handler) -> bool:
        authorization = handler.headers.get("Authorization", "")
        self.sent.append((handler.path, authorization))
        if handler.path.startswith("/token"):
            return self.give_token(handler, authorization)
        if authorization == self.takes:
            return False
        handler.answer(401, b"", {"WWW-Authenticate": self.challenge.replace("HOST", self.host)})
        return True

    def give_token(self, handler: Handler, authorization: str) -> bool:
        if handler.command == "POST":
            form = parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode())
            good = form.get("refresh_token") == [SECRET] and form.get("grant_type") == ["refresh_token"]
        else:
            good = authorization == BASIC
        handler.answer(200 if good else 401, json.dumps({"access_token": "token-of-eve"}).encode())
        return True


@pytest.fixture
def other() -> Iterator[Guarded]:
    with serving(Guarded('Basic realm="other"', BASIC)) as running:
        assert isinstance(running, Guarded)
        yield running


def ask(registry: SmallRegistry, access: HostAccess | None = None, tag: str = "1") -> Digest:
    accesses = Known(*(one for one in [access] if one is not None))
    with Asking(f"{registry.host}/team/app:{tag}", accesses=accesses) as asking:
        root = asking.root().descriptor
        asking.manifest(root)
        return root.digest


def eve(registry: SmallRegistry, **fields: str) -> HostAccess:
    return HostAccess(registry.host, **({"user": "eve", "secret": SECRET} | fields))  # type: ignore[arg-type]


def test_a_password_is_sent_once_it_is_asked_for_and_then_at_once() -> None:
    with serving(Guarded('Basic realm="registry"', BASIC)) as registry:
        assert isinstance(registry, Guarded)
        digest = registry.image("team/app", "1", b"layer")
        assert ask(registry, eve(registry)) == digest
        assert [sent for _, sent in registry.sent] == ["", BASIC, BASIC]


def test_a_token_is_had_with_the_account_from_the_realm_and_kept() -> None:
    challenge = 'Bearer realm="http://HOST/token",service="registry",scope="repository:team/app:pull"'
    with serving(Guarded(challenge, "Bearer token-of-eve")) as registry:
        assert isinstance(registry, Guarded)
        registry.image("team/app", "1", b"layer")
        ask(registry, eve(registry))
        paths = [(URL(path).path, sent) for path, sent in registry.sent]
        assert paths[1] == ("/token", BASIC)
        assert [sent for path, sent in paths if path != "/token"] == ["", *["Bearer token-of-eve"] * 2]
        query = URL(registry.sent[1][0]).query
        assert (query["service"], query["scope"]) == ("registry", "repository:team/app:pull")


def test_an_identity_token_is_posted_and_never_in_a_url() -> None:
    with serving(Guarded('Bearer realm="http://HOST/token",service="s"', "Bearer token-of-eve")) as registry:
        assert isinstance(registry, Guarded)
        registry.image("team/app", "1", b"layer")
        ask(registry, HostAccess(registry.host, identity_token=SECRET))
        assert [method for method, path, _ in registry.asked if path.startswith("/token")] == ["POST"]
        assert not any(SECRET in path or SECRET in sent for path, sent in registry.sent)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_gets_no_account_and_neither_does_its_challenge(other: Guarded, status: int) -> None:
    with serving(Guarded('Basic realm="registry"', BASIC)) as registry:
        assert isinstance(registry, Guarded)
        sends = registry.guard

        def elsewhere(handler: Handler) -> bool:
            if handler.headers.get("Authorization") != BASIC:
                return sends(handler)
            handler.answer(status, b"", {"Location": f"http://{other.host}{handler.path}"})
            return True

        registry.fault = elsewhere
        with pytest.raises(FailedError):
            ask(registry, eve(registry))
        assert {sent for _, sent in other.sent} == {""}


def test_a_realm_that_sends_on_gets_the_account_alone(other: Guarded) -> None:
    for access in (eve, lambda registry: HostAccess(registry.host, identity_token=SECRET)):
        with serving(Guarded('Bearer realm="http://HOST/token",service="s"', "Bearer token-of-eve")) as registry:
            assert isinstance(registry, Guarded)
            sends = registry.guard

            def elsewhere(handler: Handler, sends: object = sends) -> bool:
                if not handler.path.startswith("/token"):
                    return bool(callable(sends) and sends(handler))
                handler.answer(307, b"", {"Location": f"http://{other.host}/token"})
                return True

            registry.fault = elsewhere
            with pytest.raises(FailedError) as caught:
                ask(registry, access(registry))
            assert SECRET not in caught.value.diagnostics()
    assert all(sent == "" for _, sent in other.sent)
    assert other.counted("POST") == 0


@pytest.mark.parametrize(
    ("host", "plain", "realm", "shown"),
    [
        ("registry.example", False, "https://auth.example/token", True),
        ("registry.example", False, "http://registry.example/token", False),
        ("registry.example", True, "http://registry.example/token", True),
        ("registry.example", True, "http://registry.example:8080/token", True),
        ("registry.example", True, "https://auth.example/token", False),
        ("registry.example", True, "http://127.0.0.1/token", False),
        ("127.0.0.1:5000", False, "http://127.0.0.1:5001/token", True),
        ("127.0.0.1:5000", False, "https://auth.example/token", False),
    ],
)
def test_an_account_is_shown_to_a_realm_that_its_host_named_by_https_or_that_is_the_host(
    host: str, plain: bool, realm: str, shown: bool
) -> None:
    client = HostClient(HostAccess(host, plain_http=plain), (), Pace(host, 0.001))
    assert client.keeps_secrets(URL(realm)) is shown


def test_what_is_wrong_with_an_account_is_said_without_its_secret(other: Guarded) -> None:
    other.takes = "nothing"
    for access, code in ((eve(other), "account-refused"), (None, "account-wanted")):
        with pytest.raises(LockgateError) as caught:
            ask(other, access)
        assert caught.value.code == code
        assert SECRET not in caught.value.diagnostics()
        assert SECRET not in repr(access)


@pytest.mark.parametrize(
    ("headers", "chosen"),
    [
        (['Basic realm="x", Bearer realm="https://a/t",service="s"'], Challenge("bearer", "https://a/t", "s")),
        (['Bearer realm="https://a/t"', 'Basic realm="x"'], Challenge("bearer", "https://a/t")),
        (["basic"], Challenge("basic")),
        (['Bearer service="s"'], Challenge("")),
        (["Negotiate", 'NTLM realm="x"'], Challenge("")),
        ([], Challenge("")),
    ],
)
def test_of_several_challenges_a_token_is_chosen(headers: list[str], chosen: Challenge) -> None:
    assert choose(headers) == chosen


def test_mirrors_are_asked_first_each_with_its_own_account(other: Guarded) -> None:
    with serving(SmallRegistry()) as origin:
        digest = origin.image("team/app", "1", b"layer")
        other.image("cache/app", "1", b"layer")
        mirrors = Known(eve(other), mirrors=((other.host, "cache/app"),))
        with Asking(f"{origin.host}/team/app:1", accesses=mirrors) as asking:
            assert asking.root().descriptor.digest == digest
        assert origin.asked == []
        other.takes = "nothing"
        with Asking(f"{origin.host}/team/app:1", accesses=mirrors) as asking:
            assert asking.root().descriptor.digest == digest
            assert len(asking.said) == 1
        assert {path for _, path, _ in origin.asked} == {"/v2/team/app/manifests/1"}


def test_a_mirror_that_lies_about_a_digest_is_passed_over() -> None:
    with serving(SmallRegistry()) as origin, serving(SmallRegistry()) as mirror:
        digest = origin.image("team/app", "1", b"layer")
        other = mirror.image("team/app", "", b"other")
        mirror.manifests[f"team/app/{digest}"] = mirror.manifests[f"team/app/{other}"]
        known = Known(mirrors=((mirror.host, "team/app"),))
        with Asking(f"{origin.host}/team/app@{digest}", accesses=known) as asking:
            root = asking.root().descriptor
            assert Digest.of(asking.manifest(root)) == digest


def test_what_refers_to_an_image_is_asked_of_the_registry_where_its_mirror_knows_nothing() -> None:
    with serving(SmallRegistry()) as origin, serving(SmallRegistry()) as mirror:
        digest = origin.image("team/app", "1", b"layer")
        mirror.image("team/app", "1", b"layer")
        signature = origin.image("team/app", f"sha256-{digest.hex}.sig", b"signed")
        with Asking(f"{origin.host}/team/app:1", accesses=Known(mirrors=((mirror.host, "team/app"),))) as asking:
            found = asking.evidence(digest)
        assert [one.digest for one in found.tags.values()] == [signature]
