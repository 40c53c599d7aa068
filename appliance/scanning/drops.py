"""What takes away the rows of loads of advisories that count no more."""

from __future__ import annotations

from typing import Final

from appliance.store.writes.advisories import DropAdvisories
from appliance.store.writes.exploitation import DropExploitation
from appliance.store.writes.news import DropNews

DROPS: Final = (DropAdvisories(), DropExploitation(), DropNews())
"""Writes to submit, each until its result says that there is nothing left."""
