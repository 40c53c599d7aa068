"""Signatures that a job was handed, kept in its folder: what was taken once is not asked for again, whatever dies."""

from __future__ import annotations

import asyncio
import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.jobs.documents import Job
from appliance.known_keys import find_public_key
from appliance.paths import StationPaths
from bundles import limits
from bundles.errors import LockgateError, RefusedError
from bundles.io.files import read_small, write_atomic

PAYLOAD: Final = "to-sign"
"""The file in the job's folder that holds the bytes to sign."""

_NAME: Final = "signature-"


def is_payload(folder: Path, payload: bytes) -> bool:
    """Whether these bytes were asked to be signed before."""
    try:
        return (folder / PAYLOAD).read_bytes() == payload
    except OSError:
        return False


def waits_since(folder: Path) -> str:
    """Since when a job has waited for a signature of what it asks to be signed now; "" where it does not."""
    try:
        return clock.at((folder / PAYLOAD).stat().st_mtime)
    except OSError:
        return ""


def keep_signature(folder: Path, payload: bytes, keyid: str, signature: bytes) -> None:
    """Keep a signature of the payload that holds; durable on return. Raises FailedError, NoSpaceError."""
    fields = {"payload": sha256(payload).hexdigest(), "signature": base64.b64encode(signature).decode()}
    write_atomic(folder / f"{_NAME}{keyid}", json.dumps(fields).encode(), 0o600)


def kept_signatures(paths: StationPaths, folder: Path, payload: bytes, keyids: list[str]) -> dict[str, bytes]:
    """By key, the signatures that were kept for exactly this payload, and hold."""
    found = {}
    for keyid in keyids:
        try:
            fields = json.loads(read_small(folder / f"{_NAME}{keyid}", 2 * limits.SIGNATURE_FILE))
            signature = base64.b64decode(fields["signature"], validate=True)
            if fields["payload"] != sha256(payload).hexdigest():
                continue
            if find_public_key(paths, keyid).verify(payload, signature):
                found[keyid] = signature
        except (LockgateError, ValueError, KeyError, TypeError):
            continue
    return found


async def check_signature(paths: StationPaths, job: Job, keyid: str, signature: bytes) -> bytes:
    """The bytes that a job in `to-sign` asks to be signed, where it waits for this key and its signature holds. Raises
    RefusedError; UsageError where the station does not know the key."""
    if keyid not in (job.to_sign or {"keyids": ()})["keyids"]:
        raise RefusedError(
            "the job waits for another key's signature",
            thing=keyid,
            remedy="sign with the key that is named (lockgate bundle sign --job ID --key KEY)",
        )
    payload = await asyncio.to_thread((paths.job(job.id) / PAYLOAD).read_bytes)
    key = await asyncio.to_thread(find_public_key, paths, keyid)
    if not key.verify(payload, signature):
        raise RefusedError("the signature does not hold", thing=keyid, remedy="sign exactly the bytes of to-sign")
    return payload
