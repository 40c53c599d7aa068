"""The remedy of a common mistake: a bundle for an inside is imported on an outside station."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from appliance.jobs.kinds import JobContext
from bundles.errors import LockgateError, RefusedError
from bundles.io.files import scan

_BUNDLE: Final = re.compile(r"[a-z0-9-]{1,32}\.(?P<site>[a-z0-9-]{1,32})-[0-9]{6}\Z")
"""The name of a bundle's folder, with the site that it is for."""


def wrong_side(context: JobContext, paths: Sequence[str], error: RefusedError) -> RefusedError:
    """The refusal, with the remedy of a common mistake: a bundle for an inside, on an outside. Folders' names, which
    anybody may have chosen, decide about that hint alone."""
    config = context.station.config
    if config.side != "outside":
        return error
    for path in map(context.path, paths):
        names = [path.name]
        with suppress(LockgateError, OSError):
            names += [entry.name for entry in scan(path)]
        for match in filter(None, map(_BUNDLE.match, names)):
            if match["site"] != config.site:
                remedy = f"this is the outside station {config.site}: import it on the inside station {match['site']}"
                return RefusedError(error.what, thing=error.thing, remedy=remedy)
    return error
