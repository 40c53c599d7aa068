"""GET /v1/webhooks: whom the station tells of acts."""

from __future__ import annotations

from appliance.api.common import Shape


class Webhook(Shape, frozen=True, kw_only=True):
    """An endpoint of config.toml: its host (a URL may hold what is secret), what it is told of, how many messages wait
    for it, how many it did not take, and why the newest of these ("" for none)."""

    name: str
    host: str
    acts: tuple[str, ...]
    waiting: int
    dead: int
    error: str = ""


class WebhookReplayed(Shape, frozen=True, kw_only=True):
    """How many messages are tried again."""

    name: str
    messages: int
