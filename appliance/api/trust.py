"""Pinned keys and the rules for them, and the station's own keys."""

from __future__ import annotations

from appliance.api.common import Shape


class Revoked(Shape, frozen=True, kw_only=True):
    """When and why a key was revoked."""

    at: str
    why: str


class TrustedKey(Shape, frozen=True, kw_only=True):
    """A pinned key, whose it is and what it is trusted for."""

    keyid: str
    purposes: tuple[str, ...]
    owner: str
    sites: tuple[str, ...] = ()
    algorithm: str
    not_before: str | None = None
    not_after: str | None = None
    revoked: Revoked | None = None
    fingerprint: str


class TrustRule(Shape, frozen=True, kw_only=True):
    """What is demanded beyond one good signature, for a purpose from a site (empty: any)."""

    purpose: str
    site: str = ""
    signers: int = 1
    algorithms: tuple[str, ...] = ()
    gaps: bool = False
    silence_days: int = 0


class OwnKey(Shape, frozen=True, kw_only=True):
    """A private key of the station's folder, by name; its secret half never leaves that folder's owner. With `station`
    the station itself signs, and no person."""

    name: str
    keyid: str
    algorithm: str
    encrypted: bool
    station: bool = False
