"""Tells webhooks what the audit log says: from the log into the outbox, and from there to their endpoints.

How far an endpoint has heard the log stands in the same transaction as its messages: no event is lost when the station
stops, and none is queued twice. A message may be sent twice, where the station stopped before it heard the answer.
"""

from __future__ import annotations

import asyncio
import hmac
import time

from appliance import clock
from appliance.control.api import Control
from appliance.control.lasting import keep_going
from appliance.control.log_follower import Events, LogFollower, report
from appliance.limits import forwarding as limits
from appliance.mac_key import mac_key
from appliance.settings.webhooks import WebhookSettings
from appliance.store.reads import webhooks
from appliance.store.reads.webhooks import Waiting
from appliance.store.writes.webhooks import DropWebhook, Message, QueueWebhooks, RetryWebhook
from appliance.webhooks.messages import headers_of, is_wanted, message_of, seal_of, secrets_of
from appliance.webhooks.sending import NotTakenError, Sender
from bundles.errors import LockgateError


async def keep_telling(control: Control) -> None:
    """Serve every endpoint of the settings. Until cancelled."""
    await asyncio.gather(
        *(
            keep_going(f"webhook {name}", Endpoint(control, name, one).keep_telling)
            for name, one in control.station.config.webhooks.items()
        )
    )


class Endpoint:
    """One endpoint, with what it has heard of the log."""

    def __init__(self, control: Control, name: str, settings: WebhookSettings) -> None:
        self._control, self.name, self._settings = control, name, settings
        self._sender = Sender(settings, control.station.paths.root)
        self._follower = LogFollower(control.station.paths)
        self._begun = False
        self._kept = time.monotonic()

    async def keep_telling(self) -> None:
        """Until cancelled. What is wrong is said once for as long as it stays the same."""
        said = ""
        while True:
            wrong = ""
            try:
                await self.queue()
                await self.send()
            except LockgateError as error:
                wrong = error.diagnostics()
                if wrong != said:
                    report(f"webhook {self.name}", error)
            said = wrong
            await asyncio.sleep(limits.LOG_LOOK)

    async def queue(self) -> None:
        """Put what came into the log into the outbox. A new endpoint hears what comes from now on. Raises
        LockgateError; nothing is lost then."""
        if not self._begun:
            heard = webhooks.cursor(self._control.station.reader, self.name)
            if heard is None:
                await self._follower.begin()
                await self._put((), self._follower.heads)
            else:
                self._follower.heads = heard
            self._begun = True
        before = dict(self._follower.heads)
        events = await self._follower.look()
        wanted = [event for event in events if is_wanted(self._settings, event)]
        late = bool(events) and time.monotonic() - self._kept >= limits.WEBHOOK_CURSOR
        if wanted or late:
            done = False
            try:
                done = await self._put(wanted, self._follower.heads)
            finally:
                if not done:
                    self._follower.back_to(before)

    async def _put(self, events: Events, heads: dict[int, int]) -> bool:
        site = self._control.station.config.site
        made = [message_of(site, event) for event in events]
        key = await self._key() if made else b""
        messages = tuple(one._replace(seal=seal_of(key, self.name, one)) for one in made)
        at = clock.now()
        write = QueueWebhooks(
            endpoint=self.name, heads=dict(heads), messages=messages, now=int(clock.seconds(at)), at=at
        )
        self._kept = time.monotonic()
        return bool(await self._control.writer.submit(write))

    async def _key(self) -> bytes:
        """Raises FailedError."""
        after = "what waits for webhooks is not sent then, and stands in: lockgate audit show"
        return await asyncio.to_thread(mac_key, self._control.station.paths.outbox_key, after=after)

    async def send(self) -> None:
        """Send what is due. Raises LockgateError where the secret cannot be used: all of it waits."""
        now = int(clock.seconds(clock.now()))
        waiting = webhooks.due(self._control.station.reader, self.name, now, limits.WEBHOOK_AT_ONCE)
        if not waiting:
            return
        secrets = await asyncio.to_thread(secrets_of, self._control.station.paths, self.name)
        key = await self._key()
        await asyncio.gather(*(self._attempt(one, secrets, key) for one in waiting))

    def _require_own(self, message: Waiting, key: bytes) -> None:
        """Raises NotTakenError for what is not as the station queued it for this endpoint."""
        queued = seal_of(key, self.name, Message(message.event, message.body))
        if not hmac.compare_digest(message.seal.encode(), queued.encode()):
            raise NotTakenError("not what the station queued: the database was changed by hand", for_good=True)

    async def _attempt(self, message: Waiting, secrets: list[bytes], key: bytes) -> None:
        body, now = message.body.encode(), int(clock.seconds(clock.now()))
        try:
            self._require_own(message, key)
            await self._sender.send(body, headers_of(message.event, body, secrets, now))
        except NotTakenError as error:
            pauses = limits.WEBHOOK_PAUSES
            dead = error.for_good or message.attempts >= len(pauses)
            due = now if dead else now + pauses[message.attempts]
            await self._control.writer.submit(RetryWebhook(number=message.number, due=due, dead=dead, error=str(error)))
            self._control.measures.webhook("dead" if dead else "failed")
        else:
            await self._control.writer.submit(DropWebhook(number=message.number))
            self._control.measures.webhook("delivered")


def alerts(control: Control) -> list[str]:
    """A line for each endpoint that messages could not be brought to."""
    found = []
    for name in control.station.config.webhooks:
        state = webhooks.outbox_state(control.station.reader, name)
        if state.waiting:
            try:
                secrets_of(control.station.paths, name)
            except LockgateError as error:
                found.append(f"webhook {name}: {state.waiting} messages wait: {error.diagnostics()}")
        if state.dead:
            told = f"{state.dead} messages were not taken ({state.error})"
            found.append(f"webhook {name}: {told}; once it is well: lockgate webhook replay {name}")
    return found
