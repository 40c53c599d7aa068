"""Sends a message to an endpoint: to addresses that the site allows and to nothing else, whatever names and redirects
say."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from appliance.limits import forwarding as limits
from appliance.permissions import Network, is_within, parse_networks
from appliance.settings.webhooks import WebhookSettings

_GONE: Final = 410


class NotTakenError(Exception):
    """An endpoint did not take a message; `for_good`: it never will."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class _Allowed(AbstractResolver):
    """Resolves names to the addresses among them that are allowed."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """As AbstractResolver.resolve. Raises OSError where none is allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        allowed = [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=0)
            for kind, _, proto, _, address in found
            if is_within(str(address[0]), self._networks)
        ]
        if not allowed:
            raise OSError(None, "its address is not one of those that are allowed")
        return allowed

    async def close(self) -> None:
        """Nothing is held."""


class Sender:
    """An endpoint's connections."""

    def __init__(self, settings: WebhookSettings, root: Path) -> None:
        """`root`: the station's folder, which `ca` is relative to."""
        self._settings, self._root = settings, root
        self._networks = parse_networks(settings.addresses)

    async def send(self, body: bytes, headers: dict[str, str]) -> None:
        """One attempt. Raises NotTakenError."""
        url = self._settings.url
        host = urlsplit(url).hostname or ""
        if _is_address(host) and not is_within(host, self._networks):  # of such a name aiohttp asks no resolver
            raise NotTakenError("its address is not one of those that are allowed")
        context: Any = await asyncio.to_thread(self._context) if url.startswith("https:") else True
        connector = aiohttp.TCPConnector(resolver=_Allowed(self._networks), ssl=context, force_close=True)
        timeout = aiohttp.ClientTimeout(total=limits.WEBHOOK_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            raise NotTakenError(f"no answer in {limits.WEBHOOK_TIMEOUT:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTakenError(str(error)[:300] or type(error).__name__) from None
        if not 200 <= status < 300:
            raise NotTakenError(f"it answered {status}", for_good=status == _GONE)

    def _context(self) -> ssl.SSLContext:
        """Raises NotTakenError where the authorities cannot be read."""
        ca = self._settings.ca
        try:
            return ssl.create_default_context(cafile=str(self._root / ca) if ca else None)
        except (OSError, ssl.SSLError) as error:
            raise NotTakenError(f"its authorities cannot be read: {error}") from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
