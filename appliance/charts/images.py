"""The images that a chart names: in what helm makes of it, or else in its values and annotations.

Values are a convention and no rule: what stands in them is what charts commonly write, `image: NAME`, or a mapping of
`registry`, `repository`, `tag` and `digest`. So whoever asks is told which of the two was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from appliance.charts.archive import Chart
from appliance.charts.yaml_tree import below, documents
from bundles.errors import LockgateError
from bundles.oci.reference import RemoteReference

_ANNOTATIONS: Final = ("artifacthub.io/images", "helm.sh/images", "images")
"""Annotations of Chart.yaml that list a chart's images (Artifact Hub's, Helm's, Bitnami's)."""

_ARGUMENT: Final = re.compile(r"--?[A-Za-z0-9.-]*image[A-Za-z0-9.-]*=(\S+)\Z")
"""An argument that names an image, as operators take it."""

_HUB: Final = "docker.io"


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """An image that a chart names: its whole name, and where it stands. `is_off`: what is near it is not enabled."""

    image: str
    at: str
    is_off: bool = False


def whole_name(text: str) -> str | None:
    """The name with registry and tag, as clients complete it: `nginx` is docker.io/library/nginx:latest. None for what
    is no image's name."""
    host, slash, _ = text.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        text = f"{_HUB}/{text}" if slash else f"{_HUB}/library/{text}"
    last = text.rpartition("/")[2]
    if ":" not in last and "@" not in last:
        text += ":latest"
    try:
        return str(RemoteReference.parse(text))
    except LockgateError:
        return None


def rendered_images(raw: bytes) -> list[Named]:
    """The images in what `helm template` printed: of containers, of other fields called `image`, and of arguments.

    Raises MalformedError.
    """
    found: dict[str, str] = {}
    for document in documents(raw, "what helm made"):
        if not isinstance(document, dict):
            continue
        metadata = document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else ""
        for way, node in below(document):
            at = f"{document.get('kind')}/{name}: {'.'.join(way)}"
            image = node.get("image")
            if isinstance(image, str) and (image := whole_name(image)):
                found.setdefault(image, at)
            for argument in (*_texts(node.get("args")), *_texts(node.get("command"))):
                if (match := _ARGUMENT.match(argument)) and (image := whole_name(match[1])):
                    found.setdefault(image, at)
    return sorted(Named(image, at[:200]) for image, at in found.items())


def written_images(chart: Chart, way: str = "") -> list[Named]:
    """The images that the values and annotations of a chart and of those in it name. Raises MalformedError."""
    head = _first(chart.chart, f"{way}Chart.yaml")
    values = _first(chart.values, f"{way}values.yaml")
    found: dict[str, Named] = {}
    for named in (*_annotated(head, f"{way}Chart.yaml"), *_in_values(values, head, f"{way}values.yaml")):
        before = found.get(named.image)
        if before is None or (before.is_off and not named.is_off):
            found[named.image] = named
    for name, inner in sorted(chart.inner.items()):
        for named in written_images(inner, f"{way}charts/{name}/"):
            found.setdefault(named.image, named)
    return sorted(found.values())


def _first(raw: bytes, what: str) -> dict[str, Any]:
    document = next(documents(raw, what), None)
    return document if isinstance(document, dict) else {}


def _annotated(head: dict[str, Any], where: str) -> Iterator[Named]:
    annotations = head.get("annotations")
    for key in _ANNOTATIONS:
        text = annotations.get(key) if isinstance(annotations, dict) else None
        if isinstance(text, str):
            for _, node in below(next(documents(text.encode(), f"{where}: {key}"), None)):
                image = node.get("image")
                if isinstance(image, str) and (image := whole_name(image)):
                    yield Named(image, f"{where}: {key}")


def _in_values(values: dict[str, Any], head: dict[str, Any], where: str) -> Iterator[Named]:
    off = {way for way, node in below(values) if str(node.get("enabled")).lower() == "false"}
    shared = values.get("global")
    registry = _text(shared.get("imageRegistry")) if isinstance(shared, dict) else ""
    version = _text(head.get("appVersion"))
    for way, node in below(values):
        is_off = any(way[:length] in off for length in range(len(way) + 1))
        for at, image in _of_mapping(way, node, registry, version):
            if whole := whole_name(image):
                yield Named(whole, f"{where}: {'.'.join(at)}"[:200], is_off)


def _of_mapping(
    way: tuple[str, ...], node: dict[str, Any], registry: str, version: str
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What a mapping of values names: itself an image, or by a key that is called so."""
    repository = _text(node.get("repository")) or (_text(node.get("name")) if _text(node.get("registry")) else "")
    if repository and not repository.startswith(("http://", "https://", "oci://", "git@")):
        parts = {"tag", "digest", "registry", "pullPolicy", "sha"}
        if parts & node.keys() or (way and "image" in way[-1].lower()):
            host = registry or _text(node.get("registry"))
            yield way, _joined(f"{host}/{repository}" if host else repository, node, version)
    for key, value in node.items():
        if isinstance(value, str) and value and (key == "image" or key.endswith("Image")):
            yield (*way, key), _joined(value, node if key == "image" else {}, "")


def _joined(name: str, node: dict[str, Any], version: str) -> str:
    """A name with the tag and digest that stand beside it; else the chart's `appVersion`, as charts commonly do."""
    last = name.rpartition("/")[2]
    digest = _text(node.get("digest")) or _text(node.get("sha"))
    if digest and ":" not in digest:
        digest = f"sha256:{digest}"
    tag = _text(node.get("tag")) or _text(node.get("imageTag")) or version
    if ":" not in last and "@" not in last and tag:
        name += f":{tag}"
    return f"{name}@{digest}" if digest and "@" not in name else name


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: object) -> Iterable[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
