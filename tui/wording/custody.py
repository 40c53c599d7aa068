"""Custody as the control API tells it: the bundles that have a record, and one record as a form."""

from __future__ import annotations

from typing import Any

from tui.station.records import Shape


class Kept(Shape, frozen=True, kw_only=True):
    """A bundle with a custody record: `direction` is `in`, `out`, or empty where it only passed through hands here."""

    id: str
    direction: str = ""
    state: str = ""
    at: str = ""
    handovers: int = 0


class Record(Shape, frozen=True, kw_only=True):
    """GET /v1/bundles/{id}/custody; `head` is the audit log's, to be written down with it; `made` is what
    its signers said of it, `other` the other side's part from its receipt, `timeline` both in one order."""

    id: str
    site: str
    head: str
    digest: str = ""
    state: str = ""
    steps: tuple[dict[str, Any], ...] = ()
    signatures: tuple[dict[str, Any], ...] = ()
    decisions: tuple[dict[str, Any], ...] = ()
    handovers: tuple[dict[str, Any], ...] = ()
    made: dict[str, Any] | None = None
    other: dict[str, Any] | None = None
    timeline: tuple[dict[str, Any], ...] = ()
    events: tuple[dict[str, Any], ...] = ()
