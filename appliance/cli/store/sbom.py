"""`lockgate sbom`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance import clock
from appliance.api.scanning import Packages
from appliance.cli.shared.context import call, json_option, shaped, show, station_option, table
from bundles.errors import IncompleteError, LockgateError, UsageError
from bundles.io.display import safe, some
from bundles.oci.reference import Reference

_NAMED: Final = 5
"""Packages that the table names of those that an SBOM from elsewhere leaves out."""


class _Sbom(click.Group):
    """A group in which a reference stands for `show REF`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and _is_reference(args[0]):
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


def _is_reference(text: str) -> bool:
    try:
        found = Reference.parse(text)
    except LockgateError:
        return False
    return (found.tag is not None or found.digest is not None) and not text.startswith("pkg:")


@click.group(cls=_Sbom)
def sbom() -> None:
    """Packages of what is served, by the station's own SBOMs: show REF (or REF alone), diff, find."""


@sbom.command("show")
@click.argument("reference", metavar="REF")
@click.option(
    "--format", "form", type=click.Choice(("table", "json", "cyclonedx", "spdx")), default="table", show_default=True,
    help="How it is written: CycloneDX 1.6 or SPDX 2.3 in JSON.",
)  # fmt: skip
@station_option
@json_option
def show_(root: Path | None, reference: str, form: str, as_json: bool) -> None:
    """What an artifact is made of, by the SBOMs that this station made of its images.

    SBOMs from elsewhere are held against them: what those leave out is named. Exit status 4: an image has no SBOM that
    this station made, or one with gaps; `lockgate scan REF` makes one.
    """
    if as_json and form not in ("table", "json"):
        raise UsageError("--json and another format", thing=form, remedy="leave one of them out")
    found = _packages(root, reference)
    if form in ("cyclonedx", "spdx"):
        from appliance.cli.reports import sboms

        show((sboms.cyclonedx if form == "cyclonedx" else sboms.spdx)(found, clock.now()), True, str)
    else:
        show(found, as_json or form == "json", lambda: _shown(found))
    _require_complete(found)


def _packages(root: Path | None, reference: str) -> Packages:
    return shaped(call(root, lambda client: client.get("/v1/packages", ref=reference)), Packages)


def _require_complete(found: Packages) -> None:
    if not found.complete:
        raise IncompleteError(
            "not every image was looked at as a whole", thing=found.reference,
            remedy=f"make the SBOMs that are missing with: lockgate scan {found.reference}",
        )  # fmt: skip


def _shown(found: Packages) -> str:
    lines = list[str]()
    for image in found.images:
        words = {"scanned": f"SBOM made here {image.at}", "carried": "[!!] by SBOMs from elsewhere, not scanned here"}
        state = words.get(image.state, f"[!!] {image.state}")
        why = f" ({image.why})" if image.why else ""
        name = f"{image.digest} {image.platform}".strip()
        lines.append(safe(f"{name}: {some(len(image.packages), 'package')}, {state}{why}"))
        rows = [(one.name, one.version, one.purl or "-", one.path or "-") for one in image.packages]
        if rows:
            lines.append(table(rows, ("PACKAGE", "VERSION", "PURL", "PATH")))
        for other in image.carried:
            if other.why:
                lines.append(safe(f"[!!] SBOM {other.digest} from elsewhere cannot be read: {other.why}"))
            elif other.left_out_count:
                some_of = ", ".join(other.left_out[:_NAMED])
                count = some(other.left_out_count, "package")
                lines.append(safe(f"[!!] SBOM {other.digest} from elsewhere leaves out {count}: {some_of}"))
    return "\n".join(lines)


@sbom.command()
@click.argument("before", metavar="REF")
@click.argument("now", metavar="REF")
@station_option
@json_option
def diff(root: Path | None, before: str, now: str, as_json: bool) -> None:
    """What the second artifact has that the first has not, the other way round, and in another version.

    Packages are compared by the station's own SBOMs. Exit status 0, whether they differ or not; 4 where an image of
    one of them has no SBOM that this station made, or one with gaps.
    """
    from appliance.cli.reports.sbom_diff import difference

    sides = _packages(root, before), _packages(root, now)
    document = difference(*sides)
    show(document, as_json, lambda: _differences(document))
    for one in sides:
        _require_complete(one)


def _differences(document: dict[str, Any]) -> str:
    rows = [
        *(("added", one["name"], one["type"], "-", ", ".join(one["versions"])) for one in document["added"]),
        *(("removed", one["name"], one["type"], ", ".join(one["versions"]), "-") for one in document["removed"]),
        *(
            ("updated", one["name"], one["type"], ", ".join(one["before"]), ", ".join(one["now"]))
            for one in document["updated"]
        ),
    ]
    lines = [table(rows, ("CHANGE", "PACKAGE", "TYPE", "BEFORE", "NOW"))] if rows else []
    return "\n".join([*lines, f"{some(document['same'], 'package')} in the same version"])


@sbom.command()
@click.argument("name", metavar="NAME[@VERSION]|PURL")
@station_option
@json_option
def find(root: Path | None, name: str, as_json: bool) -> None:
    """Where a package is: each image whose SBOM lists it, answered from an index.

    A source package's name finds what was built from it, and an upstream's version every revision of it. ORIGIN is
    `own` where this station made the SBOM, `carried` where it came from elsewhere. Exit status 4: SBOMs are still to
    be indexed, or the station made none of some images.
    """
    document = call(root, lambda client: client.get("/v1/components", name=name))
    show(document, as_json, lambda: _text(document))
    if document["not_scanned"]:
        raise IncompleteError(
            f"{some(document['not_scanned'], 'image has', 'images have')} no SBOM that this station made",
            thing=safe(name), remedy="make each with: lockgate scan REF",
        )  # fmt: skip
    if document["left_out"]:
        raise IncompleteError(
            f"and {document['left_out']} more", thing=safe(name), remedy="name a version, or a package URL"
        )
    if not document["complete"]:
        raise IncompleteError("not every SBOM is indexed yet", thing=safe(name), remedy="run it again")


def _text(document: dict[str, Any]) -> str:
    rows = [
        (place, one["package"], one["version"], one["path"] or "-", one["origin"])
        for one in document["items"]
        for place in one["references"]
    ]
    if not rows:
        return "no SBOM that is held here lists it"
    return table(rows, ("REFERENCE", "PACKAGE", "VERSION", "PATH", "ORIGIN"))
