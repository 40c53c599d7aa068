"""Ceilings of verifying images' signatures, for reports, releases and pulls."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

SIGNATURES_SIZE: Final = 2 * MIB
"""Characters of what a report lists of all images' signatures together: some ten thousand lines."""

SIGNATURES_TIME: Final = 300.0
"""Verifying the signatures of all images of a bundle. One takes about a tenth of a millisecond for each pinned key; of
an image `IMAGE_SIGNATURES` are looked at, and a bundle may name a hundred thousand images."""

SIGNATURE_TEXT: Final = 200
"""Characters of one text about a signature that came with it: a certificate's subject, a predicate type."""

SIGNED_IMAGES: Final = 256
"""Manifests of one index whose signatures are looked at together: public images have some dozens of platforms."""

SIGNATURES_READ: Final = 128 * MIB
"""Bytes of manifests and documents that are read to answer who signed one reference: JSON is parsed at some 15 MiB a
second. One image alone cannot need it: 33 carriers of `CARRIER`, 256 referrers of `UNNAMED_CARRIER`, and
`IMAGE_SIGNATURES_SIZE` of documents are 73 MiB, and four manifests at their ceiling 16."""

RELEASE_SIGNATURES_TIME: Final = 120.0
"""Seconds in which the signatures of what one release shows are verified, for the policy for images: a thousand images
of a few signatures take some. Who waits for the release is told to release less at a time."""

SIGNATURE_REFERRERS: Final = 256
"""Referrers of an image among which its signatures are looked for: SBOMs and scan results stand among them."""

POLICY_LOOKED_AT: Final = 5.0
"""How often the control process looks at the files of the policy for images and of the pinned keys, for its health."""

# Pulls.

PULL_POLICY_LOOK: Final = 0.5
"""Seconds between two looks of a worker at the files of the policy for images and of the pinned keys. An act on them is
noticed by the next pull (appliance.store.epoch); a file that somebody changes by hand by this look."""

PULL_FAULT_RETRY: Final = 30.0
"""Seconds until a worker tries again to read a policy for images that could not be read, though no file changed: the
whole audit log is read for it."""

PULL_VERDICT_KEPT: Final = 60.0
"""Seconds for which a verdict about a pull counts at most: certificates expire, and nothing else says so."""

PULL_OBJECTION_KEPT: Final = 5.0
"""As PULL_VERDICT_KEPT, where something is lacking: a file may be whole again, and nothing else says so."""

PULL_VERDICTS: Final = 20_000
"""Verdicts that a worker keeps; about half a kilobyte each."""

PULL_NAMED: Final = 50_000
"""Digests of which a worker remembers manifests that name them."""

PULL_NAMING: Final = 4
"""Manifests that are remembered for each of them."""

PULL_SEARCHED: Final = 20_000
"""Manifests of a repository that are read to find those that name a blob or an image; some 50 µs each."""

PULL_SEARCHED_SIZE: Final = 128 * MIB
"""Bytes of manifests that are read for that."""

PULL_JUDGED: Final = 2_000
"""Manifests that name it, and that are held against the policy until one satisfies it; one without signatures takes
some 0.3 ms."""
