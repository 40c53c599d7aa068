"""Which platforms are taken of an index: `os/architecture[/variant]`, as clients name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import collecting as limits
from bundles.errors import NotFoundError, UsageError
from bundles.oci.descriptor import Descriptor, Platform, is_platform
from bundles.oci.manifest import MANIFEST_TYPES, Manifest

BUILDKIT_SUBJECT: Final = "vnd.docker.reference.digest"
"""The annotation by which BuildKit says in the index what an attestation manifest speaks of."""

_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7"}
"""What an architecture without a variant is (containerd, platforms: Normalize)."""


def check_platforms(value: Any) -> tuple[str, ...]:
    """A list of platforms, each once. Raises UsageError whose `thing` names the wrong one."""
    if value is None:
        return ()
    listed = value if isinstance(value, list | tuple) else [value]
    if len(listed) > limits.COLLECT_PLATFORMS:
        raise UsageError("too many platforms", thing=str(len(listed)), remedy=f"at most {limits.COLLECT_PLATFORMS}")
    for one in listed:
        if not isinstance(one, str) or not is_platform(one) or "/" not in one:
            raise UsageError("not a platform", thing=repr(one)[:80], remedy="write linux/amd64, or linux/arm64/v8")
    return tuple(dict.fromkeys(listed))


@dataclass(frozen=True, slots=True)
class Split:
    """What is taken of an index and what is left out."""

    taken: tuple[Descriptor, ...]
    left: tuple[Descriptor, ...]


class Wanted:
    """The platforms that are wanted of one artifact, over all its indexes; none of them: all."""

    def __init__(self, platforms: Sequence[str]) -> None:
        self._wanted = platforms
        self._met: set[str] = set()
        self._left: dict[str, None] = {}

    def split(self, manifest: Manifest) -> Split:
        """As `split`; what an index has is remembered."""
        found = split(manifest, self._wanted)
        there = [child.platform for child in found.taken if child.platform is not None]
        self._met |= {one for one in self._wanted if any(_fits(one, platform) for platform in there)}
        self._left |= {
            str(child.platform): None for child in found.left
            if child.platform is not None and BUILDKIT_SUBJECT not in child.annotations
        }  # fmt: skip
        return found

    def lacking(self, thing: str) -> list[str]:
        """The wanted platforms that `thing` does not have, where it has any index of platforms. Raises NotFoundError
        where it has none of them."""
        if self._left and not self._met:
            raise NotFoundError(
                f"the index has no {', '.join(self._wanted)}", thing=thing,
                remedy=f"it has {', '.join(sorted(self._left))[:300]}",
            )  # fmt: skip
        return [one for one in self._wanted if one not in self._met] if self._left or self._met else []

    def left_out(self) -> list[str]:
        """The platforms that are left out, sorted."""
        return sorted(self._left)


def split(manifest: Manifest, wanted: Sequence[str]) -> Split:
    """An index's manifests by the platforms that are wanted; none of these: all of them. What has no platform is taken;
    what speaks of an image, as BuildKit attaches it in the index, goes with that."""
    children = [child for child in manifest.manifests if child.media_type in MANIFEST_TYPES]
    if not wanted:
        return Split(tuple(children), ())
    taken, left, beside = list[Descriptor](), list[Descriptor](), list[Descriptor]()
    for child in children:
        if BUILDKIT_SUBJECT in child.annotations:
            beside.append(child)
        elif child.platform is None or any(_fits(one, child.platform) for one in wanted):
            taken.append(child)
        else:
            left.append(child)
    gone = {str(child.digest) for child in left} - {str(child.digest) for child in taken}
    for child in beside:
        (left if child.annotations[BUILDKIT_SUBJECT] in gone else taken).append(child)
    kept = {child.digest for child in taken}
    return Split(tuple(taken), tuple(child for child in left if child.digest not in kept))


def _fits(wanted: str, platform: Platform) -> bool:
    """Whether a platform is meant: without a variant every variant is, and an architecture's default is none."""
    os, architecture, *variant = wanted.split("/")
    if (os, architecture) != (platform.os, platform.architecture):
        return False
    return not variant or variant[0] == (platform.variant or _DEFAULT_VARIANTS.get(architecture, ""))
