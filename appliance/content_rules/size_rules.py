"""Rules about size: large layers, caches of package managers, and what a later layer takes away again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from appliance.content_rules.rule import Finding, ImageFacts, Outline, Rule, Severity
from bundles.io.display import some

_CACHES: Final[tuple[tuple[str, str], ...]] = (
    ("apt", "var/cache/apt/"), ("apt", "var/lib/apt/lists/"), ("apk", "var/cache/apk/"), ("apk", "etc/apk/cache/"),
    ("dnf", "var/cache/dnf/"), ("dnf", "var/cache/libdnf5/"), ("yum", "var/cache/yum/"), ("zypper", "var/cache/zypp/"),
)  # fmt: skip
_HOME_CACHES: Final = (
    ("pip", "/.cache/pip/"), ("npm", "/.npm/_cacache/"), ("yarn", "/.cache/yarn/"), ("go", "/.cache/go-build/"),
    ("uv", "/.cache/uv/"), ("cargo", "/.cargo/registry/"),
)  # fmt: skip
_MIB: Final = 1024 * 1024


class Least(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mib`: so many MiB and more are a finding."""

    mib: int = 1


class LargeLeast(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mib`: a layer of more MiB, unpacked, is a finding."""

    mib: int = 1024


def cache_of(path: str) -> str:
    """The package manager whose cache a file is in, "" for none."""
    for name, folder in _CACHES:
        if path.startswith(folder):
            return name
    if "/." in path:
        rooted = f"/{path}"
        for name, folder in _HOME_CACHES:
            if folder in rooted:
                return name
    return ""


class LargeLayer(Rule):
    """Layers that are larger than anybody wants to carry."""

    id: ClassVar[str] = "large-layer"
    message: ClassVar[str] = "a large layer"
    remedy: ClassVar[str] = "build it in several, or leave out what is not needed; or raise the rule's mib"
    severity: ClassVar[Severity] = "low"
    Settings: ClassVar[type[msgspec.Struct]] = LargeLeast

    def layer(self, outline: Outline) -> Iterator[Finding]:
        if outline.bytes > self.settings.mib * _MIB:
            yield Finding("", f"{outline.bytes} bytes unpacked, in {some(outline.files, 'file')}", outline.bytes)


class PackageCache(Rule):
    """What package managers keep for the next time, of which there is none in an image."""

    id: ClassVar[str] = "package-cache"
    message: ClassVar[str] = "the cache of a package manager"
    remedy: ClassVar[str] = "empty it in the step of the build that fills it"
    severity: ClassVar[Severity] = "low"
    Settings: ClassVar[type[msgspec.Struct]] = Least

    def layer(self, outline: Outline) -> Iterator[Finding]:
        for name, size in sorted(outline.caches.items()):
            if size >= self.settings.mib * _MIB:
                yield Finding("", f"of {name}: {size} bytes can be saved", size)


class DeletedFiles(Rule):
    """Files that a later layer takes away: nobody sees them, and everybody carries them."""

    id: ClassVar[str] = "deleted-files"
    message: ClassVar[str] = "files that a later layer takes away"
    remedy: ClassVar[str] = "take them away in the step of the build that makes them"
    severity: ClassVar[Severity] = "low"
    Settings: ClassVar[type[msgspec.Struct]] = Least

    def image(self, image: ImageFacts) -> Iterator[Finding]:
        saved, first, count = 0, "", 0
        gone, opaque = set[str](), set[str]()
        for outline in reversed(image.layers):
            if outline is None:
                continue
            for path, size in outline.large:
                if _is_gone(path, gone, opaque):
                    saved, count, first = saved + size, count + 1, first or path
            gone |= set(outline.whiteouts)
            opaque |= set(outline.opaque)
        if saved >= self.settings.mib * _MIB:
            yield Finding(first, f"{some(count, 'large file')}: at least {saved} bytes can be saved", saved)


def _is_gone(path: str, gone: set[str], opaque: set[str]) -> bool:
    if path in gone:
        return True
    folder = path
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if folder in gone or folder in opaque:
            return True
    return "" in opaque
