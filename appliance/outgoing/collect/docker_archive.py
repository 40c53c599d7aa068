"""An archive as `docker save` and `podman save` write it (Docker Image Specification v1.2, Combined Image JSON +
Filesystem Changeset Format) as a source: its images as OCI images.

manifest.json in it lists configurations, layers and names. The OCI manifest made of them is the same whenever the
archive is. A layer is held against the configuration's diff_ids, unpacked where it is compressed.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from appliance.archives.unpacking import Members, Stream, compression_of
from appliance.limits import archives as archives_limits
from appliance.outgoing.collect.names import docker_name
from appliance.outgoing.collect.sources import Root, chunks
from appliance.outgoing.collect.tar_files import TarFiles
from bundles import limits
from bundles.errors import FailedError, LockgateError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from bundles.oci.reference import Reference

_MANIFEST: Final = "manifest.json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_COMPRESSIONS: Final = {"": "", "gzip": "+gzip", "zstd": "+zstd"}
_HEX: Final = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?\Z")
"""The digest in a configuration's name: `<hex>.json`, or `blobs/sha256/<hex>`."""


@dataclass(frozen=True, slots=True)
class _Image:
    """An entry of manifest.json: names of files in the archive, and the image's own names."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


class DockerArchive:
    """`appliance.outgoing.collect.sources.Source` over an archive. `wanted` is one of its names, or None for all of
    them; `advance` is told of bytes as they are hashed."""

    def __init__(
        self,
        files: TarFiles,
        wanted: str | None,
        as_: Reference | None,
        advance: Callable[[int, int], object] = lambda done, total: None,
    ) -> None:
        """Raises UsageError where the archive holds no manifest.json, MalformedError."""
        self._files, self._as, self._advance = files, as_, advance
        self._wanted, _, digest = (wanted or "").partition("@")
        self._digest = Digest.parse(digest) if digest else None
        if files.open(_MANIFEST) is None:
            raise UsageError(
                "the archive holds no images as docker save writes them",
                thing=str(files.path),
                remedy=f"it has no {_MANIFEST}; oci-archive:{files.path} takes an OCI image layout",
            )
        raw = files.read_small(_MANIFEST, limits.OCI_MANIFEST)
        listed = strict_json.loads(
            raw, ceiling=limits.OCI_MANIFEST, nodes=limits.OCI_MANIFEST_NODES, what=_MANIFEST, floats=True
        )
        if not isinstance(listed, list) or not listed:
            raise MalformedError(f"{_MANIFEST} lists no images", thing=str(files.path))
        self._images = [self._image(entry) for entry in listed]
        self._small: dict[Digest, bytes] = {}
        self._places: dict[Digest, str] = {}

    def _image(self, entry: Any) -> _Image:
        fields = entry if isinstance(entry, dict) else {}
        config, layers, names = fields.get("Config"), fields.get("Layers"), fields.get("RepoTags") or []
        layers = [] if layers is None else layers
        texts = [config, *layers, *names] if isinstance(layers, list) and isinstance(names, list) else [None]
        if not all(isinstance(text, str) for text in texts) or len(texts) > limits.MANIFEST_DESCRIPTORS:
            raise MalformedError(
                f"{_MANIFEST} describes an image in no way that docker does", thing=str(self._files.path)
            )
        return _Image(str(config), tuple(layers), tuple(names))

    def targets(self) -> list[Reference]:
        """As Source.targets."""
        return [target for _, target in self._chosen()]

    def roots(self) -> Iterator[Root]:
        """As Source.roots. Reads every file of an image once, for its digest."""
        for image, target in self._chosen():
            found = self._manifest_of(image)
            if self._digest is not None and found.digest != self._digest:
                raise RefusedError(
                    "the archive's image is not the one that was named",
                    thing=f"{self._files.path} holds {target}, which is {found.digest}",
                    remedy="leave the digest out, or give another archive",
                )
            yield Root(found, target)

    def _chosen(self) -> list[tuple[_Image, Reference]]:
        """The images that are meant, each with the name that it gets. Raises UsageError."""
        named = [(image, name) for image in self._images for name in image.names]
        if self._wanted:
            named = [(image, name) for image, name in named if self._wanted in (name, str(self._plain(name)))]
            if not named:
                raise self._none()
        if self._as is not None:
            images = list(dict.fromkeys(image for image, _ in named)) or self._images
            if len(images) > 1:
                raise UsageError(
                    "--as names one artifact, the archive has several",
                    thing=str(self._files.path),
                    remedy=f"choose one: {self._choices()}",
                )
            return [(images[0], self._as)]
        if not named:
            raise UsageError(
                "the archive gives its image no name", thing=str(self._files.path), remedy="name it with --as REPO:TAG"
            )
        return [(image, docker_name(name)) for image, name in named]

    @staticmethod
    def _plain(name: str) -> Reference | None:
        try:
            return docker_name(name)
        except LockgateError:
            return None

    def _none(self) -> NotFoundError:
        wanted = self._wanted + (f"@{self._digest}" if self._digest else "")
        return NotFoundError(
            "the archive names no such image",
            thing=f"{self._files.path}:{wanted}",
            remedy=f"choose one: {self._choices()}",
        )

    def _choices(self) -> str:
        names = [name for image in self._images for name in image.names]
        shown = ", ".join(safe(f"docker-archive:{self._files.path}:{name}") for name in names[:4])
        return (shown or "it has no names, so take it with --as") + (", …" if len(names) > 4 else "")

    def _manifest_of(self, image: _Image) -> Descriptor:
        """The OCI manifest of an image, made from the bytes in the archive."""
        config = self._files.read_small(image.config, archives_limits.CONFIG_READ)
        digest = Digest.of(config)
        said = _HEX.match(image.config)
        if said is not None and said[1] != digest.hex:
            raise RefusedError("a configuration is not what its name says", thing=f"{self._files.path}: {image.config}")
        diffs = self._diffs(config, image)
        layers = [self._layer(name, diff) for name, diff in zip(image.layers, diffs, strict=True)]
        raw = strict_json.canonical(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": str(digest), "size": len(config)},
                "layers": layers,
            }
        )
        self._small |= {digest: config, Digest.of(raw): raw}
        return Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw))

    def _diffs(self, config: bytes, image: _Image) -> list[Digest]:
        """The digests that the configuration gives the layers (config.md, rootfs). Raises RefusedError."""
        document = strict_json.loads(
            config, ceiling=archives_limits.CONFIG_READ, nodes=archives_limits.CONFIG_NODES, what="config", floats=True
        )
        rootfs = document.get("rootfs") if isinstance(document, dict) else None
        diffs = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        said = [] if diffs is None else diffs if isinstance(diffs, list) else [diffs]
        whole = [diff for diff in map(_digest, said) if diff is not None]
        if not len(whole) == len(said) == len(image.layers):
            raise RefusedError(
                "a configuration does not describe the image's layers", thing=f"{self._files.path}: {image.config}"
            )
        return whole

    def _layer(self, name: str, diff: Digest) -> dict[str, Any]:
        """A layer's descriptor. Raises RefusedError where its bytes are not those that the configuration names."""
        file = self._files.open(name)
        if file is None:
            raise FailedError(
                "the archive lacks a layer", thing=f"{self._files.path}: {name}"[:240], remedy="save it again"
            )
        hasher, named, size, kind = new_hasher("sha256"), new_hasher(diff.algorithm), 0, None
        for chunk in chunks(file, self._files.path):
            kind = compression_of(chunk[:8]) if kind is None else kind
            hasher.update(chunk)
            if diff.algorithm != "sha256":
                named.update(chunk)
            size += len(chunk)
            self._advance(size, size)
        digest = Digest("sha256", hasher.hexdigest())
        if (kind or "") not in _COMPRESSIONS:
            raise RefusedError(f"a layer is compressed with {kind}", thing=f"{self._files.path}: {name}"[:240])
        found = digest if diff.algorithm == "sha256" else Digest(diff.algorithm, named.hexdigest())
        if kind:
            found = self._unpacked(name, size, kind, diff.algorithm)
        if diff != found:
            raise RefusedError(
                "a layer is not the one that its configuration names",
                thing=f"{self._files.path}: {name} is {found}, not {diff}"[:300],
                remedy="save the image again",
            )
        self._places[digest] = name
        return {"mediaType": f"{_LAYER}{_COMPRESSIONS[kind or '']}", "digest": str(digest), "size": size}

    def _unpacked(self, name: str, size: int, form: str, algorithm: str) -> Digest:
        """The digest of a layer as runtimes unpack it: behind its one compression, within the ceilings that it will
        have to keep inside. Raises RefusedError where it cannot be unpacked so."""
        hasher, deadline = new_hasher(algorithm), time.monotonic() + archives_limits.LAYERS_TIME
        most = max(archives_limits.LAYER_FLOOR, min(archives_limits.LAYER_BYTES, size * archives_limits.LAYER_RATIO))
        file = self._files.open(name)
        assert file is not None  # noqa: S101  it was read a moment ago
        try:
            with file, ExitStack() as closing:
                packed = Stream(lambda: file.read(limits.CHUNK), size, deadline)
                members = Members(form, packed, closing, [], archives_limits.LAYER_WINDOW)
                Stream(members.next, most, deadline).pass_on(most + 1, hasher.update)
        except MalformedError as error:
            raise RefusedError(
                "a layer cannot be held against its configuration",
                thing=f"{self._files.path}: {name}: {error.diagnostics()}"[:300], remedy="save the image again",
            ) from None  # fmt: skip
        return Digest(algorithm, hasher.hexdigest())

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        return self._small[descriptor.digest]

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob."""
        if descriptor.digest in self._small:
            return chunks(io.BytesIO(self._small[descriptor.digest]), self._files.path)
        file = self._files.open(self._places[descriptor.digest])
        assert file is not None  # noqa: S101  it was read a moment ago
        return chunks(file, self._files.path)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers: an archive has none."""
        return []

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """As Source.attached: an archive has nothing attached."""
        return {}

    def close(self) -> None:
        """As Source.close."""
        self._files.close()


def _digest(said: object) -> Digest | None:
    """A digest of a configuration; None for what is none."""
    try:
        return Digest.parse(said) if isinstance(said, str) else None
    except MalformedError:
        return None
