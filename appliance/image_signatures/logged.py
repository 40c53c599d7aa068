"""Which policy for images was applied last, by the station's own audit log.

Each policy has a number that is one above that of the policy before it, and the highest one that stands is in force.
Times say nothing here: after a clock that was ahead, an older policy would be the newest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from appliance.audit.acts import Act, mark
from appliance.audit.reading import own_events
from appliance.paths import StationPaths
from bundles.errors import RefusedError

_ACTS: Final = (Act.IMAGE_POLICY_APPLY, Act.IMAGE_POLICY_KEPT)


@dataclass(frozen=True, slots=True)
class Logged:
    """The policy with the highest number in the log: its number (0 where an event gives none) and its document's
    digest. `fault` says why the log does not name one policy, "" where it does."""

    number: int
    digest: str
    fault: str = ""


def read_logged(paths: StationPaths) -> Logged | None:
    """What the log says was applied; None where nothing ever was. Raises FailedError where it cannot be read.

    A fault is a number with two digests, and a lower number behind the highest in its own lane, where the order of
    events does not rest on a clock. The next policy that two people apply ends it.
    """
    standing = _standing(paths)
    if not standing:
        return None
    highest = max(_number(event) for event in standing)
    top = [event for event in standing if _number(event) == highest]
    digests = sorted({str(event["thing"]) for event in top})
    number, digest = highest, str(top[0]["thing"])
    if len(digests) > 1 and highest:
        return Logged(number, digest, f"the log gives number {number} to {' and to '.join(digests)}")
    newest = {int(event["lane"]): int(event["seq"]) for event in reversed(top)}
    behind = [event for event in standing if _number(event) and _is_behind(event, newest) and _number(event) < highest]
    if behind:
        lower = behind[0]
        said = f"the log names {_number(lower)}, {lower['thing']}, behind {number}, {digest}"
        return Logged(number, digest, said)
    return Logged(number, digest)


def logged_digest(paths: StationPaths) -> str | None:
    """The digest of the policy that was applied last; None where none ever was. Raises RefusedError where the log does
    not name one, FailedError where it cannot be read."""
    logged = read_logged(paths)
    if logged is not None and logged.fault:
        raise RefusedError(
            "the audit log does not say which policy for images was applied",
            thing=logged.fault,
            remedy="two people apply the next one: lockgate policy apply FILE --key KEY",
            code="image-policy",
        )
    return None if logged is None else logged.digest


def _standing(paths: StationPaths) -> list[dict[str, Any]]:
    """The events of applied and kept policies that no later one of their lane took back, the newest first by the
    clock."""
    back: set[tuple[int, str, str]] = set()
    found: list[dict[str, Any]] = []
    for event in own_events(paths, marks=tuple(map(mark, _ACTS))):
        if event["act"] not in _ACTS:
            continue
        key = (int(event["lane"]), str(event["act"]), str(event["thing"]))
        if event["outcome"] != "done":
            if event["detail"].get("takes_back"):
                back.add(key)
        elif key in back:
            back.discard(key)
        else:
            found.append(event)
    return found


def _number(event: dict[str, Any]) -> int:
    """A policy's number in its event, 0 where it is none: an earlier version's `image-policy.kept` has no number."""
    number = event["detail"].get("number")
    return number if type(number) is int and number > 0 else 0


def _is_behind(event: dict[str, Any], newest: dict[int, int]) -> bool:
    return int(event["seq"]) > newest.get(int(event["lane"]), int(event["seq"]))
