"""Ceilings of `lockgate doctor`."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB

CLAMD_CONFIGURATION: Final = 256 * KIB
"""Of clamd.conf, Debian's with all its comments is 3 KiB."""

DOCTOR_LOOK: Final = 30.0
"""Seconds in which `doctor` looks at everything; what has not answered by then was not checked."""

DOCTOR_SIGNATURES: Final = 1
"""Days before an engine's signatures are too old, from which on `doctor` says so."""

DOCTOR_ADVISORIES: Final = 30
"""Days after which `doctor` calls advisories old. How old they may be, a gate says (advisories_days)."""

DOCTOR_FOLDERS: Final = 1_000
"""Folders of keys that `doctor` looks through; a station has two."""
