"""What the station serves: repositories, tags, artifacts, SBOMs and files; and what is damaged or blocked."""

from __future__ import annotations

from typing import Any

from appliance.api.common import Shape
from appliance.api.recall import Recall
from appliance.api.retirement import Retired


class Repository(Shape, frozen=True, kw_only=True):
    """A repository: bytes are of the blobs that it shows."""

    name: str
    tags: int
    manifests: int
    bytes: int
    untagged: int | None = 0
    """Manifests to which no tag leads; None where that cannot be told."""
    retired: Retired | None = None


class Tag(Shape, frozen=True, kw_only=True):
    """A tag and the manifest that it names: `size` is the manifest's, `total_size` with all that it names."""

    tag: str
    digest: str
    media_type: str
    kind: str
    size: int
    total_size: int
    updated: str
    retired: Retired | None = None


class UntaggedManifest(Shape, frozen=True, kw_only=True):
    """A manifest to which no tag leads since `since`; `kept` says why a collection keeps it, "" where it does not."""

    digest: str
    kind: str
    media_type: str
    artifact_type: str | None = None
    size: int
    since: str
    kept: str = ""


class Platform(Shape, frozen=True, kw_only=True):
    """An image of an index, as `os/architecture`. `state`: `here`, `left-out` (when the index was collected) or
    `missing`."""

    platform: str
    digest: str
    size: int
    state: str = "here"


class Layer(Shape, frozen=True, kw_only=True):
    """A layer of an artifact."""

    media_type: str
    digest: str
    size: int


class Referrer(Shape, frozen=True, kw_only=True):
    """An artifact that names this one as its subject."""

    digest: str
    artifact_type: str | None = None
    kind: str
    size: int
    annotations: dict[str, str] = {}


class SbomRef(Shape, frozen=True, kw_only=True):
    """An SBOM of an artifact."""

    digest: str
    subject: str


class Artifact(Shape, frozen=True, kw_only=True):
    """GET /v1/artifact. `raw` is the manifest's text as stored, `config` the image's configuration document; `note`
    says where the tag leads now, where the reference also names another digest. `blocked` says why nobody may pull it,
    None where nobody has blocked it; `retired` what takes its place, and from when on."""

    reference: str
    note: str = ""
    blocked: str | None = None
    retired: Retired | None = None
    digest: str
    media_type: str
    artifact_type: str | None = None
    kind: str
    size: int
    total_size: int
    raw: str
    config: Any = None
    annotations: dict[str, str] = {}
    platforms: tuple[Platform, ...] = ()
    layers: tuple[Layer, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    sboms: tuple[SbomRef, ...] = ()
    tags: tuple[str, ...] = ()


class LayerFile(Shape, frozen=True, kw_only=True):
    """An entry of a layer's archive: `kind` is file, folder, link, hard link, device or pipe, `mode` octal, `link` the
    target of a link. Untrusted text."""

    path: str
    kind: str
    size: int
    mode: str
    link: str = ""


class LayerFiles(Shape, frozen=True, kw_only=True):
    """A line of GET /v1/layer/files. `looked` counts the entries looked at so far; the last line has `end`, and in
    `why` what keeps it from being the whole layer, "" where it is."""

    files: tuple[LayerFile, ...] = ()
    looked: int = 0
    end: bool = False
    why: str = ""


class Component(Shape, frozen=True, kw_only=True):
    """A component that an SBOM names."""

    name: str
    version: str
    type: str
    purl: str
    licenses: tuple[str, ...] = ()


class Components(Shape, frozen=True, kw_only=True):
    """GET /v1/sbom: part of the components, and how many there are in all."""

    items: tuple[Component, ...]
    total: int = 0
    next: str | None = None


class FoundItem(Shape, frozen=True, kw_only=True):
    """One answer of GET /v1/find: `ref` is what to open."""

    kind: str
    text: str
    ref: str


class File(Shape, frozen=True, kw_only=True):
    """GET /v1/file: a file that was collected; `content` is the digest of its bytes, `digest` of its manifest."""

    reference: str
    repository: str
    digest: str
    note: str = ""
    name: str = ""
    mode: str = ""
    content: str
    size: int


class DeletedTag(Shape, frozen=True, kw_only=True):
    """A tag that was deleted, or None for the manifest itself."""

    tag: str | None
    digest: str


class Deleted(Shape, frozen=True, kw_only=True):
    """POST /v1/repositories/{name}/delete: what was deleted, or would be in a dry run."""

    items: tuple[DeletedTag, ...]
    next: str | None = None
    dry_run: bool = False


class MovedTag(Shape, frozen=True, kw_only=True):
    """A tag and the digest that it named before."""

    tag: str
    digest: str


class Copied(Shape, frozen=True, kw_only=True):
    """POST /v1/copies: `manifests` and `blobs` are what the copy reaches, `linked` how many of these the target did not
    show before, `moved` the tags that named something else."""

    reference: str
    digest: str
    manifests: int
    blobs: int
    linked: int
    moved: tuple[MovedTag, ...] = ()


class DamagedBlob(Shape, frozen=True, kw_only=True):
    """A blob that is damaged and not healed: where it was shown, and the bundles that carry it."""

    digest: str
    why: str
    found: str
    shown: tuple[str, ...] = ()
    bundles: tuple[dict[str, Any], ...] = ()


class UnreadBlob(Shape, frozen=True, kw_only=True):
    """A blob that could not be read when it was last looked at."""

    digest: str
    why: str
    found: str
    last: str
    times: int


class Damage(Shape, frozen=True, kw_only=True):
    """GET /v1/damage."""

    items: tuple[DamagedBlob, ...]
    next: str | None = None
    unread: tuple[UnreadBlob, ...] = ()


class Block(Shape, frozen=True, kw_only=True):
    """A digest that is denied everywhere."""

    digest: str
    why: str
    actor: str
    created: str


class Blocked(Shape, frozen=True, kw_only=True):
    """POST /v1/blocks: the digest that is blocked now, and where it went; None where no bundle has to do with it."""

    digest: str
    why: str
    recall: Recall | None = None


class Unblocked(Shape, frozen=True, kw_only=True):
    """DELETE /v1/blocks/{digest}."""

    digest: str
