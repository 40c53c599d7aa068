"""`lockgate key` on a station's folder: made, shown, pinned and revoked, and in the audit log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.trust_acts import pin
from bundles.errors import UsageError
from bundles.signing.keys import PublicKey, create_private, load_private
from bundles.signing.pinning import trust_key
from bundles.signing.trust import TrustFolder
from tests.cli.conftest import Run

Acts = Callable[[], list[tuple[str, str, str]]]


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A public key that came over another channel."""
    (tmp_path / "pub.pem").write_bytes(create_private().public.to_pem())
    return tmp_path / "pub.pem"


def test_a_key_is_made_under_a_passphrase(run: Run, station: Path, acts: Acts) -> None:
    made = run("key", "create", "officer", "-C", station, "--json", passphrase="correct horse").document
    key = load_private(station / "keys/officer.pem", b"correct horse")
    assert made == {
        "name": "officer", "algorithm": "ecdsa-p256", "keyid": key.public.keyid, "fingerprint": key.public.fingerprint,
        "words": key.public.words,
    }  # fmt: skip
    assert acts() == [("key.create", key.public.keyid, "done")]


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519"])
def test_a_key_for_a_machine_has_no_passphrase(run: Run, station: Path, algorithm: str) -> None:
    run("key", "create", "machine", "-C", station, "--no-passphrase", "--algorithm", algorithm)
    assert load_private(station / "keys/machine.pem", None).public.algorithm == algorithm


def test_a_key_without_a_terminal_needs_to_be_told_its_passphrase(
    run: Run, station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    ended = run("key", "create", "officer", "-C", station)
    assert (ended.status, "--passphrase-fd" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["../officer", "--no-passphrase"], 2, "malformed key name"),
        (["officer.pub", "--no-passphrase"], 2, "malformed key name"),
        (["officer", "--no-passphrase", "--algorithm", "rsa"], 2, "unknown key algorithm"),
        (["officer", "--no-passphrase", "--passphrase-fd", "0"], 2, "contradict"),
        (["receipt", "--no-passphrase"], 2, "the key exists"),
    ],
)
def test_a_key_that_cannot_be_made_is_one_clear_line(
    run: Run, station: Path, acts: Acts, arguments: list[str], status: int, reason: str
) -> None:
    ended = run("key", "create", *arguments, "-C", station)
    assert (ended.status, ended.out) == (status, "")
    assert reason in ended.err
    assert acts() == []


def test_an_exported_key_is_its_public_half_and_nothing_else(run: Run, station: Path) -> None:
    run("key", "create", "officer", "-C", station, "--no-passphrase")
    exported = run("key", "export", "officer", "-C", station).out
    assert PublicKey.from_pem(exported.encode()) == load_private(station / "keys/officer.pem", None).public
    assert "PRIVATE" not in exported


def test_exporting_a_key_that_is_not_there_names_it_and_where_the_names_stand(run: Run, station: Path) -> None:
    ended = run("key", "export", "nobody", "-C", station)
    assert (ended.status, ended.err) == (2, "lockgate: no such key: nobody; see: lockgate key list\n")


