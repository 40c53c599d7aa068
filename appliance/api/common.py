"""What the shapes of every subject share."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
Wider = TypeVar("Wider", bound="Shape")


class Shape(msgspec.Struct, frozen=True):
    """Part of an answer of the control API.

    A route sends every field, but for those that may be `UNSET`. A default is what a client takes where a station of an
    earlier version does not send the field; a client ignores fields that it does not know.
    """


def widened(shape: Shape, into: type[Wider], *others: Shape, **more: object) -> Wider:
    """A shape of more fields, made of those of `shape` and `others`, and of `more`."""
    fields: dict[str, object] = {}
    for one in (shape, *others):
        fields |= msgspec.structs.asdict(one)
    return into(**fields | more)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list: `next` is the cursor of what follows, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


class Empty(Shape, frozen=True, kw_only=True):
    """An answer without content: the request was done."""


class Probe(Shape, frozen=True, kw_only=True):
    """GET /readyz and /healthz: `ready`, `degraded` or `not ready`, and the codes of what is wrong."""

    status: str
    codes: tuple[str, ...] = ()


class Payload(Shape, frozen=True, kw_only=True):
    """The exact bytes that a person is to sign, in base64."""

    payload: str
