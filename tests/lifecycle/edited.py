"""The database of a station as tests of its checks see it and change it behind its back."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from appliance.control.health import checks
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.lifecycle.conftest import Kept


@contextlib.contextmanager
def edited(kept: Kept) -> Iterator[sqlite3.Connection]:
    """The database, changed behind the station's back."""
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
        yield database
        database.commit()


def metadata_check(kept: Kept) -> dict[str, Any]:
    return next(each for each in checks(kept.inside.station) if each["name"] == "metadata")


def two_images(kept: Kept) -> tuple[Digest, Digest]:
    """v1 and v2 in team/app, and other in team/apq."""
    first, second = image(), image()
    digests = first.push(kept.server, "team/app", "v1"), second.push(kept.server, "team/app", "v2")
    first.push(kept.server, "team/apq", "other")
    return digests