def test_a_key_is_pinned_for_a_purpose_and_a_site(run: Run, station: Path, public: Path, acts: Acts) -> None:
    run("key", "trust", public, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha", "-C", station)
    (record,) = TrustFolder.load(station / "trust").records
    assert (record.owner, record.purposes, record.sites) == ("Engineering", ("bundle",), ("alpha",))
    assert acts() == [("key.trust", record.keyid, "done")]


def test_a_pinned_key_counts_for_more_only_where_that_is_said(
    run: Run, station: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ("key", "trust", public, "--purpose", "bundle", "--owner", "E", "--from", "alpha")
    until = ("--not-after", "2098-01-01T00:00:00Z")
    run(*first, *until, "-C", station)

    def pinned() -> tuple[object, ...]:
        (record,) = TrustFolder.load(station / "trust").records
        return record.purposes, record.sites, record.not_after

    before = pinned()
    again = run(*first, "-C", station)
    assert (again.status, "pinned already, for bundle from alpha; it counts for no more" in again.err) == (0, True)
    more = (
        ("--purpose", "release", "--owner", "E"),
        ("--purpose", "bundle", "--owner", "E", "--from", "beta"),
        ("--purpose", "bundle", "--owner", "E", "--from", "alpha", "--not-after", "2099-01-01T00:00:00Z"),
    )
    record = ("--record", station.parent / "page.txt", "--heard", PublicKey.from_pem(public.read_bytes()).words)
    for words in more:
        refused = run("key", "trust", public, *words, "-C", station)
        assert (refused.status, "--widen" in refused.err, pinned()) == (2, True, before)
    refused = run("key", "ceremony", public, *more[0], *record, "-C", station)
    assert (refused.status, pinned()) == (2, before)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: "yes")
    refused = run("key", "trust", public, *more[1], "--json", "-C", station)
    assert (refused.status, pinned()) == (2, before)
    monkeypatch.setattr("click.prompt", lambda *_, **__: "bundle")
    assert run("key", "trust", public, *more[1], "-C", station).status == 0
    assert run("key", "ceremony", public, *more[0], *record, "--widen", "-C", station).status == 0
    assert pinned() == (("bundle", "release"), ("alpha", "beta"), "2098-01-01T00:00:00Z")


def test_a_pinned_key_never_ends_in_the_past_whichever_way_it_comes_there(
    run: Run, station: Path, public: Path, acts: Acts
) -> None:
    words = ("key", "trust", public, "--purpose", "release", "--owner", "Officer")
    over = ("--not-after", "2020-01-01T00:00:00Z")
    page = ("--record", station.parent / "page.txt", "--heard", PublicKey.from_pem(public.read_bytes()).words)
    ended = run("key", "ceremony", public, *words[3:], *over, *page, "-C", station)
    assert (ended.status, (station.parent / "page.txt").exists()) == (2, False)
    assert TrustFolder.load(station / "trust").records == ()

    key = PublicKey.from_pem(public.read_bytes())
    run(*words, "--not-before", "2097-01-01T00:00:00Z", "-C", station)
    for until in (over[1], "2096-01-01T00:00:00Z"):  # behind the beginning that it has already
        with pytest.raises(UsageError, match="never count"):
            pin(station, key, purpose="release", owner="Officer", sites=[], not_after=until)
        assert TrustFolder.load(station / "trust").records[0].not_after is None
        assert acts()[-1] == ("key.trust", key.keyid, "failed")

    times = {"not_before": "2020-01-01T00:00:00Z", "not_after": "2021-01-01T00:00:00Z"}
    trust_key(station / "trust", key, purpose="release", owner="Officer", **times)
    with pytest.raises(UsageError, match="would count no more") as refused:
        pin(station, key, purpose="receipt", owner="Officer", sites=["alpha"])
    assert f"lockgate key revoke {key.keyid}" in refused.value.remedy
    assert TrustFolder.load(station / "trust").records[0].purposes == ("release",)


def test_a_key_is_pinned_for_a_time(run: Run, station: Path, public: Path) -> None:
    arguments = ("--purpose", "release", "--owner", "Officer", "-C", station)
    run(
        "key",
        "trust",
        public,
        *arguments,
        "--not-before",
        "2026-01-01T00:00:00Z",
        "--not-after",
        "2098-01-01T00:00:00Z",
    )
    (record,) = TrustFolder.load(station / "trust").records
    assert (record.not_before, record.not_after) == ("2026-01-01T00:00:00Z", "2098-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--purpose", "bundle", "--owner", "E"], "bound to sites"),
        (["--purpose", "everything", "--owner", "E"], "unknown purpose"),
        (["--purpose", "release", "--owner", ""], "needs an owner"),
        (["--purpose", "bundle", "--owner", "E", "--from", "Alpha!"], "malformed site name"),
        (["--purpose", "release", "--owner", "E", "--not-after", "soon"], "not a time"),
        (["--purpose", "release", "--owner", "E", "--not-after", "2020-01-01T00:00:00Z"], "would count no more"),
    ],
)
def test_a_key_that_cannot_be_pinned_is_one_clear_line_and_in_the_log(
    run: Run, station: Path, public: Path, acts: Acts, arguments: list[str], reason: str
) -> None:
    ended = run("key", "trust", public, *arguments, "-C", station)
    assert (ended.status, reason in ended.err) == (2, True)
    assert TrustFolder.load(station / "trust").records == ()
    assert [outcome for _, _, outcome in acts()] == ["done", "failed"]


