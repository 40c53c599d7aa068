"""Collects from small registries on loopback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from appliance.jobs.kinds import PartlyDoneError
from appliance.outgoing.collect import job as collect
from bundles.limits import MIB
from tests.outgoing.outside import Context, Outside

LAYER = os.urandom(3 * MIB)


def run(outside: Outside, *entries: dict[str, Any], **params: Any) -> tuple[dict[str, Any], Context]:
    context = outside.context("collect", {"sources": list(entries), **params})
    return outside.run(context, collect.run), context


def failing(outside: Outside, *entries: dict[str, Any]) -> tuple[PartlyDoneError, Context]:
    context = outside.context("collect", {"sources": list(entries)})
    with pytest.raises(PartlyDoneError) as caught:
        outside.run(context, collect.run)
    return caught.value, context


def partials(outside: Outside) -> list[Path]:
    folder = outside.station.paths.partials
    return sorted(folder.iterdir()) if folder.is_dir() else []


SMALL = b"a small layer"
