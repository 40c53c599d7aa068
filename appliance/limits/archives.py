"""Ceilings of reading layers, archives, tables of contents and configurations."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# Configurations and documents.

CONFIG_READ: Final = MIB
"""An image's configuration is read up to here; real ones are a few KiB."""

CONFIG_NODES: Final = 100_000
"""JSON values and keys in an image's configuration, which has a few hundred (bundles.limits, Nodes)."""

TEXT_READ: Final = 64 * MIB
"""A document (a configuration, an SBOM, a signature) is read up to here to see that it is text."""

# Layers and archives.

LAYER_ENTRIES: Final = 2_000_000
"""Entries of one layer; a whole distribution has a few hundred thousand."""

LAYER_NAME: Final = MIB
"""A name or a pax header in a layer."""

LAYER_PATH: Final = 4_096
"""Characters of a name or a link's target that is resolved, part by part: no Linux system makes a longer one (PATH_MAX,
path_resolution(7)). A longer one is a finding, and is not taken apart: that grows with the square of its length."""

ARCHIVE_ENTRIES: Final = 100_000
"""Entries of an archive that `collect` reads: three for each layer, of many images."""

LAYER_EXTENDED: Final = 8
"""Extended headers before one entry, each up to `LAYER_NAME`; tar writes three at most."""

LAYER_LEAD: Final = 64 * KIB
"""How far into a blob the first header of an archive is looked for. GNU tar skips what is no header; Go's does not."""

LAYER_RATIO: Final = 200
LAYER_FLOOR: Final = 256 * MIB
LAYER_BYTES: Final = 64 * 1024 * MIB
"""How far a layer may grow: by what real ones do tenfold, at least the floor (sparse files), never past the last."""

LAYER_WRAPPERS: Final = 3
"""Compressions around one another. Runtimes take off two at most: the copy one, the store of layers another."""

LAYER_WINDOW: Final = 128 * MIB
"""What a decoder of zstd or xz may hold: `zstd --ultra -22` and `xz -9` need 128 and 65 MiB. Beside it a job keeps
below its 300 MiB."""

LAYER_WINDOW_EACH: Final = 16 * MIB
"""A larger window than this is given to one layer at a time; what runtimes write has 8 MiB at most."""

LAYER_WINDOW_NESTED: Final = 8 * MIB
"""The same inside another compression (RFC 8878, section 3.1.1.1.2 recommends 8 MiB)."""

LAYERS_TIME: Final = 1_800.0
"""All layers of a bundle; at 200 MB/s this is 360 GB. Who sends more than that to be looked at keeps people waiting."""

# Tables of contents (zstd:chunked).

LAYER_FRAMES: Final = 16
"""Skippable frames of a layer that could hold something; zstd:chunked writes three."""

LAYER_TABLES: Final = 4
"""Tables of contents in one layer, each of which is compared with the whole archive; runtimes read one."""

LAYER_TABLE: Final = 150 * MIB
"""A table of contents, decompressed; containers/storage takes no larger one (pkg/chunked, maxTocSize). It is read
piece by piece."""

LAYER_WINDOW_TABLE: Final = 32 * MIB
"""What a decoder may hold while a table of contents is compared, when two are at work. What writes zstd:chunked in Go
(klauspost/compress) has windows of 32 MiB at most."""

LAYER_TABLE_ENTRY: Final = 256 * KIB
"""One entry of a table of contents, or one segment of tar-split; extended attributes of a file have 64 KiB each."""

LAYER_CHUNKS: Final = 100_000
"""Chunks that a table of contents lists of one file: 6 GB at the 64 KiB that are usual. They are held together, at
about 300 bytes each."""

# 7z archives.

SEVEN_ZIP_HELD: Final = 8 * MIB
"""What is held of one entry of a 7z archive, to be looked into."""

SEVEN_ZIP_WINDOW: Final = 64 * MIB
"""What its decoder may hold: `7z -mx=9` takes 64 MiB. One archive is read at a time."""

SEVEN_ZIP_HEADER: Final = 4 * MIB
"""The end header as it is stored."""

SEVEN_ZIP_HEADER_UNPACKED: Final = 32 * MIB
"""What a compressed one may unpack to: some 200,000 entries, since each has its name in UTF-16."""

SEVEN_ZIP_LISTED: Final = 50
"""Names of one archive, and archives, that a report lists."""

SEVEN_ZIP_DEPTH: Final = 3
"""7z archives inside one another that are looked into."""

# Findings.

FINDINGS: Final = 2_000
FINDINGS_SIZE: Final = 512 * KIB
"""Findings listed for one rule, by number and by characters; ten full rules stay below the 16 MiB of a report. What
comes beyond is counted, and that it was cut is a finding that fails. Real layers have some dozens of setuid files."""

ABSOLUTE_LINKS: Final = 20_000
"""Absolute symbolic links of one archive that are remembered while it is looked through: real layers have some
hundreds, and so many take a few MiB."""

LINK_TEXT: Final = 8 * MIB
"""Characters of links' names and targets that are remembered with them: 20,000 links of 4 KiB would take 160 MiB."""

FINDING_PATH: Final = 300
"""Characters of a path or target in a finding."""

# Files of a layer that are listed to people.

LISTING_TIME: Final = 30.0
"""Seconds for one layer's files to be listed to people: some gigabytes of a packed layer."""

LISTING_FILES: Final = 20_000
"""Files of a layer that are listed at once; a filter finds the others."""

LISTING_PATH: Final = 1_024
"""Characters of a path or of a link's target in a listing."""

LISTINGS: Final = 2
"""Layers that are listed at once: each keeps a processor busy."""