def test_what_is_not_a_public_key_is_not_pinned_and_named(run: Run, station: Path, tmp_path: Path) -> None:
    ended = run("key", "trust", station / "keys/receipt.pem", "--purpose", "release", "--owner", "E", "-C", station)
    assert (ended.status, "receipt.pem" in ended.err) == (2, True)
    ended = run("key", "trust", tmp_path / "nowhere.pem", "--purpose", "release", "--owner", "E", "-C", station)
    assert (ended.status, "nowhere.pem" in ended.err) == (2, True)


def test_a_revoked_key_says_so_in_the_list(run: Run, station: Path, public: Path, acts: Acts) -> None:
    run("key", "trust", public, "--purpose", "release", "--owner", "Officer", "-C", station)
    keyid = PublicKey.from_pem(public.read_bytes()).keyid
    assert "[ok]" in run("key", "list", "-C", station).out
    run("key", "revoke", keyid, "--why", "lost laptop", "-C", station)
    assert "[!!] revoked" in (listed := run("key", "list", "-C", station).out)
    assert "lost laptop" in listed
    (entry,) = run("key", "list", "-C", station, "--json").document["trusted"]
    assert entry["revoked"]["why"] == "lost laptop"
    assert acts()[-1] == ("key.revoke", keyid, "done")


def test_the_list_prints_each_fingerprint_and_its_words(run: Run, station: Path, public: Path) -> None:
    run("key", "trust", public, "--purpose", "release", "--owner", "Officer", "-C", station)
    pinned, own = PublicKey.from_pem(public.read_bytes()), load_private(station / "keys/receipt.pem", None).public
    listed, document = run("key", "list", "-C", station).out, run("key", "list", "-C", station, "--json").document
    for key in (pinned, own):
        assert f"fingerprint {key.fingerprint}\n  words {key.words}" in listed
    assert {one["keyid"]: (one["fingerprint"], one["words"]) for one in document["trusted"]} == {
        pinned.keyid: (pinned.fingerprint, pinned.words)
    }
    assert (own.fingerprint, own.words) in {(one["fingerprint"], one["words"]) for one in document["keys"]}


def test_a_wrong_pin_is_taken_back_or_set_right_and_in_the_log(
    run: Run, station: Path, public: Path, acts: Acts
) -> None:
    keyid = PublicKey.from_pem(public.read_bytes()).keyid
    run("key", "trust", public, "--purpose", "bundle", "--owner", "Enginering", "--from", "alfa", "-C", station)
    right = ("--owner", "Engineering", "--from", "alpha", "--why", "misspelt")
    changed = run("key", "change", keyid, *right, "-C", station, "--json").document
    assert (changed["was"]["owner"], changed["now"]) == (
        "Enginering", {"owner": "Engineering", "purposes": ["bundle"], "sites": ["alpha"]},
    )  # fmt: skip
    assert TrustFolder.load(station / "trust").records[0].sites == ("alpha",)
    assert run("key", "change", keyid, "--why", "none", "-C", station).status == 2
    gone = run("key", "untrust", keyid, "--why", "another key was meant", "-C", station, "--json").document
    assert (gone["keyid"], gone["was"]["owner"], gone["account"]) == (keyid, "Engineering", None)
    assert TrustFolder.load(station / "trust").records == ()
    assert acts()[-3:] == [("key.trust", keyid, "done"), ("key.change", keyid, "done"), ("key.untrust", keyid, "done")]


def test_a_revoked_key_is_not_untrusted_and_the_attempt_is_in_the_log(
    run: Run, station: Path, public: Path, acts: Acts
) -> None:
    keyid = PublicKey.from_pem(public.read_bytes()).keyid
    run("key", "trust", public, "--purpose", "release", "--owner", "Officer", "-C", station)
    run("key", "revoke", keyid, "--why", "lost laptop", "-C", station)
    for words in (("untrust", keyid), ("change", keyid, "--owner", "Another")):
        ended = run("key", *words, "--why", "by mistake", "-C", station)
        assert (ended.status, "revoked" in ended.err) == (3, True)
        assert acts()[-1] == (f"key.{words[0]}", keyid, "refused")
    assert TrustFolder.load(station / "trust").records[0].revoked is not None
    for words in (("untrust", "0" * 16), ("change", "0" * 16, "--owner", "A")):
        assert run("key", *words, "--why", "wrong", "-C", station).status == 2


