"""What can be done about keys: pin one after its owner read the words out, revoke one, make a new one under a name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from appliance.api.trust import OwnKey, TrustedKey
from bundles.errors import LockgateError, MalformedError
from bundles.io.display import safe
from bundles.io.times import check_time
from bundles.oci.reference import check_site
from bundles.signing.widening import Widening
from tui.dialogs.choose import Choose, Option
from tui.dialogs.confirm import Confirm
from tui.dialogs.form import Field, Form
from tui.dialogs.prompt import Prompt, needed
from tui.screens.station_screen import StationScreen
from tui.station.station_folder import Desk, Grant, Heard, KeyFile, Rotated
from tui.terminal.texts import words
from tui.wording.fingerprints import hex_lines, word_lines
from tui.wording.recall import Recalled, asked, recalled_line

T = TypeVar("T")

PURPOSES: Final = (
    ("bundle", "may sign bundles of the sites you name"),
    ("release", "a person here: approves, rejects, sets floors"),
    ("receipt", "another site's receipts, or this station's own"),
    ("image", "signatures on images"),
    ("audit", "the audit log's checkpoints"),
    ("verdict", "verdicts on content"),
    ("backup", "backups of the station"),
    ("update", "updates of Lockgate itself"),
)
_FROM: Final = ("bundle", "receipt")
_PATIENCE: Final = 120.0
"""Seconds for an act on the folder: a new key's passphrase is stretched, on a slow machine for long."""
_BREATHS: Final = 8


