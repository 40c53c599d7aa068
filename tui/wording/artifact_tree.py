"""An artifact as a tree of nodes: platforms, configuration, layers, and what refers to it."""

from __future__ import annotations

import msgspec

from appliance.api.content import Artifact, Layer
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import count, size
from tui.widgets.tree import Node


class _Described(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    media_type: str
    digest: str
    size: int


class _Manifest(msgspec.Struct, frozen=True):
    config: _Described | None = None


_BAR = 14
_SHORT = {
    "application/vnd.oci.image.layer.v1.tar+gzip": "tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "tar+zstd",
    "application/vnd.oci.image.layer.v1.tar": "tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "tar+gzip",
    "application/vnd.oci.image.config.v1+json": "configuration",
    "application/vnd.oci.empty.v1+json": "empty configuration",
}


def tree(artifact: Artifact, look: Look) -> list[Node]:
    """The artifact's own node, opened, with everything under it."""
    root = Node(
        f"{safe(artifact.kind)} {safe(artifact.reference)}",
        size(artifact.total_size),
        artifact.digest,
        safe(artifact.media_type),
        role="title",
        children=parts(artifact, look),
        open=True,
    )
    return [root]


def parts(artifact: Artifact, look: Look) -> list[Node]:
    """What an artifact consists of, and what refers to it."""
    nodes = [
        Node(
            f"platform {safe(one.platform)}",
            {"left-out": "left out when it was collected", "missing": "not here"}.get(one.state, ""),
            one.digest,
            "an image of its own; enter shows its layers",
            wanted=True,
        )
        for one in artifact.platforms
    ]
    nodes.extend(_configuration(artifact))
    largest = max((layer.size for layer in artifact.layers), default=0)
    for number, layer in enumerate(artifact.layers, 1):
        node = _content(f"layer {number} of {len(artifact.layers)}", layer)
        node.fact = f"{look.bar(layer.size, largest, _BAR)} {node.fact:>9}"
        nodes.append(node)
    nodes.append(_referrers(artifact))
    if artifact.annotations:
        notes = [Node(f"{safe(name)}: {safe(value)}", note=safe(value)) for name, value in artifact.annotations.items()]
        nodes.append(Node(count(len(notes), "annotation"), children=notes))
    return nodes


def _configuration(artifact: Artifact) -> list[Node]:
    """The configuration's descriptor, from the manifest's own text, and what the document says it is for."""
    try:
        described = msgspec.json.decode(artifact.raw, type=_Manifest).config
    except msgspec.DecodeError:
        return []
    if described is None:
        return []
    node = _content("configuration", described)
    document = artifact.config or {}
    parts = [str(document[name]) for name in ("os", "architecture", "variant") if document.get(name)]
    if parts:
        node.label += f" for {safe('/'.join(parts))}"
    return [node]


def _content(label: str, content: Layer | _Described) -> Node:
    kind = _SHORT.get(content.media_type, safe(content.media_type))
    shown = label if kind in ("configuration",) else f"{label}  {kind}"
    return Node(shown, size(content.size), content.digest, safe(content.media_type))


def _referrers(artifact: Artifact) -> Node:
    """Signatures, bills of materials and attestations; said in words where there are none."""
    if not artifact.referrers:
        return Node("[--] no signature and no SBOM refer to it", role="wait")
    nodes = [
        Node(
            f"{safe(one.kind)}  {safe(one.artifact_type or '')}",
            size(one.size),
            one.digest,
            "; ".join(f"{safe(name)}: {safe(value)}" for name, value in one.annotations.items()),
        )
        for one in artifact.referrers
    ]
    return Node(f"referrers: {count(len(nodes), 'document')}", children=nodes, open=True)
