"""Start a build that waits for its signature, as one whose terminal was lost: `waiting.py STATION KEY MEDIUM REF`.

Prints the job's id."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from appliance.control.client import ControlClient
from bundles.signing.keys import load_public


async def submit(station: Path, key: str, medium: str, reference: str) -> str:
    keyid = load_public(station / f"keys/{key}.pub.pem").keyid
    params = {"to": "bravo", "sign_with": keyid, "references": [reference], "out": [medium], "volume": "fat32"}
    async with ControlClient(station) as client:
        return str((await client.submit("build", params))["id"])


if __name__ == "__main__":
    folder, *rest = sys.argv[1:]
    print(asyncio.run(submit(Path(folder), *rest)))