class TrustActs(StationScreen):
    """The base of screens that show keys."""

    def at_desk(self, work: Callable[[Desk], T], then: Callable[[T], None]) -> None:
        """Do something at the station's folder, in a thread."""
        self.ask(lambda station: asyncio.to_thread(work, station.desk), then, group="act", patience=_PATIENCE)

    def do_pin(self) -> None:
        self._ask_purpose(with_ceremony=False)

    def do_ceremony(self) -> None:
        self._ask_purpose(with_ceremony=True)

    def _ask_purpose(self, *, with_ceremony: bool) -> None:
        options = [Option(name, name, about) for name, about in PURPOSES]
        self.console_app.push_screen(
            Choose("Trust a key for what?", options, "A key counts for the purposes it was pinned for, and no other."),
            lambda chosen: self._ask_grant(chosen[0], with_ceremony=with_ceremony) if chosen else None,
        )

    def _ask_grant(self, purpose: str, *, with_ceremony: bool) -> None:
        fields = [
            Field("file", "file", hint="the public key: a PEM file", check=needed, path=True),
            Field("owner", "owner", hint="whose it is: one key, one owner", check=needed),
        ]
        if purpose in _FROM:
            check = _sites_needed if purpose == "bundle" else _sites
            fields.append(
                Field("sites", "from sites", hint="the sites it may sign for, as: alpha, foxtrot", check=check)
            )
        if with_ceremony:
            proposal = f"first-trust-{self.console_app.now()[:10]}.txt"
            fields.append(Field("until", "until", hint="2027-12-31, or empty: for ever", check=_day))
            fields.append(Field("witness", "witness", hint="who listens with you, if anybody"))
            fields.append(Field("record", "record", proposal, "a new file, to print and sign", needed, path=True))
        else:
            fields.append(Field("since", "from", hint="2026-01-01, or empty: at once", check=_day))
            fields.append(Field("until", "until", hint="2027-12-31, or empty: for ever", check=_day))
        self.console_app.push_screen(
            Form(f"Pin a key for {purpose}", fields, "Nothing is pinned before its fingerprint was compared."),
            lambda answers: self._read_key(purpose, answers) if answers else None,
        )

    def _read_key(self, purpose: str, answers: dict[str, str]) -> None:
        grant = Grant(
            purpose, answers["owner"], _site_list(answers.get("sites", "")),
            _wire(answers.get("since", ""), "00:00:00"), _wire(answers["until"], "23:59:59"),
        )  # fmt: skip

        def read(found: tuple[KeyFile, Widening | None]) -> None:
            key, pinned = found
            if pinned is not None and pinned.added:
                self._widen(key, grant, pinned, go)
            else:
                go(key)

        def go(key: KeyFile) -> None:
            if "record" in answers:
                self._listen(key, grant, answers["witness"], answers["record"])
            else:
                self._compare(key, grant)

        def look(desk: Desk) -> tuple[KeyFile, Widening | None]:
            key = desk.read_key(answers["file"])
            return key, desk.widening(key.keyid, grant)

        self.at_desk(look, read)

    def _widen(self, key: KeyFile, grant: Grant, pinned: Widening, go: Callable[[KeyFile], None]) -> None:
        """A key that is pinned already counts for more only where the purpose is typed."""
        explain = (
            f"Key {key.keyid} is pinned already, for {safe(pinned.pinned)}. This adds {safe(words(pinned.added))}."
        )
        prompt = Prompt(
            f"Key {key.keyid}: Type {grant.purpose} to add that", explain,
            check=lambda text: "" if text.strip() == grant.purpose else f"type {grant.purpose}, or esc",
        )  # fmt: skip
        self.console_app.push_screen(prompt, lambda text: go(key) if text else None)

    def _compare(self, key: KeyFile, grant: Grant) -> None:
        """Show the words, and pin on a yes."""
        lines = [
            f"Key {key.keyid} ({safe(key.algorithm)}), for {_granted(grant)}.",
            "Call the owner on a number you know, and have these words read to you:",
            "",
            *(f"  {number}  {line}" for number, line in enumerate(word_lines(key.fingerprint), 1)),
            "",
            *(f"  {line}" for line in hex_lines(key.fingerprint)),
            "",
            "Pin it only where every word is the same.",
        ]
        self.console_app.push_screen(
            Confirm(f"Key {key.keyid}: Are these the words of {safe(grant.owner)}?", "\n".join(lines)),
            lambda yes: self._pin(key, grant, None) if yes else None,
        )

    def _listen(self, key: KeyFile, grant: Grant, witness: str, record: str) -> None:
        """Have the words typed as they are heard; they are not shown."""
        fields = [
            Field(f"breath{number}", f"words {4 * number - 3}-{4 * number}", check=_breath(key, number))
            for number in range(1, _BREATHS + 1)
        ]
        explain = (
            f"Key {key.keyid}, for {_granted(grant)}.\n"
            f"Call {safe(grant.owner)} on a number you know, and type the words that are read to you, four a line."
        )

        def heard(answers: dict[str, str] | None) -> None:
            if answers:
                spoken = " ".join(answers[field.key] for field in fields)
                self._pin(key, grant, Heard(spoken, witness, record))

        self.console_app.push_screen(Form(f"Key {key.keyid}: First trust: what do you hear?", fields, explain), heard)

    def _pin(self, key: KeyFile, grant: Grant, heard: Heard | None) -> None:
        def pinned(keyid: str) -> None:
            said = f"pinned {keyid} of {grant.owner} for {grant.purpose}"
            self.say("ok", f"{said}; print and sign the record: {heard.record}" if heard else said)
            self.load()

        self.at_desk(lambda desk: desk.pin(key.path, grant, heard), pinned)

    def do_revoke(self) -> None:
        key = self.item()
        if isinstance(key, TrustedKey):
            self.ask(asked(key.keyid), lambda found: self._ask_why(key, found), group="act",
                     otherwise=lambda error: self._unknown(key, error))  # fmt: skip

    def _unknown(self, key: TrustedKey, error: LockgateError) -> None:
        """A key is revoked at once, also by whom may not see what stands on it."""
        self._ask_why(key, Recalled(thing=key.keyid, unknown=error.what))

    def _ask_why(self, key: TrustedKey, found: Recalled) -> None:
        explain = (
            f"{recalled_line(found)}\nWhat was released stays, and is listed for recall; what comes after is refused, "
            "at once. A revoked key stays so for ever."
        )
        self.console_app.push_screen(
            Prompt(f"Revoke {key.keyid} of {safe(key.owner)}: why?", explain, check=needed),
            lambda why: self._revoke(key, why) if why else None,
        )

    def _revoke(self, key: TrustedKey, why: str) -> None:
        def gone(_: None) -> None:
            self.load()
            self.revoked(key.keyid)

        self.at_desk(lambda desk: desk.revoke(key.keyid, why), gone)

    def revoked(self, keyid: str) -> None:
        """A key is believed no longer: show what stood on it."""
        self.console_app.open_further("key", keyid)

    def do_untrust(self) -> None:
        key = self.item()
        if not isinstance(key, TrustedKey):
            return
        explain = (
            "For a key that was pinned wrongly: it may be pinned again. A key that somebody else may have is revoked "
            "(x) instead. What was released on its signature stays."
        )

        def gone(_: None) -> None:
            self.load()
            self.say("ok", f"{key.keyid} of {key.owner} is not trusted any more")

        self.console_app.push_screen(
            Prompt(f"Take {key.keyid} of {safe(key.owner)} out: why?", explain, check=needed),
            lambda why: self.at_desk(lambda desk: desk.untrust(key.keyid, why), gone) if why else None,
        )

    def do_correct(self) -> None:
        key = self.item()
        if not isinstance(key, TrustedKey):
            return
        fields = [Field("owner", "owner", key.owner, "whose it really is", needed)]
        if set(key.purposes) & set(_FROM):
            fields.append(Field("sites", "from sites", ", ".join(key.sites), "those it may sign for, instead", _sites))
        fields.append(Field("why", "why", hint="the reason, kept in the audit log", check=needed))

        def changed(_: None) -> None:
            self.load()
            self.say("ok", f"{key.keyid} is pinned as you said; decisions not yet released count as the owner's now")

        def correct(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            owner = answers["owner"] if answers["owner"] != key.owner else ""
            sites = _site_list(answers.get("sites", ""))
            new = sites if set(sites) != set(key.sites) else ()
            if not owner and not new:
                self.say("note", "nothing was changed: give another owner, or other sites")
                return
            self.at_desk(lambda desk: desk.correct(key.keyid, answers["why"], owner, new), changed)

        self.console_app.push_screen(
            Form(f"Pinned wrongly: key {key.keyid}", fields, "The rules of pinning hold."), correct
        )

    def do_key_create(self) -> None:
        """Ask for the name of a new key, then for its passphrase, twice."""
        explain = "In the key folder of this station. It signs nothing that counts before its public half is pinned."
        prompt = Prompt("New key: what is it called?", explain, check=check_key_name)
        self.console_app.push_screen(prompt, lambda name: self._ask_passphrase(name) if name else None)

    def _ask_passphrase(self, name: str) -> None:
        prompt = Prompt(f"New key {safe(name)}: its passphrase", "Nobody can open the key without it, and nobody can "
                        "set another.", masked=True, check=needed)  # fmt: skip
        self.console_app.push_screen(prompt, lambda text: None if text is None else self._create(name, text))

    def _create(self, name: str, passphrase: str) -> None:
        def created(made: KeyFile) -> None:
            self.load()
            self.say("ok", f"{name} is {made.keyid}; have its public half pinned where it is to count: {made.path}")

        self.twice(f"New key {safe(name)}", passphrase, lambda desk: desk.create(name, passphrase), created)

    def twice(self, what: str, passphrase: str, work: Callable[[Desk], T], then: Callable[[T], None]) -> None:
        """Do something with a passphrase, asked for twice: a key whose passphrase was mistyped opens for nobody."""

        def same(text: str) -> str:
            return "" if text == passphrase else "it is not the same as before"

        prompt = Prompt(f"{what}: the same once more", masked=True, check=same)
        self.console_app.push_screen(prompt, lambda text: None if text is None else self.at_desk(work, then))

    def do_rotate(self) -> None:
        key = self.item()
        if isinstance(key, OwnKey):
            prompt = Prompt(
                f"Rotate {safe(key.name)}: the new key's passphrase",
                "A new key takes the name; the old one is kept beside it, and signs until the new one is pinned.",
                masked=True,
                check=needed if key.encrypted else lambda text: "",
            )
            self.console_app.push_screen(prompt, lambda text: None if text is None else self._again(key, text))

    def _again(self, key: OwnKey, passphrase: str) -> None:
        def rotated(made: Rotated) -> None:
            self.load()
            self.say("ok", f"the old one is {made.kept}; pin {made.keyid} everywhere, then revoke the old one")

        self.twice(f"Rotate {safe(key.name)}", passphrase, lambda desk: desk.rotate(key.name, passphrase), rotated)


def check_key_name(text: str) -> str:
    """What is wrong with a key's name."""
    from bundles.signing.keys import check_name  # here: cryptography is slow to load

    try:
        check_name(text)
    except LockgateError as error:
        return error.diagnostics()
    return "write it without .pem" if text.endswith(".pem") else ""


def _granted(grant: Grant) -> str:
    places = f" from {words(grant.sites)}" if grant.sites else ""
    return f"{grant.purpose}{places}, of {safe(grant.owner)}"


def _breath(key: KeyFile, number: int) -> Callable[[str], str]:
    """The check of a group of words as it was heard."""

    def check(text: str) -> str:
        spoken = " ".join(text.lower().replace(",", " ").split())
        return "" if spoken == word_lines(key.fingerprint)[number - 1] else "not this key's: have them read again"

    return check


def _site_list(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _sites(text: str) -> str:
    try:
        for site in _site_list(text):
            check_site(site)
    except MalformedError as error:
        return error.diagnostics()
    return ""


def _sites_needed(text: str) -> str:
    return _sites(text) if text.strip() else "a bundle key is bound to sites: name one, as alpha"


def _wire(day: str, time: str) -> str:
    return f"{day}T{time}Z" if day else ""


def _day(text: str) -> str:
    if not text:
        return ""
    try:
        check_time(_wire(text, "00:00:00"), "the day")
    except MalformedError:
        return "write it as 2027-12-31"
    return ""
