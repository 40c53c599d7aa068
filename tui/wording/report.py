"""What stands beside an inspection report in the console: the bundle's facts, changes of accounts, and whether the
report is the one that its digest names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.api.intake import IntakeDetail
from appliance.api.people import AccountChange
from bundles.documents.report_parts import Line
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.oci.digest import Digest
from tui.terminal.texts import count, moment, size, words
from tui.wording.account_changes import sentence
from tui.wording.checklists import next_step

_PAPERS = ("purpose", "authorisation", "classification")


def is_as_named(entry: IntakeDetail) -> bool:
    """Whether the report's bytes are those of the digest that people sign."""
    if entry.report is None:
        return entry.report_digest is None
    try:
        return str(Digest.of(strict_json.canonical(entry.report))) == entry.report_digest
    except MalformedError:
        return False


def origin(entry: IntakeDetail) -> str:
    """Where a bundle comes from, when it was made, and how much it is."""
    sender, _, here = entry.stream.partition(".")
    made = entry.manifest.get("created")
    when = moment(made if isinstance(made, str) else None)
    return f"{safe(sender)} to {safe(here)}, made {when}; {count(entry.artifacts, 'artifact')}, {size(entry.bytes)}"


def papers(manifest: Mapping[str, Any]) -> str:
    """Purpose, authorisation and classification; `none` where there are none."""
    given = [str(manifest[name]) for name in _PAPERS if manifest.get(name)]
    return words(given) if given else "none"


def next_here(entry: IntakeDetail) -> tuple[str, str]:
    """What a person does next who reads the report, as role and sentence."""
    if entry.state == "quarantined" and entry.report is not None:
        return "need", f"read it, then a approves or x rejects; {entry.approvals} of {entry.needed} approved"
    return next_step(entry)


def account_lines(changes: Sequence[AccountChange]) -> list[Line]:
    """The changes of accounts that an officer is to know, as the first part of the page."""
    below = tuple(Line(sentence(one), "note" if one.waits else "fail") for one in changes)
    return [Line("Changes of accounts", below=below)] if below else []
