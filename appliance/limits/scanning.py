"""Ceilings of advisories, and of the packages that they are held against."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

# Advisories, exploited vulnerabilities, VEX and EPSS.

ADVISORY_RECORD: Final = 8 * MIB
"""One record: the longest real ones list every version of a kernel, and take under one MiB."""

ADVISORY_NODES: Final = 200_000
"""JSON values and keys of a record: the longest real ones have some ten thousand."""

ADVISORY_IDS: Final = 500_000
"""Ids of a record times the packages that it names: each package is found by each id. Kernel updates of distributions
name some hundred vulnerabilities and some hundred packages."""

ADVISORY_ID: Final = 128
"""Characters of an id or an alias; real ones have under 40."""

ADVISORY_NAME: Final = 512
"""Characters of a package's name or a CVSS vector; real ones have under 200."""

ADVISORY_VERSION: Final = 256
"""Characters of a version that is compared. Comparing takes time in the square of it with some ecosystems."""

ADVISORY_SUMMARY: Final = 200
"""Characters of a record's summary that are kept."""

ADVISORY_EXPORT: Final = 2 * 1024 * MIB
"""An export as a file: Debian's full one has 40,000 records in 60 MiB."""

ADVISORY_RECORDS: Final = 1_000_000
"""Records of one load: all of OSV has about 700,000."""

ADVISORY_BATCH: Final = 500
ADVISORY_BATCH_SIZE: Final = 4 * MIB
"""Records, and bytes of them, in one write: a load holds up nobody else's writes for longer than some milliseconds."""

ADVISORY_DROP: Final = 2_000
"""Rows of an earlier load that one write takes away, for the same reason."""

ADVISORY_NAMED: Final = 100
"""Malformed records that a load names; all of them are counted."""

ADVISORY_AHEAD: Final = 24 * 60 * 60
"""Seconds that a record's time may be ahead of the station's clock before it says nothing of the export's date: a date
far ahead would make every later export an older one."""

ADVISORY_SHRINK: Final = 2
"""An export with less than one record in so many of those held is taken for a part of one."""

KEV_CATALOGUE: Final = 16 * MIB
KEV_NODES: Final = 500_000
"""CISA's catalogue as a file, and its JSON values and keys: 1,500 entries take 1.3 MiB and some 40,000 values."""

VEX_DOCUMENT: Final = 32 * MIB
VEX_NODES: Final = 400_000
"""One VEX document as a file, and its JSON values and keys: vendors' documents about one vulnerability in all of their
products take some MiB."""

VEX_TEXT: Final = 2048
"""Characters of an id, a name or a package URL of a VEX document."""

VEX_ROWS: Final = 200_000
"""Combinations of a vulnerability's names, products and subcomponents of one document: they multiply."""

EPSS_SIZE: Final = 128 * MIB
EPSS_ROWS: Final = 2_000_000
EPSS_LINE: Final = 200
"""EPSS scores as a file, unpacked: 300,000 rows of some 35 bytes each take 10 MiB."""

EPSS_BATCH: Final = 2_000
"""Scores in one write, some milliseconds of the writer's time."""

EPSS_DROP: Final = 10_000
"""Scores of an earlier load that one write takes away: it passes over those that count first."""

# New findings.

NEWS_BATCH: Final = 2_000
NEWS_DROP: Final = 10_000
"""New findings, or images with them, in one write, and those of an earlier load that one write takes away."""

NEWS_OWNERS: Final = 20_000
"""Packages of distributions that own others' files and whose advisories are kept while a load is held against all."""

# The index of packages.

SBOM_PACKAGES: Final = 20_000
"""Packages of one SBOM in the index: large images have some thousand. One write holds them, about a second of the
writer's time at the ceiling."""

PACKAGE_TEXT: Final = 2048
"""Characters of a package URL, a name, a version or a path in the index."""

SCAN_INDEXED: Final = 200
"""SBOMs that one question brings into the index before it is answered; the rest is done by the next ones."""

SCAN_INDEX_TIME: Final = 2.0
"""Seconds that such a question may spend on it: an SBOM at its ceilings takes about one."""

CARRIED_LAYERS: Final = 64
"""Documents of one manifest of attestations that are looked into for SBOMs."""

SCAN_INDEX_EVERY: Final = 30.0
"""Seconds between two looks whether there are SBOMs to index: a release of a thousand images is indexed before anybody
has read its report."""

SCAN_FORGOTTEN: Final = 20
"""Images that nothing shows any more and that one write takes out of the index: each has some hundred rows."""

SCAN_FOUND: Final = 10_000
"""Artifacts that one answer about a vulnerability or a package names."""

SCAN_IMAGES: Final = 1_000
"""Images of one reference: an index of all platforms and variants has some dozens."""

# Scans of pushed images.

PUSH_SCAN_EVERY: Final = 5.0
"""Seconds between two looks whether images came in that have no SBOM; nothing is read where nothing was written."""

PUSH_SCAN_AGAIN: Final = 300.0
"""Seconds after a scan of these that failed as a whole: syft is missing, or the disk is nearly full."""

PUSH_SCAN_IMAGES: Final = 16
"""Images of one such scan, so that other jobs have their turn between two of them."""
