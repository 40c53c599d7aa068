"""Each rule finds what it is for, and nothing beside it."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from typing import Any

import pytest

from appliance.content_rules.file_types import TYPES, type_of
from appliance.content_rules.registry import BUILT_IN, rule_set
from appliance.content_rules.rule import Outline
from appliance.content_rules.size_rules import DeletedFiles
from appliance.content_rules.watching import BlobWatch, now
from bundles.errors import UsageError
from tests.content_rules.looking import KEY_PEM, SALT, entry, found, image_facts, look, tar

ELF = b"\x7fELF\x02\x01\x01" + bytes(57)
MIB = 1024 * 1024


def encrypted_zip() -> bytes:
    from appliance.malware.engine import _ENCRYPTED

    return _ENCRYPTED


CASES: list[tuple[str, dict[str, Any], bytes, list[str]]] = [
    ("setuid", {}, tar(entry("usr/bin/su", b"x", mode=0o4755), entry("usr/bin/ls", b"x", mode=0o755)), ["usr/bin/su"]),
    ("setuid", {"allow": ["usr/bin/"]}, tar(entry("usr/bin/su", b"x", mode=0o4755)), []),
    ("setuid", {"allow": ["usr/bin/s"]}, tar(entry("./usr/bin/su", b"x", mode=0o2755)), ["usr/bin/su"]),
    ("setuid", {}, tar(entry("tmp", type=tarfile.DIRTYPE, mode=0o6777)), []),
    (
        "capabilities", {},
        tar(entry("bin/ping", b"x", pax_headers={"SCHILY.xattr.security.capability": "x"}), entry("bin/ls", b"x")),
        ["bin/ping"],
    ),
    ("device", {}, tar(entry("dev/sda", type=tarfile.BLKTYPE), entry("dev/fd", type=tarfile.DIRTYPE)), ["dev/sda"]),
    ("executable-place", {}, tar(entry("tmp/x", ELF)), []),
    (
        "executable-place", {"places": ["usr/bin/"]},
        tar(entry("tmp/x", ELF), entry("usr/bin/x", ELF), entry("srv/run.txt", b"#!/bin/sh\n", mode=0o755),
            entry("srv/not-run", b"#!/bin/sh\n", mode=0o644)),
        ["tmp/x", "srv/run.txt"],
    ),
    ("file-type", {"deny": ["elf"]}, tar(entry("logo.png", ELF), entry("notes.elf", b"text\n")), ["logo.png"]),
    ("file-type", {"allow": ["text"]}, tar(entry("a", b"text\n"), entry("b", b"\0\1\2")), ["b"]),
    ("encrypted", {}, tar(entry("a", b"Salted__" + bytes(30)), entry("b", b"Salt\n")), ["a"]),
    ("encrypted", {}, tar(entry("a.zip", encrypted_zip())), ["a.zip!x"]),
    ("not-inspectable", {}, tar(entry("a.zip", encrypted_zip()), entry("b", b"whole\n")), []),
    ("not-inspectable", {}, tar(entry("a.gz", gzip.compress(b"data" * 999)[:-20]), entry("b", b"x\n")), ["a.gz"]),
    ("private-key", {}, tar(entry("root/.ssh/id", KEY_PEM),
         entry("ca.pem", KEY_PEM.replace(b"PRIVATE KEY", b"CERTIFICATE"))),
     ["root/.ssh/id"]),
    ("private-key", {"allow": ["root/.ssh/"]}, tar(entry("root/.ssh/id", KEY_PEM)), []),
    ("private-key", {}, tar(entry("usr/lib/libtls.so", ELF + KEY_PEM)), []),
    ("private-key-in-program", {}, tar(entry("usr/lib/libtls.so", ELF + KEY_PEM), entry("k", KEY_PEM)),
     ["usr/lib/libtls.so"]),
    ("private-key", {}, tar(entry("k", b"MZ\n" + KEY_PEM)), ["k"]),
    ("private-key-in-program", {"allow": ["usr/lib/"]}, tar(entry("usr/lib/libtls.so", ELF + KEY_PEM)), []),
    ("secret", {}, tar(entry("a", b'T="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"'),
         entry("b", b"ghp_" + b"a" * 36)), ["a"]),
    ("large-layer", {"mib": 1}, tar(entry("a", bytes(MIB + 1))), [""]),
    ("large-layer", {"mib": 1}, tar(entry("a", bytes(MIB))), []),
    ("package-cache", {}, tar(entry("var/cache/apt/archives/x.deb", bytes(MIB))), [""]),
    ("package-cache", {}, tar(entry("root/.cache/pip/http/x", bytes(MIB)), entry("var/cache/x", bytes(MIB))), [""]),
    ("package-cache", {}, tar(entry("opt/cache/apt/x.deb", bytes(MIB))), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings", "data", "expected"), CASES, ids=[f"{case[0]} {number}" for number, case in enumerate(CASES)]
)
def test_a_rule_finds_its_own(name: str, settings: dict[str, Any], data: bytes, expected: list[str]) -> None:
    assert found(name, data, **settings) == expected
    assert found(name, gzip.compress(data), **settings) == expected


def test_deleted_files_are_those_of_the_layers_beneath() -> None:
    layers = [
        Outline(large=[("var/a.tar", 3 * MIB), ("opt/keep", 5 * MIB)]),
        Outline(large=[("tmp/x/b", 2 * MIB)], whiteouts=["var/a.tar"]),
        Outline(opaque=["tmp/x"], large=[("tmp/x/c", 9 * MIB)]),
    ]
    rule = DeletedFiles()
    (one,) = rule.image(image_facts(layers=layers))
    assert (one.size, one.path) == (5 * MIB, "tmp/x/b")
    assert not list(rule.image(image_facts(layers=[layers[0], None])))


AT = "2026-06-01T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "settings", "facts", "expected"),
    [
        ("media-type", {}, {"media_types": ["a/b"]}, []),
        ("media-type", {"allow": ["a/*"]}, {"media_types": ["a/b", "c/d", "c/d"]}, ["c/d"]),
        ("base-image", {}, {"annotations": {"org.opencontainers.image.base.name": "debian:12"}},
         ["debian:12 without a digest"]),
        ("base-image", {}, {"annotations": {"org.opencontainers.image.base.name": f"d@sha256:{'a' * 64}"}}, []),
        ("base-image", {}, {"annotations": {"org.opencontainers.image.base.name": "d:1",
                                            "org.opencontainers.image.base.digest": f"sha256:{'a' * 64}"}}, []),
        ("base-image", {}, {}, []),
        ("base-image", {"required": True}, {}, ["no base image is named"]),
        ("base-image", {"required": True}, {"runs": False}, []),
        ("image-age", {}, {"config": {}}, []),
        ("image-age", {"days": 30}, {"config": {"created": "2026-05-20T01:02:03.5Z"}}, []),
        ("image-age", {"days": 30}, {"config": {"created": "2026-04-20T01:02:03Z"}},
         ["of 2026-04-20; at most 30 days"]),
        ("image-age", {"days": 30}, {"config": {"created": "1970-01-01T00:00:00Z"}},
         ["it does not say when it was made"]),
        ("image-age", {"days": 30}, {"config": {"created": ["x"]}}, ["it does not say when it was made"]),
        ("image-age", {"days": 30}, {"config": {"created": "2027-01-01T00:00:00Z"}},
         ["it says that it was made later than now: 2027-01-01T00:00:00Z"]),
        ("base-age", {"days": 90}, {"config": {"history": [{"created": "2025-01-01T00:00:00Z"}]}},
         ["of 2025-01-01; at most 90 days"]),
        ("base-age", {"days": 90}, {"config": {"history": "no list"}}, ["it does not say when it was made"]),
        ("base-age", {"days": 90}, {"config": {"history": [{"created": "2026-05-01T00:00:00Z"}]}}, []),
    ],
)  # fmt: skip
def test_a_rule_about_images(name: str, settings: dict[str, Any], facts: dict[str, Any], expected: list[str]) -> None:
    rules = rule_set([(name, settings)])
    watch = BlobWatch(rules, SALT)
    watch.image(image_facts(**facts))
    seen = watch.end().rules[name]
    assert not seen.unlooked
    assert [one["what"] for one in now(seen.found, AT).listed] == expected


def test_an_image_grows_old_without_a_look() -> None:
    watch = BlobWatch(rule_set([("image-age", {"days": 30})]), SALT)
    watch.image(image_facts(config={"created": "2026-05-20T00:00:00Z"}))
    found = watch.end().rules["image-age"].found
    assert (now(found, "2026-06-18T23:59:59Z").count, now(found, "2026-06-19T00:00:00Z").count) == (0, 1)


def test_what_a_layer_takes_away_is_in_its_outline() -> None:
    seen, _ = look(tar(entry("a/.wh.b"), entry("c/.wh..wh..opq"), entry("d", bytes(70_000)), entry("e", b"x")))
    outline = seen.outline
    assert (outline.whiteouts, outline.opaque, outline.large) == (["a/b"], ["c"], [("d", 70_000)])
    assert (outline.files, outline.bytes, outline.is_whole) == (2, 70_001, True)


def test_a_key_in_a_jar_in_a_layer_is_named_by_its_path() -> None:
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conf/key.pem", KEY_PEM)
    data = gzip.compress(tar(entry("opt/app.tar.gz", gzip.compress(tar(entry("app.jar", jar.getvalue()))))))
    assert found("private-key", data) == ["opt/app.tar.gz!app.jar!conf/key.pem"]


def test_a_configuration_is_held_against_them_too() -> None:
    config = b'{"config":{"Env":["TOKEN=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"]}}'
    assert found("secret", config) == [""]


@pytest.mark.parametrize(
    ("head", "expected"),
    [(ELF, "elf"), (b"MZ\x90", "pe"), (b"\xca\xfe\xba\xbe\0\0\0\x34", "java-class"),
     (b"\xca\xfe\xba\xbe\0\0\0\2", "mach-o"),
     ("é".encode() * 256, "text"), (("a" + "é" * 256).encode()[:512], "text"), (b"a\0b", "other"),
     (b"\xff\xfe", "other"), (tar(entry("x"))[:512], "tar")],
    ids=["elf", "pe", "class", "universal", "cut before", "cut within", "zero", "latin", "tar"],
)  # fmt: skip
def test_types_are_told_by_bytes(head: bytes, expected: str) -> None:
    assert type_of(head) == expected
    assert expected in TYPES


@pytest.mark.parametrize(
    ("name", "settings"),
    [("setuid", {"allows": []}), ("setuid", {"allow": "usr/"}), ("large-layer", {"mib": "1"}),
     ("file-type", {"deny": ["elv"]}), ("nobody-has-it", {})],
)  # fmt: skip
def test_settings_that_are_none_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        rule_set([(name, settings)])
    assert caught.value.remedy


def test_an_identity_is_of_version_and_settings() -> None:
    first, second = rule_set(), rule_set([("large-layer", {"mib": 7})])
    assert first.identity != second.identity
    assert {name for name in BUILT_IN if first.rules[name].identity != second.rules[name].identity} == {"large-layer"}
    assert first.identity == rule_set([("large-layer", {})]).identity


def test_every_rule_says_what_and_what_helps() -> None:
    for name, rule in BUILT_IN.items():
        assert rule.id == name
        assert rule.message
        assert rule.remedy
        assert (rule.__doc__ or "").strip()
