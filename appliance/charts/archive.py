"""A chart's files (Helm, Charts, The Chart File Structure): a folder, or the archive that `helm package` makes.

Only what names images is read: Chart.yaml and values.yaml, of the chart and of those in its `charts`.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import MalformedError, RefusedError, UsageError
from bundles.io.files import failures_named, read_small
from bundles.limits import MIB

ARCHIVE: Final = 20 * MIB
"""Bytes of an archive; Helm itself takes no larger ones (helm.sh/helm/v3, pkg/chart/loader)."""

UNPACKED: Final = 100 * MIB
"""Bytes of all that a chart and the archives in it unpack to."""
FILE: Final = 5 * MIB
FILES: Final = 20_000
NESTED: Final = 4
"""Charts within charts."""

_NAMES: Final = ("Chart.yaml", "values.yaml")


@dataclass(slots=True)
class Chart:
    """A chart's two files, b"" where there is none, and the charts in it, by their names there."""

    chart: bytes = b""
    values: bytes = b""
    inner: dict[str, Chart] = field(default_factory=dict)


def read_chart(path: Path, shown: str = "") -> Chart:
    """The chart at a path; `shown` names it for people, where that is not its path.

    Raises UsageError where there is none, MalformedError, RefusedError, FailedError.
    """
    if path.is_dir():
        found = Chart()
        with failures_named(path, "the chart cannot be read"):
            _read_folder(found, path, [0], NESTED, [UNPACKED])
    elif path.is_file():
        found = read_archive(read_small(path.resolve(), ARCHIVE), shown or str(path))
    else:
        raise UsageError("no such chart", thing=str(path), remedy="give the chart's folder, its archive, or REPO:TAG")
    if not found.chart:
        raise UsageError(
            "no Chart.yaml is in it", thing=shown or str(path),
            remedy="give the chart's folder, its archive, or REPO:TAG",
        )  # fmt: skip
    return found


def read_archive(raw: bytes, shown: str, nested: int = NESTED, left: list[int] | None = None) -> Chart:
    """The chart in an archive, all of whose files stand in one folder. `left` are the bytes that all of them may still
    unpack to. Raises MalformedError, RefusedError."""
    found, left = Chart(), [UNPACKED] if left is None else left
    try:
        with gzip.open(io.BytesIO(raw)) as packed:
            plain = packed.read(left[0] + 1)
        if len(plain) > left[0]:
            raise RefusedError("the chart unpacks to too much", thing=shown, remedy=f"the ceiling is {UNPACKED} bytes")
        left[0] -= len(plain)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for number, member in enumerate(archive):
                _check_count(number, shown)
                names = [name for name in member.name.split("/") if name not in ("", ".")][1:]
                if member.isreg() and (ceiling := _ceiling(names)):
                    file = archive.extractfile(member)
                    assert file is not None  # noqa: S101  it is a regular file
                    _put(found, names, file.read(ceiling + 1), f"{shown}: {member.name}", nested, left)
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, RecursionError) as error:
        raise MalformedError(
            f"not a chart's archive ({error})"[:200], thing=shown, remedy="helm package makes one"
        ) from None
    return found


def _read_folder(chart: Chart, folder: Path, count: list[int], nested: int, left: list[int]) -> None:
    """Put what is wanted of a chart's folder into `chart`. Links are not followed."""
    for name in _NAMES:
        if (folder / name).is_file() and not (folder / name).is_symlink():
            _put(chart, [name], read_small(folder / name, FILE), str(folder / name), nested, left)
    charts = folder / "charts"
    for entry in sorted(charts.iterdir()) if charts.is_dir() and not charts.is_symlink() else ():
        count[0] += 1
        _check_count(count[0], str(charts))
        if entry.is_symlink():
            continue
        if entry.is_file() and entry.suffix == ".tgz":
            _put(chart, ["charts", entry.name], read_small(entry, ARCHIVE), str(entry), nested, left)
        elif entry.is_dir():
            _check_nesting(nested, str(entry))
            _read_folder(chart.inner.setdefault(entry.name, Chart()), entry, count, nested - 1, left)


def _ceiling(names: list[str]) -> int:
    """The bytes that a file of an archive may have, by its path's names in the chart; 0 where it is not wanted."""
    *way, last = names or [""]
    if not all(name == "charts" for name in way[::2]):
        return 0
    if len(way) % 2:
        return ARCHIVE if last.endswith(".tgz") else 0
    return FILE if last in _NAMES else 0


def _put(chart: Chart, names: list[str], raw: bytes, shown: str, nested: int, left: list[int]) -> None:
    """Note a file, by its path's names in the chart."""
    ceiling = _ceiling(names)
    if len(raw) > ceiling:
        raise RefusedError("a file of the chart is too large", thing=shown, remedy=f"the ceiling is {ceiling} bytes")
    if names[0] == _NAMES[0]:
        chart.chart = raw
    elif names[0] == _NAMES[1]:
        chart.values = raw
    else:
        _check_nesting(nested, shown)
        if len(names) == 2:
            chart.inner[names[1].removesuffix(".tgz")] = read_archive(raw, shown, nested - 1, left)
        else:
            _put(chart.inner.setdefault(names[1], Chart()), names[2:], raw, shown, nested - 1, left)


def _check_nesting(nested: int, shown: str) -> None:
    if nested <= 0:
        raise MalformedError("charts are nested too deep", thing=shown, remedy=f"the ceiling is {NESTED}")


def _check_count(count: int, shown: str) -> None:
    if count > FILES:
        raise MalformedError("the chart holds too many files", thing=shown, remedy=f"the ceiling is {FILES}")
