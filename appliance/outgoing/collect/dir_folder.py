"""A folder as `skopeo copy … dir:DIR` writes it (containers-transports(5), dir) as an image layout of one image.

manifest.json in it is the image's manifest or index, as the registry had it. Another manifest is `HEX.manifest.json`,
any other blob is `HEX`, the hex of its digest. The folder gives its image no name.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from bundles import limits
from bundles.errors import MalformedError, UsageError
from bundles.format.oci_layout import Layout
from bundles.io.files import open_regular, read_small
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

MANIFEST: Final = "manifest.json"
_VERSION_FILE: Final = "version"
_VERSIONS: Final = b"Directory Transport Version: 1."


class DirFolder(Layout):
    """What stands in such a folder, under the names that a layout has. Links are not followed."""

    form: ClassVar[str] = "dir"

    def __init__(self, root: Path) -> None:
        """Raises UsageError where `root` is no such folder, MalformedError where its manifest is none."""
        self.root = root
        if not (root / MANIFEST).is_file():
            raise UsageError(
                "not a folder as skopeo's dir: writes it",
                thing=str(root),
                remedy=f"it must hold {MANIFEST}; an OCI image layout is oci:{root}",
            )
        if (root / _VERSION_FILE).is_file():
            version = read_small(root / _VERSION_FILE, limits.OCI_MANIFEST)
            if not version.startswith(_VERSIONS):
                raise MalformedError(
                    "a dir: folder of another version",
                    thing=f"{root}: {version[:60]!r}",
                    remedy="version 1 is read: copy the image again with a skopeo that writes it",
                )
        self._raw = read_small(root / MANIFEST, limits.OCI_MANIFEST)
        try:
            media_type = parse_manifest(self._raw).media_type
        except MalformedError as error:
            raise MalformedError(
                f"its {MANIFEST} is no image's manifest ({error.what})"[:200], thing=str(root),
                remedy="copy the image again: skopeo copy … dir:DIR",
            ) from None  # fmt: skip
        self._image = Descriptor(media_type, Digest.of(self._raw), len(self._raw))

    def entries(self) -> list[tuple[str | None, Descriptor]]:
        """As Layout.entries: the one image, without a name."""
        return [(None, self._image)]

    def read_small(self, name: str, ceiling: int) -> bytes:
        """As Layout.read_small."""
        return read_small(self.root / name, ceiling)

    def open_file(self, name: str) -> BinaryIO | None:
        """As Layout.open_file, for `blobs/ALGORITHM/HEX`."""
        _, algorithm, hexdigits = name.split("/")
        if (algorithm, hexdigits) == (self._image.digest.algorithm, self._image.digest.hex):
            return io.BytesIO(self._raw)
        for place in (hexdigits, f"{hexdigits}.{MANIFEST}", f"{algorithm}-{hexdigits}"):
            if (path := self.root / place).exists():
                return os.fdopen(open_regular(path), "rb")
        return None
