"""Trust and a pinned key: what is shown, and pin, first trust, revoke and rotate by their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.audit.reading import tail
from appliance.cli.station.init import init
from bundles.errors import LockgateError
from bundles.signing.keys import create_private
from bundles.signing.pinning import trust_key
from bundles.signing.trust import TrustFolder
from tests.console.doubles import data
from tests.console.real import live
from tests.stage import Station
from tui.station.station_folder import FolderDesk, Grant
from tui.wording.fingerprints import word_lines

FILE = "/media/usb-blue/new.pem"


async def fill(console: Any, *answers: str) -> None:
    """Answer the lines of a form, one after the other."""
    for answer in answers:
        console.app.focused.value = answer
        await console.pilot.press("enter")
        await console.rest()


async def test_trust_shows_owners_purposes_state_and_what_is_demanded(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        await console.press("6")
        text = console.screen()
        for key in data.trust():
            assert key.keyid in text
            assert key.owner in text
        assert "[!!] revoked" in text
        assert "bundle from foxtrot: 2 owners, by ecdsa-p384+ml-dsa-87, silence alarm 30 d" in text


async def test_enter_shows_a_key_with_its_digits_and_all_its_words(drive: Any) -> None:
    async with drive() as console:
        await console.press("6", "enter")
        assert console.name == "key"
        text = console.screen()
        fingerprint = data.FINGERPRINTS["engineer"]
        for start in range(0, 64, 4):
            assert fingerprint[start : start + 4] in text
        for breath in word_lines(fingerprint):
            assert breath in text
        assert "streams   alpha.bravo" in text
        assert "alpha.bravo-000001  released: signed it" in text
        await console.press("y")
        assert console.app.clipboard == fingerprint
        await console.press("escape")
        assert console.name == "trust"


async def test_a_revoked_key_says_when_and_why(drive: Any) -> None:
    async with drive() as console:
        await console.press("6", "end", "enter")
        assert "[!!] revoked 2026-03-11 09:00: the token was lost" in console.screen()


async def test_p_pins_a_key_after_its_words_were_read_out(drive: Any) -> None:
    async with drive() as console:
        await console.press("6", "p", "enter")
        await fill(console, FILE, "Engineering", "alpha", "", "2027-12-31")
        key = console.inside.desk.read_key(FILE)
        for breath in word_lines(key.fingerprint):
            assert breath in console.screen(), "what is compared is on the screen"
        assert all(one.keyid != key.keyid for one in console.inside.trusted)
        await console.press("y")
        await console.shows(f"pinned {key.keyid} of Engineering for bundle")
        pinned = console.inside.trusted[-1]
        assert (pinned.sites, pinned.not_after) == (("alpha",), "2027-12-31T23:59:59Z")


async def test_a_no_pins_nothing(drive: Any) -> None:
    async with drive() as console:
        before = list(console.inside.trusted)
        await console.press("6", "p", "down", "enter")
        await fill(console, FILE, "Engineering", "", "")
        await console.press("n")
        assert console.inside.trusted == before
        assert console.name == "trust"


async def test_a_form_says_what_is_wrong_with_a_line_and_keeps_the_cursor_in_it(drive: Any) -> None:
    async with drive() as console:
        await console.press("6", "p", "enter", "enter")
        assert "[!!] file: this is needed" in console.screen()
        await fill(console, FILE, "Engineering", "")
        assert "[!!] from sites: a bundle key is bound to sites: name one, as alpha" in console.screen()
        await fill(console, "alpha", "31.12.2027")
        assert "[!!] from: write it as 2027-12-31" in console.screen()


async def test_first_trust_takes_the_words_as_they_are_heard_and_shows_none(drive: Any) -> None:
    async with drive() as console:
        key = console.inside.desk.read_key(FILE)
        breaths = word_lines(key.fingerprint)
        await console.press("6", "c", "enter")
        await fill(console, FILE, "Engineering", "alpha", "", "T. Lindqvist", "record.txt")
        assert all(breath not in console.screen() for breath in breaths)
        await fill(console, "acorn abbey acorn abbey")
        assert "[!!] words 1-4: not this key's: have them read again" in console.screen()
        await fill(console, *breaths)
        await console.shows(f"pinned {key.keyid}")
        assert console.inside.trusted[-1].keyid == key.keyid


@pytest.mark.parametrize("where", ["trust", "key"])
async def test_x_revokes_with_a_reason_and_lists_what_stood_on_the_key(drive: Any, where: str) -> None:
    async with drive() as console:
        await console.press("6", *(["enter"] if where == "key" else []), "x")
        assert "alpha.bravo-000001" in console.screen(), "who revokes sees what stands on it"
        await console.press("enter")
        assert "this is needed" in console.screen()
        await console.press(*"lost", "enter")
        await console.shows("[!!] revoked 2026-05-04 14:00: lost")
        assert console.name == "key"
        assert "alpha.bravo-000001  released: signed it" in console.screen()
        assert console.inside.trusted[0].revoked is not None
        await console.press("x")
        assert "Revoke: it is revoked already" in console.screen()


async def test_u_takes_a_key_out_with_a_reason_and_e_sets_owner_and_sites_right(drive: Any) -> None:
    async with drive() as console:
        first = console.inside.trusted[0]
        await console.press("6", "e")
        await fill(console, "Engineering South", "alpha, foxtrot", "a wrong pin")
        await console.shows("is pinned as you said")
        changed = console.inside.trusted[0]
        assert (changed.keyid, changed.owner, changed.sites) == (first.keyid, "Engineering South", ("alpha", "foxtrot"))
        await console.press("u", "enter")
        assert "this is needed" in console.screen()
        await console.press(*"a stranger's", "enter")
        await console.shows("is not trusted any more")
        assert first.keyid not in [key.keyid for key in console.inside.trusted]
        revoked = next(number for number, key in enumerate(console.inside.trusted) if key.revoked)
        await console.press("home", *["down"] * revoked, "u")
        assert "Untrust: it is revoked, and stays as it is" in console.screen()


async def test_a_pinned_key_counts_for_more_only_where_the_purpose_is_typed(drive: Any) -> None:
    async with drive() as console:
        keyid = console.inside.desk.read_key(FILE).keyid
        owner, before = "Engineering", len(console.inside.trusted)
        await console.press("6", "p", "enter")
        await fill(console, FILE, owner, "alpha", "", "")
        await console.press("y")
        await console.shows(f"pinned {keyid}")
        await console.press("p", "down", "enter")
        await fill(console, FILE, owner, "", "")
        await console.shows("is pinned already, for bundle. This adds purpose")
        await fill(console, "yes")
        assert "type release, or esc" in console.screen()
        await console.press("escape")
        assert len(console.inside.trusted) == before + 1
        assert console.inside.trusted[-1].purposes == ("bundle",)


def test_the_folder_is_changed_under_the_rules_of_the_command_line_and_recorded(tmp_path: Path) -> None:
    root = tmp_path / "bravo"
    made_it = CliRunner().invoke(init, [str(root), "--site", "bravo", "--side", "inside", "--open"])
    assert made_it.exit_code == 0
    trust, made = root / "trust", create_private().public
    trust_key(trust, made, purpose="bundle", owner="Enginering", sites=["alfa"])
    desk = FolderDesk(root)
    desk.correct(made.keyid, "typing", "Engineering", ["alpha"])
    (record,) = TrustFolder.load(trust).records
    assert (record.owner, record.sites) == ("Engineering", ("alpha",))
    with pytest.raises(LockgateError, match="needs a reason"):
        desk.untrust(made.keyid, " ")
    added = desk.widening(made.keyid, Grant("release", "Engineering"))
    assert added is not None
    assert added.added == ("purpose release",)
    desk.untrust(made.keyid, "a stranger's")
    assert TrustFolder.load(trust).records == ()
    acts = [(event["act"], event["outcome"]) for event in tail(root / "audit", 9)]
    assert [one for one in acts if one[0].startswith("key.")] == [
        ("key.change", "done"), ("key.untrust", "done"), ("key.untrust", "failed"), ("key.untrust", "done"),
    ]  # fmt: skip


async def test_o_rotates_an_own_key_under_a_passphrase_typed_twice(drive: Any) -> None:
    async with drive() as console:
        await console.press("6", "o")
        assert "Rotate: choose a key this station can sign with" in console.screen()
        await console.press("tab", "o", *"new", "enter", *"other", "enter")
        assert "it is not the same as before" in console.screen()
        console.app.focused.value = "new"
        await console.press("enter")
        await console.shows("the old one is engineer.30f2c341ae8cd9a4")
        assert console.inside.own_keys[0].keyid != "30f2c341ae8cd9a4"


@pytest.fixture
def bravo(tmp_path: Path) -> Any:
    with Station(tmp_path / "bravo", "bravo", "inside") as station:
        yield station


async def test_a_real_stations_keys_are_pinned_revoked_and_rotated(bravo: Station, tmp_path: Path) -> None:
    made = create_private().public
    file, record = tmp_path / "engineer.pem", tmp_path / "record.txt"
    file.write_bytes(made.to_pem())
    bravo.run("key", "create", "officer", "--no-passphrase")
    async with live(bravo.folder) as console:
        await console.press("6")
        await console.shows("officer")
        await console.press("c")
        await console.shows("for what?")
        await console.press("enter")
        for answer in (str(file), "Engineering", "alpha", "", "", str(record)):
            await console.type(answer)
            await console.press("enter")
        await console.shows("words 1-4")
        for breath in word_lines(made.fingerprint):
            await console.type(breath)
            await console.press("enter")
        await console.shows("print and sign")
        assert made.words.split(",")[0] in record.read_text()
        pinned = TrustFolder.load(bravo.folder / "trust").find(made.keyid)
        assert pinned is not None
        assert (pinned.owner, pinned.sites, pinned.revoked) == ("Engineering", ("alpha",), None)

        shown = [key.keyid for key in console.app.shown.trusted]  # type: ignore[union-attr]
        await console.press(*["down"] * shown.index(made.keyid), "x")
        await console.shows("No bundle here stands on it")
        await console.type("the token was lost")
        await console.press("enter")
        await console.shows("[!!] revoked")
        revoked = TrustFolder.load(bravo.folder / "trust").find(made.keyid)
        assert revoked is not None
        assert revoked.revoked is not None
        assert revoked.revoked.why == "the token was lost"

        before = (bravo.folder / "keys/officer.pub.pem").read_bytes()
        await console.press("6", "tab")
        own = [key.name for key in console.app.shown.own.records]  # type: ignore[union-attr]
        await console.press(*["down"] * own.index("officer"), "o")
        await console.shows("the new key's passphrase")
        await console.press("enter")
        await console.shows("the same once more")
        await console.press("enter")
        await console.shows("the old one is officer.")
        assert (bravo.folder / "keys/officer.pub.pem").read_bytes() != before
    acts = [event["act"] for event in tail(bravo.folder / "audit", 100)]
    assert {"key.ceremony", "key.revoke", "key.rotate"} <= set(acts)
