"""/v1/webhooks: the endpoints that are told of acts, and what they did not take."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from appliance import clock
from appliance.api.common import Page
from appliance.api.webhooks import Webhook, WebhookReplayed
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, get, post
from appliance.store.reads.webhooks import outbox_state
from appliance.store.writes.webhooks import ReplayWebhooks
from bundles.errors import NotFoundError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def listed(_: web.Request) -> web.Response:
        found = []
        for name, settings in station.config.webhooks.items():
            state = outbox_state(station.reader, name)
            host = urlsplit(settings.url).netloc
            found.append(
                Webhook(name=name, host=host, acts=settings.acts, waiting=state.waiting, dead=state.dead,
                        error=state.error)
            )  # fmt: skip
        return answer(Page(tuple(found)))

    async def replay(request: web.Request) -> web.Response:
        name, actor = request.match_info["name"], caller(request)
        await audited(control, request, Act.WEBHOOK_REPLAY, name, _require(name))
        write = ReplayWebhooks(endpoint=name, now=int(clock.seconds(clock.now())))
        messages = await act(control, AuditEvent(Act.WEBHOOK_REPLAY, actor, name), write)
        return answer(WebhookReplayed(name=name, messages=messages))

    async def _require(name: str) -> None:
        if name not in station.config.webhooks:
            raise NotFoundError("no such webhook in config.toml", thing=name, remedy="see: lockgate webhook list")

    return [get("/v1/webhooks", "status", listed), post("/v1/webhooks/{name}/replay", "operate", replay)]
