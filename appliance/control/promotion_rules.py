"""The rules of promotion of the applied policy, kept by the station itself (docs/adr/0081-promotion-by-rules.md).

A rule has the authority of the two people who signed the policy. What it does is recorded as the station's act, with
the rule and the policy as its reason; what the gates refuse is an event once, and asked again at the next look.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import refusal
from appliance.control.api import Control
from appliance.control.promoting import promote
from appliance.control.threads import on_own_station
from appliance.limits import intake as intake_limits
from appliance.limits import registry as limits
from appliance.promotion.by_rule import Due, due
from appliance.promotion.kept_verdicts import KeptVerdicts
from appliance.promotion.prepare import Prepared, prepare, prepare_rollback
from appliance.station import Station
from appliance.store.epoch import epoch_of
from appliance.store.errors import EngineError
from bundles.errors import LockgateError, RefusedError
from bundles.oci.reference import Reference

ACTOR: Final = "station"
_log: Final = logging.getLogger(__name__)


class PromotionRules:
    """What the station promotes and rolls back by itself."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._refused: dict[Due, str] = {}
        """Why each was refused when it was last asked for."""
        self._judge = KeptVerdicts(epoch_of(control.station.paths.database))
        self._fault = ""

    async def keep_looking(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            try:
                await self.look()
                self._fault = ""
            except (LockgateError, EngineError) as error:
                why = error.diagnostics() if isinstance(error, LockgateError) else str(error)
                if why != self._fault:
                    _log.warning("the rules of promotion: %s", why)
                self._fault = why
            await asyncio.sleep(limits.PROMOTION_RULES_EVERY)

    async def look(self) -> None:
        """Do what is due now. Raises LockgateError, EngineError where it cannot be told."""
        found = await asyncio.to_thread(on_own_station, self._control.station, self._due)
        self._refused = {one: why for one, why in self._refused.items() if one in found}
        for one in found:
            await self._do(one)

    def _due(self, station: Station) -> list[Due]:
        return due(station, clock.now(), self._judge)

    async def _do(self, one: Due) -> None:
        act = Act.ROLLBACK if one.source is None else Act.PROMOTE

        async def judged() -> Prepared:
            return await asyncio.to_thread(on_own_station, self._control.station, lambda own: _judged(own, one))

        try:
            await promote(self._control, act, judged)
        except LockgateError as error:
            if self._refused.get(one) != error.what:
                await self._control.record(refusal(act, ACTOR, f"{one.target[0]}:{one.target[1]}", error))
                _log.warning("the rule of promotion %s: %s", one.rule, error.diagnostics())
            self._refused[one] = error.what


def _judged(station: Station, one: Due) -> Prepared:
    """Raises as `prepare`; RefusedError where something else stands there by now."""
    repository, tag = one.target
    if one.source is None:
        if station.metadata.tag_target(repository, tag) != one.digest:
            raise _moved(one)
        why = f"by the rule {one.rule}: {one.why}"[: intake_limits.REASON]
        return prepare_rollback(station, repository, tag, ACTOR, why)
    source = Reference(one.source[0], one.source[1], None)
    prepared = prepare(station, source, one.stage, tag, ACTOR, f"by the rule {one.rule}")
    if str(prepared.facts.digest) != one.digest:
        raise _moved(one)
    return prepared


def _moved(one: Due) -> RefusedError:
    channel = ":".join(one.source or one.target)
    return RefusedError("the tag moved meanwhile", thing=channel, remedy="the rule looks again within a minute")
