"""What is done about custody: a hand-over is written down, who gave, who took, which medium, which seal."""

from __future__ import annotations

from urllib.parse import quote

from appliance.api.audit import CustodyRecord
from bundles.io.display import safe
from tui.dialogs.form import Field, Form
from tui.dialogs.prompt import needed
from tui.screens.station_screen import StationScreen


class CustodyActs(StationScreen):
    """The base of screens that show custody records."""

    def bundle_named(self) -> str:
        """The id of the bundle that a hand-over is about; empty where there is none."""
        raise NotImplementedError

    def handed_over(self, record: CustodyRecord) -> None:
        """The station took a hand-over."""
        self.load()
        self.say("ok", f"written down: {record.id} went from {record.handovers[-1]['giver']} to "
                       f"{record.handovers[-1]['taker']}; audit head {record.head}")  # fmt: skip

    def do_hand_over(self) -> None:
        bundle = self.bundle_named()
        fields = (
            Field("giver", "from", hint="who gives it", check=needed),
            Field("taker", "to", hint="who takes it", check=needed),
            Field("medium", "medium", hint="the medium's label", check=needed),
            Field("serial", "serial", hint="its serial number, if it has one"),
            Field("seal", "seal", hint="the number of the seal, if there is one"),
            Field("note", "note", hint="what else was seen"),
        )
        explain = "It is written into the audit log as it stands, and nothing is ever taken out of it."
        self.console_app.push_screen(
            Form(f"Hand-over of {safe(bundle)}", fields, explain),
            lambda answers: self._hand_over(bundle, answers) if answers else None,
        )

    def _hand_over(self, bundle: str, answers: dict[str, str]) -> None:
        path = f"/v1/bundles/{quote(bundle, safe='')}/custody"
        self.ask(lambda station: station.send(CustodyRecord, path, answers), self.handed_over, group="act")
