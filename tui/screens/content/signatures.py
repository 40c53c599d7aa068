"""Signatures: who signed an artifact, by which pinned key, or why none counts; and a signature of one's own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.people import Who
from appliance.api.signatures import Attached, Signable, Signatures, Subjects
from appliance.api.trust import OwnKey
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.decisions.image_signing import hand_in, image_keys
from tui.decisions.signing import Offer
from tui.dialogs.confirm import Confirm
from tui.screens.content.looking_again import LooksAgain
from tui.screens.trust.signing import SigningScreen
from tui.station.port import Station
from tui.widgets.line_rows import LineRows
from tui.widgets.panel import Panel, fact
from tui.wording.signatures import lines, verdict

Asked = tuple[Subjects, Offer]


class SignaturesScreen(LooksAgain, SigningScreen):
    name_of: ClassVar[str] = "signatures"

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference
        self.found: Signatures | None = None

    def body(self) -> ComposeResult:
        yield Panel(self.look, "Signatures", ident="facts")
        yield LineRows(self.look, "By the keys that are pinned here", ident="lines", empty="no signature")

    def load(self) -> None:
        if self.found is None:
            self.query_one("#facts", Panel).show([fact("name", safe(self.reference), "title", name_width=7)])
        self.ask(partial(_found, reference=self.reference), self._show, places=[self.query_one("#lines", LineRows)])

    def _show(self, found: tuple[Signatures, Who]) -> None:
        self.found, who = found
        text, role = verdict(self.found.state)
        self.query_one("#facts", Panel).show([
            fact("name", safe(self.found.reference), "title", name_width=7),
            fact("digest", safe(self.found.digest), name_width=7),
            fact("state", text, role, name_width=7),
        ])  # fmt: skip
        self.query_one("#lines", LineRows).show(lines(self.found, who.keys))

    def do_sign_image(self) -> None:
        """Ask with which key, one's own first, then sign what the reference names and show it."""
        self.ask(partial(_asked, reference=self.reference), self._ask_key, group="act")

    def _ask_key(self, asked: Asked) -> None:
        subjects, offer = asked
        (artifact,) = [one for one in subjects.artifacts if one.digest == subjects.digest] or subjects.artifacts[:1]
        covers = "\nIts images are covered by their digests." if artifact.kind == "index" else ""
        explain = (
            f"You sign {safe(artifact.kind)} {safe(artifact.digest)} in {safe(subjects.repository)}.{covers}\n"
            "The signature is made here; the key never leaves this console."
        )

        def go(key: OwnKey, secret: Secret) -> None:
            if key.encrypted:
                self._sign(subjects, artifact, key, secret)
                return
            question = Confirm(f"Sign the image with the key {safe(key.name)}?", explain)
            self.console_app.push_screen(
                question, lambda yes: self._sign(subjects, artifact, key, secret) if yes else None
            )

        self.choose_key("Sign the image", offer, explain, go)

    def _sign(self, subjects: Subjects, artifact: Signable, key: OwnKey, secret: Secret) -> None:
        self.say("busy", "opening the key and signing")
        app = self.console_app

        async def signed() -> Attached:
            pem, made = await asyncio.to_thread(
                app.keyring.sign_image, key.name, secret, subjects.repository, artifact.digest
            )
            return await app.link.ask(lambda station: hand_in(station, subjects.repository, artifact.digest, pem, made))

        self.work(signed, self._signed, group="act")

    def _signed(self, answer: Attached) -> None:
        (one,) = answer.signatures
        self.say("ok", "signed" if one.is_new else "it was signed so before")
        if answer.objection:
            self.say("need", f"nobody here believes it: {answer.reason}")
        self.load()

    def do_policy(self) -> None:
        self.console_app.open_further("policy", self.reference)

    def copied(self) -> str:
        return self.found.digest if self.found is not None else self.reference


async def _found(station: Station, reference: str) -> tuple[Signatures, Who]:
    return await station.fetch(Signatures, "/v1/signatures", ref=reference), await station.who()


async def _asked(station: Station, reference: str) -> Asked:
    subjects = await station.fetch(Subjects, "/v1/signatures/subjects", ref=reference, recursive=0)
    return subjects, await image_keys(station)
