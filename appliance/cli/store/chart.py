"""`lockgate chart`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import json_option, show, station_option
from bundles.errors import LockgateError, UsageError
from bundles.io.display import safe


@click.group()
def chart() -> None:
    """Helm charts: images."""


@chart.command()
@click.argument("source", metavar="CHART")
@click.option("--values", multiple=True, type=click.Path(path_type=Path), help="A values file for helm; repeatable.")
@click.option("--toml", "as_toml", is_flag=True, help="Print [[source]] tables for a collection.toml.")
@station_option
@json_option
def images(root: Path | None, source: str, values: tuple[Path, ...], as_toml: bool, as_json: bool) -> None:
    """The images that a Helm chart names, so that they can be collected with it.

    CHART is a chart's folder, its archive (.tgz), or REPO:TAG of a chart in this station's registry. Where helm is on
    PATH, it makes the chart's documents (helm template, with --values), and their images are listed; else those that
    its values.yaml and annotations name, which is a convention and may be incomplete. The output says which it was.
    """
    from appliance.charts.archive import read_chart
    from appliance.charts.images import rendered_images, written_images
    from appliance.charts.rendering import find_helm, rendered

    for file in values:
        if not file.is_file():
            raise UsageError("no such values file", thing=str(file), remedy="give a file's path with --values")
    with _chart(root, source) as path:
        read = read_chart(path, source)
        helm, why = find_helm(), "helm is not on PATH"
        found = None
        if helm is not None:
            try:
                found = rendered_images(rendered(helm, path, values))
            except LockgateError as error:
                why = error.what
        elif values:
            raise UsageError("--values takes helm", thing="it is not on PATH", remedy="install helm, or leave them out")
        way = "values" if found is None else "helm"
        if found is None:
            found = written_images(read)
    if way == "values":
        click.echo(f"[!!] read from values and annotations, which may be incomplete: {safe(why)}", err=True)
    document: dict[str, Any] = {
        "chart": source, "read": way, "why": why if way == "values" else "",
        "images": [{"image": one.image, "at": one.at, "off": one.is_off} for one in found],
    }  # fmt: skip
    lines = [
        f'[[source]]\nfrom = "{one.image}"{"   # not enabled by default" if one.is_off else ""}\n' if as_toml
        else safe(f"{one.image}  {one.at}{' (not enabled by default)' if one.is_off else ''}")
        for one in found
    ]  # fmt: skip
    show(document, as_json, lambda: "\n".join(lines) or "the chart names no image")


@contextmanager
def _chart(root: Path | None, source: str) -> Iterator[Path]:
    """The chart as a folder or file of this machine; one of the registry is fetched and checked."""
    path = Path(source)
    if path.exists() or source.endswith(".tgz") or source.startswith(("/", "./", "../")):
        yield path
        return
    from appliance.cli.store.file import fetch_file

    with tempfile.TemporaryDirectory(prefix="lockgate-chart-") as folder:
        target = Path(folder) / "chart.tgz"
        fetch_file(root, source, target)
        yield target
