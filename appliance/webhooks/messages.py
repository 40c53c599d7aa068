"""An event of the audit log as a message: a CloudEvent 1.0, and the headers of Standard Webhooks 1.0 that sign it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from appliance.patterns import covers
from appliance.settings.webhooks import WebhookSettings
from appliance.store.writes.webhooks import Message
from appliance.tracing.context import HEADER, TraceContext
from bundles import limits as bundle_limits
from bundles.errors import UsageError
from bundles.io.files import read_small

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_PREFIX: Final = "whsec_"
_LEAST: Final = 24
"""Bytes of a secret (Standard Webhooks: 24 to 64)."""

_MOST: Final = 64
_TOLD: Final = ("act", "actor", "thing", "outcome", "detail", "lane", "seq")


def is_wanted(settings: WebhookSettings, event: Mapping[str, Any]) -> bool:
    """Whether an endpoint wants to hear of an event."""
    act = str(event.get("act", ""))
    if not any(act == one or (one.endswith("*") and act.startswith(one[:-1])) for one in settings.acts):
        return False
    if not settings.repositories:
        return True
    thing = str(event.get("thing", ""))
    name = thing.partition("@")[0].rpartition(":")[0] or thing.partition("@")[0]
    return any(covers(pattern, name) for pattern in settings.repositories)


def message_of(site: str, event: Mapping[str, Any]) -> Message:
    """The message about an event. Its id says which event it is, so that whoever gets it twice sees that."""
    identity = f"{site}-{int(event['lane']):02}-{int(event['seq'])}"
    data = {name: event[name] for name in _TOLD if name in event}
    fields = {
        "specversion": "1.0",
        "id": identity,
        "source": f"urn:lockgate:{site}",
        "type": f"lockgate.{event['act']}",
        "subject": str(event.get("thing", "")),
        "time": event["time"],
        "datacontenttype": "application/json",
        "data": data,
    }
    if (trace := _trace_of(event)) is not None:
        fields[HEADER] = str(trace)  # CloudEvents, extension "Distributed Tracing"
    body = json.dumps(fields, separators=(",", ":"))
    if len(body) > limits.WEBHOOK_BODY:
        fields["data"] = {**data, "detail": {}, "detail_cut": True}
        body = json.dumps(fields, separators=(",", ":"))
    return Message(identity, body)


def seal_of(key: bytes, endpoint: str, message: Message) -> str:
    """By which the station knows again what it queued for an endpoint: HMAC-SHA256 in hex over the three, with their
    lengths. `key`: `StationPaths.outbox_key`'s."""
    parts = [text.encode() for text in (endpoint, message.event, message.body)]
    whole = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key, whole, hashlib.sha256).hex()


def _trace_of(event: Mapping[str, Any]) -> TraceContext | None:
    detail = event.get("detail")
    said = detail.get(HEADER) if isinstance(detail, Mapping) else None
    return TraceContext.parse([said]) if isinstance(said, str) else None


def headers_of(message_id: str, body: bytes, secrets: list[bytes], now: int) -> dict[str, str]:
    """The headers of one attempt, signed by each secret: the newest and, while one is exchanged, the one before; and
    the place in a trace that the message names."""
    trace = json.loads(body).get(HEADER)
    signed = f"{message_id}.{now}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "lockgate",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        **({HEADER: trace} if trace else {}),
    }


def secrets_of(paths: StationPaths, name: str) -> list[bytes]:
    """An endpoint's secrets, a line each: of the service's credential `webhook-NAME` (systemd.exec(5)), else of
    `keys/webhook-NAME.secret`. Read for each attempt, so that an exchange needs no restart. Raises UsageError,
    RefusedError, FailedError."""
    file = f"webhook-{name}"
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / file if folder else None
    if path is None or not path.is_file():
        path = paths.keys / f"{file}.secret"
    remedy = f"make one: (printf whsec_; openssl rand -base64 32) | install -m 600 /dev/stdin {path}"
    if not path.is_file():
        raise UsageError("a webhook has no secret", thing=name, remedy=remedy)
    found = []
    for line in read_small(path, bundle_limits.KEY_FILE).decode(errors="replace").split():
        try:
            secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not _LEAST <= len(secret) <= _MOST:
            raise UsageError("a webhook's secret cannot be used", thing=name, remedy=remedy)
        found.append(secret)
    if not found:
        raise UsageError("a webhook's secret is empty", thing=name, remedy=remedy)
    return found


def require_usable(paths: StationPaths, name: str, settings: WebhookSettings) -> None:
    """An endpoint's acts are acts, and it has a secret. Raises UsageError, RefusedError, FailedError."""
    for one in settings.acts:
        if not any(act == one or (one.endswith("*") and act.startswith(one[:-1])) for act in Act):
            raise UsageError("no act is called so", thing=f"{one} (webhooks.{name}.acts)",
                             remedy="see the acts that there were: lockgate audit show")  # fmt: skip
    secrets_of(paths, name)
