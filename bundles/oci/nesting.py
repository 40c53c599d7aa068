"""How deep indexes are nested: a bound that holds along every path, whichever way somebody walks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bundles import limits
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest


def manifests_of(manifest: Manifest) -> list[Digest]:
    """The manifests that an index names; none for another manifest."""
    return [child.digest for child in manifest.manifests if child.media_type in MANIFEST_TYPES]


def check_nesting(children: Mapping[Digest, Sequence[Digest]]) -> None:
    """Require that no chain of indexes has more than limits.INDEX_DEPTH steps. `children` are the manifests that each
    index names; what is no key names none. Raises RefusedError naming an index at the top of a longer chain.

    A level at a time from the bottom, so that a manifest that is reached along several paths counts with the longest.
    The work grows with that depth times the number of names.
    """
    most = limits.INDEX_DEPTH
    left = {index for index, named in children.items() if named}
    for _ in range(most):
        if not left:
            return
        left = {index for index in left if any(child in left for child in children[index])}
    if left:
        raise RefusedError(
            "indexes are nested too deep",
            thing=str(min(left, key=str)),
            remedy=f"at most {most} levels; ask for the image itself",
        )
