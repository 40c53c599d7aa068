"""Ceilings of transfer hosts (SFTP) and drop folders."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

# Transfer hosts.

TRANSFER_HOSTS: Final = 32
"""Transfer hosts of one config.toml: a site has a handful of ways out."""

SFTP_PARALLEL: Final = 8
"""Files that a transfer carries at once. sshd takes ten sessions that are not logged in (MaxStartups), and more streams
are no faster."""

SFTP_JUMPS: Final = 3
"""Hosts that one is reached through, one behind the other."""

SFTP_NAMES: Final = 4096
"""Names that are read of a folder of a transfer host: whoever holds it can make them without end."""

SFTP_ANSWER: Final = 512 * 1024
"""Bytes of one answer of a transfer host: OpenSSH's are 256 KiB at most (sftp-common.h, SFTP_MAX_MSG_LENGTH). Eight are
under way for each of the files that are carried at once."""

SFTP_ATTEMPTS: Final = 8
"""Connections that a transfer tries without a byte arriving, before it gives up: a minute in all."""

SFTP_TIMEOUT: Final = 60.0
"""Seconds without a byte from a transfer host after which the connection counts as cut."""

SFTP_SECRET: Final = 64 * 1024
"""A private key, a certificate, or a password."""

# Drop folders.

DROP_FOLDERS: Final = 8
"""Drop folders of one config.toml."""

DROP_LOOK: Final = 2.0
"""Seconds between two looks at the drop folders; a bundle is begun at the second look that finds it whole."""

DROP_NAMES: Final = 4096
"""Names that are looked at in a drop folder: anybody may fill it."""

DROP_BUNDLES: Final = 64
"""Bundles of a drop folder that are looked into, the first by name: the others wait until these are taken away."""

DROP_AT_ONCE: Final = 4
"""Imports of one drop folder that have not ended: the others' have their turn beside them."""

DROP_RATE: Final = (0.1, 64)
"""Imports that a drop folder begins a second in the long run, and at once: whoever fills it may change its files
without end, and each import stands in the audit log."""

DROP_STATE: Final = MIB
"""What is kept of the imports that were begun from drop folders."""
