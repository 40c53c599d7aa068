"""What the double answers to the further screens: its modules are asked in turn."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from bundles.errors import NotFoundError
from tests.console.doubles.state import DemoState

T = TypeVar("T")
_MODULES = tuple(
    f"tests.console.doubles.{name}"
    for name in (
        "accounts",
        "activity",
        "approvals",
        "audit",
        "blocks",
        "channels",
        "deltas",
        "layers",
        "period",
        "policy",
        "replicas",
        "signatures",
        "station_folder",
    )
)


def answer(station: DemoState, shape: type[T], path: str, arguments: Mapping[str, Any]) -> T:
    """The first answer of a further screen's demo module, as the shape that was asked for.

    Raises NotFoundError where no module knows the path, and what the module itself raises.
    """
    for name in _MODULES:
        found = import_module(name).answer(station, path, arguments)
        if found is not None:
            return msgspec.convert(found, shape, from_attributes=True)
    raise NotFoundError("the demo has no answer", thing=path, remedy="look at a station's own console")
