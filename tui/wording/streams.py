"""How a stream stands: gaps, forks, voids and silence by their names, what each means, and how to go on. Pure.

What the ledger holds says which numbers never came and why that was let pass: a row that came over a gap says so, a
floor that people set stands as `reset`, and everything else that is missing was voided by the source
(`bundles.decide.sequence`). Forks and replays are refused and never reach the ledger: they are read from the refused
imports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from appliance.api.bundles import OutgoingBundle
from appliance.api.intake import ClockFloor, LedgerRow, Stream
from appliance.api.jobs import Job
from appliance.api.trust import TrustRule
from bundles.io.display import safe
from tui.station.troubles import Trouble, unresolved
from tui.terminal.texts import count, moment, words
from tui.widgets.mark_rows import Marked

MEANINGS: Final = {
    "replay": "the same bundle again. Nothing is to be done: what it carried is here, or was rejected",
    "fork": "two bundles under one number, or two histories. Ask the source site; trust neither until then",
    "rollback": "an older number that never came, after newer ones. Bring the next; have its content built anew",
    "gap": "numbers before it did not come. Import them first; if they are lost, f: two people set the floor",
}
"""What a refusal by the ledger is called, what it means, and how to go on."""
_VOID: Final = "the source cancelled or lost it. Nothing is to be done, and it needs nobody"
_LET: Final = "let in by the policy, numbers before it did not come. If they turn up they are a rollback"
_RESET: Final = "people set the floor here: what comes next follows this number"
_SHOWN: Final = 6
"""Refused imports of a stream that are named; Jobs has them all."""


def standing(
    stream: Stream,
    rows: Sequence[LedgerRow],
    jobs: Sequence[Job],
    rules: Sequence[TrustRule],
    clock: ClockFloor | None,
) -> list[Marked]:
    """The lines for a stream that is carried in: what comes next, silence, then what is out of the ordinary."""
    refused = _refused(stream, unresolved(jobs))
    following = _next(stream, rules, clock)
    if following.role == "ok" and any(line.role == "bad" for line in refused):
        following = Marked("need", following.text)
    lines = [following, *refused]
    lines += _missing(stream, rows)
    if clock is not None and clock.floor:
        late = clock.floor > clock.now
        text = f"clock floor {moment(clock.floor)} ({safe(clock.why)})"
        wrong = f"{text}: this station's clock stands behind it. Set the clock; if the floor is wrong, f sets it back"
        lines.append(Marked("bad" if late else "ok", wrong if late else f"{text}: earlier is not believed"))
    return lines


def standing_out(stream: Stream, sent: Sequence[OutgoingBundle]) -> list[Marked]:
    """The lines for a stream that is carried out."""
    lines = [Marked("ok", f"next {stream.last_sequence + 1:06d}, last made {moment(stream.last_at)}")]
    voided = [one.id for one in sent if one.stream == stream.stream and one.state == "voided"]
    if voided:
        lines.append(Marked("wait", f"void: {words(voided)}; the next bundle names them, and the inside needs nobody"))
    return lines


def _next(stream: Stream, rules: Sequence[TrustRule], clock: ClockFloor | None) -> Marked:
    source = stream.stream.partition(".")[0]
    found = {rule.site: rule for rule in rules if rule.purpose == "bundle"}
    rule = found.get(source) or found.get("")
    text = f"next {stream.last_sequence + 1:06d}, last came {moment(stream.last_at)}"
    if rule is None or not rule.silence_days:
        return Marked("ok", f"{text}, no silence alarm")
    days = _days(stream.last_at, clock.now) if clock is not None else 0
    if days >= rule.silence_days:
        alarm = f"SILENT for {count(days, 'day')}, alarm after {rule.silence_days}"
        return Marked("bad", f"{alarm}: ask {safe(source)} whether one was sent; {text}")
    return Marked("ok", f"{text}, silence alarm {rule.silence_days} d")


def _days(since: str, now: str) -> int:
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).days
    except ValueError:
        return 0


def _refused(stream: Stream, troubles: Sequence[Trouble]) -> list[Marked]:
    """The ledger's refusals of imports that nobody has seen to, newest first, each bundle and name once."""
    lines: list[Marked] = []
    for trouble in troubles:
        job, error = trouble.job, trouble.job.error
        if job.kind != "import" or error is None or not error.thing.startswith(f"{stream.stream}-"):
            continue
        if (name := error.code) in MEANINGS:
            at = moment(job.finished or job.created)
            often = "" if trouble.count == 1 else f" {count(trouble.count, 'time')}, last"
            text = f"{name} {safe(error.thing)}, refused{often} {at}: {MEANINGS[name]}"
            lines.append(Marked("note" if name == "replay" else "bad", text))
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([Marked("bad", f"and {more} more: Jobs lists them")] if more > 0 else [])


def _missing(stream: Stream, rows: Sequence[LedgerRow]) -> list[Marked]:
    """Numbers that never came, and floors that people set, highest first."""
    own = [row for row in rows if row.stream == stream.stream]
    came = {row.sequence for row in own if row.state != "reset"}
    floors = {row.sequence: row for row in own if row.state == "reset"}
    let_in = {row.sequence for row in own if (row.why or "").startswith("a gap")}
    marked: list[tuple[int, Marked]] = [
        (number, Marked("need", f"floor {number:06d}, set {moment(row.created)} ({safe(row.why or '')}): {_RESET}"))
        for number, row in floors.items()
    ]
    void: list[int] = []
    for number in range(1, max(came | set(floors), default=0)):
        if number in came or number in floors:
            continue
        above = min(one for one in came | set(floors) if one > number)
        if above in floors:
            continue
        if above in let_in:
            if number == above - 1:
                marked.append((above, Marked("need", f"gap before {above:06d}: {_LET}")))
        else:
            void.append(number)
    marked += [(number, Marked("wait", f"void {number:06d}: {_VOID}")) for number in void]
    return [line for _, line in sorted(marked, key=lambda pair: -pair[0])]
