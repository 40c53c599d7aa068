"""Ceilings of inspection reports, decisions, custody records and receipts."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

BUNDLE_NAMED: Final = 2_000_000
BUNDLE_ANNOTATIONS: Final = 32 * MIB
"""What the manifests of one bundle may name, and what their annotations may hold: all of them are in memory while a
bundle is inspected or released."""

REPORT_LIST: Final = 10_000
"""Entries in one list of a report; four full lists stay below the 16 MiB of a signed document. What is left out is
counted beside it."""

REASON: Final = 2_000
"""Characters of the reason for a decision; it stands in the ledger and on the form that is printed of it."""

FINDINGS_KEPT: Final = 16 * MIB
"""Characters of findings that one inspection keeps for the next; the layers beyond are looked through again."""

SBOM_TOOLS: Final = 256
SBOM_TOOLS_SIZE: Final = 512 * MIB
"""SBOMs, and bytes of them, that one inspection reads to say which programs made them: about two seconds."""

SBOM_COMPONENT: Final = 300
"""Characters of a component that are listed: a package's name and version have some dozens."""

SBOM_CHANGES: Final = 1_000
"""Components that are listed as added to one image, or removed from it; beyond that nobody reads a list."""

DIFFERENCES_SIZE: Final = 4 * MIB
"""Characters of what is listed of all moved tags together: a report has 16 MiB for all its sections."""

DIFFERENCES_TIME: Final = 600.0
"""Comparing SBOMs of all moved tags. A real one of 10 MiB takes half a second; many tags may share one made to be
slow."""

BREAK_GLASS_ALERT: Final = 7 * 24 * 60 * 60
"""How long an opened sealed key stands among the alerts: until everybody's next shift."""

RECEIPT_CUSTODY: Final = 1_000
"""Bundles whose custody one receipt tells, the latest: some three megabytes of the 16 of a signed document."""

RECEIPTS_PINNED: Final = 8
"""Receipts whose blobs are kept at once, where no bundle shows which of them the outside works with."""

LEFTOVERS_WAIT: Final = 30.0
"""How long a refused import waits for other imports and collects, to take away what it brought: they take minutes, and
a collection takes what it leaves."""