def test_a_private_key_that_others_may_open_is_warned_of(run: Run, station: Path, tmp_path: Path) -> None:
    run("key", "create", "officer", "-C", station, passphrase="correct horse")
    (station / "keys/officer.pem").chmod(0o644)
    listed = run("key", "list", "-C", station)
    assert ("[!!] open to other accounts" in listed.out, f"chmod 600 {station}/keys/officer.pem" in listed.err) == (
        True, True,
    )  # fmt: skip
    exposed = {one["name"]: one["exposed"] for one in run("key", "list", "-C", station, "--json").document["keys"]}
    assert exposed == {"audit": False, "officer": True, "receipt": False, "verdict": False}
    words = ("--private", "pkcs8", "--out", tmp_path / "copy.pem", "-C", station)
    assert "chmod 600" in run("key", "export", "officer", *words, passphrase="correct horse").err
    (tmp_path / "copy.pem").chmod(0o604)
    words = ("key", "import", "copy", str(tmp_path / "copy.pem"), "-C", str(station))
    assert f"chmod 600 {tmp_path}/copy.pem" in run(*words, passphrase="correct horse").err
    (station / "keys/officer.pem").chmod(0o600)
    assert run("key", "list", "-C", station).err == ""


def test_a_key_that_is_not_pinned_cannot_be_revoked(run: Run, station: Path) -> None:
    ended = run("key", "revoke", "0" * 16, "--why", "lost", "-C", station)
    assert (ended.status, "no such trusted key" in ended.err) == (2, True)
    ended = run("key", "revoke", "officer", "--why", "lost", "-C", station)
    assert (ended.status, "malformed key id" in ended.err) == (2, True)


def test_the_list_says_which_keys_want_a_passphrase(run: Run, station: Path) -> None:
    run("key", "create", "officer", "-C", station, passphrase="correct horse")
    keys = {entry["name"]: entry for entry in run("key", "list", "-C", station, "--json").document["keys"]}
    assert {name: entry["encrypted"] for name, entry in keys.items()} == {
        "audit": False, "officer": True, "receipt": False, "verdict": False,
    }  # fmt: skip


def test_nothing_is_pinned_where_the_log_cannot_be_written(run: Run, station: Path, public: Path) -> None:
    shutil.rmtree(station / "audit/lanes")
    (station / "audit/lanes").touch()
    ended = run("key", "trust", public, "--purpose", "release", "--owner", "Officer", "-C", station)
    assert (ended.status, "audit log" in ended.err) == (1, True)
    assert TrustFolder.load(station / "trust").records == ()


def test_a_folder_that_is_no_station_is_named(run: Run, tmp_path: Path) -> None:
    ended = run("key", "list", "-C", tmp_path)
    assert (ended.status, str(tmp_path) in ended.err) == (2, True)
    assert run("key", "list").status == 2


@pytest.mark.parametrize(
    ("sources", "warns"),
    [
        ("", False),
        ('[[sources]]\nsite = "alpha"\nrepositories = ["team/**"]\n', False),
        ('[[sources]]\nsite = "other"\nrepositories = ["**"]\n', True),
        ('[[sources]]\nsite = "alpha"\nrepositories = []\n', True),
        ("nonsense", False),
    ],
)
def test_pinning_a_source_that_may_write_nothing_is_warned_of(
    run: Run, station: Path, tmp_path: Path, sources: str, warns: bool
) -> None:
    run("key", "create", "engineer", "--no-passphrase", "-C", station)
    run("key", "export", "engineer", "--out", tmp_path / "engineer.pem", "-C", station)
    (station / "approvals.toml").write_text(sources)
    pin = ("key", "trust", tmp_path / "engineer.pem", "--owner", "Engineering", "-C", station)
    ended = run(*pin, "--purpose", "bundle", "--from", "alpha")
    assert (ended.status, "lets alpha write no repository" in ended.err) == (0, warns)
    assert "write no repository" not in run(*pin, "--purpose", "release").err
