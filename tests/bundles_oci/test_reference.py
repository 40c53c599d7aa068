"""Names and tags follow the distribution specification's grammar to the letter."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import MalformedError
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, RemoteReference, check_repository, check_tag, moved_tag

# The specification's own expressions (Pulling manifests).
NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
DIGEST = Digest.of(b"")


@given(st.from_regex(NAME, fullmatch=True).filter(lambda name: len(name) <= 255))
def test_every_name_of_the_grammar_is_taken(name: str) -> None:
    assert check_repository(name) == name


@given(st.from_regex(TAG, fullmatch=True))
def test_every_tag_of_the_grammar_is_taken(tag: str) -> None:
    assert check_tag(tag) == tag


@given(st.text(alphabet="ab/._-:@%A \n\u0131", max_size=30))
def test_nothing_outside_the_grammar_is_taken(text: str) -> None:
    for check, grammar in ((check_repository, NAME), (check_tag, TAG)):
        if re.fullmatch(grammar, text):
            check(text)
        else:
            with pytest.raises(MalformedError):
                check(text)


@pytest.mark.parametrize("name", ["a" * 256, "a//b", "/a", "a/", "a/../b", "A", "a__b__", "a...b", "a___b", "", "."])
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(MalformedError, match="repository name"):
        check_repository(name)


@pytest.mark.parametrize(
    "text", ["team/app:v1", f"team/app@{DIGEST}", f"team/app:v1@{DIGEST}", "a:_", "a/b/c:1.0-rc.1"]
)
def test_a_reference_reads_back_as_itself(text: str) -> None:
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "app:",
        ":v1",
        "app@v1",
        "app:v1/x",
        "app:v1@",
        "host:5000/app",
        "a@b@c",
        f"app:@{DIGEST}",
        f"app:v/1@{DIGEST}",
        f"app:v1@{DIGEST}x",
    ],
)
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Reference.parse(text)


@given(st.text(max_size=100))
def test_arbitrary_text_gives_a_reference_or_one_clear_error(text: str) -> None:
    for parse in (Reference.parse, RemoteReference.parse):
        with contextlib.suppress(MalformedError):
            assert str(parse(text)) == text.removeprefix("docker://")


def test_of_a_tag_and_a_digest_both_are_read_and_the_tag_is_the_name_here() -> None:
    parsed = Reference.parse(f"team/app:v1@{DIGEST}")
    assert (parsed.repository, parsed.tag, str(parsed.digest)) == ("team/app", "v1", str(DIGEST))
    assert str(parsed.named) == "team/app:v1"
    assert str(Reference.parse(f"team/app@{DIGEST}").named) == f"team/app@{DIGEST}"
    assert moved_tag(parsed, parsed.digest) == moved_tag(parsed.named, None) == ""
    assert "does not exist" in moved_tag(parsed, None)


@pytest.mark.parametrize("host", ["docker.io", "registry.example:5000"])
def test_docker_s_scheme_may_stand_before_a_host(host: str) -> None:
    assert str(RemoteReference.parse(f"docker://{host}/team/app:v1@{DIGEST}")) == f"{host}/team/app:v1@{DIGEST}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "registry.example:5000", "[::1]:5000"])
def test_a_remote_reference_has_a_host_before_it(host: str) -> None:
    parsed = RemoteReference.parse(f"{host}/team/app:v1")
    assert (parsed.host, str(parsed.reference)) == (host, "team/app:v1")
