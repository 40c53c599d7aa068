"""`lockgate scan`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

from appliance import clock
from appliance.api.scanning import Scan
from appliance.cli.reports.content import scan_content
from appliance.cli.reports.malware import scan_for_malware
from appliance.cli.shared.context import call, json_option, shaped, show, station_option, table
from bundles.errors import FailedError, IncompleteError, UsageError
from bundles.io.display import safe, some

_GAPS: Final = {
    "not-scanned": "an image has no SBOM that this station made",
    "not-held": "an image that the index lists is not held here",
    "unread-layers": "a layer was not looked into",
    "no-packages": "syft found no package in an image",
    "no-advisories": "no advisories are loaded for some of the packages",
    "unnamed-packages": "some packages have no package URL",
    "undecided": "some versions could not be compared",
    "malformed-advisories": "some records of the advisories could not be read",
    "damaged-advisories": "rows of the advisories are not what was loaded: lockgate advisories list says which",
    "damaged-packages": "what the index has of an image is not what was written: scan it again",
}
"""What keeps a verdict from being complete, by its code."""

FORMATS: Final = ("table", "json", "sarif", "cyclonedx-vex", "intoto")

_ID: Final = re.compile(r"[A-Za-z]{2,16}(?:-[0-9A-Za-z]+)+")
"""An id of a vulnerability (CVE-2024-3094, GHSA-xxxx-xxxx-xxxx): a REF has a colon or an @."""


@click.command()
@click.argument("what", metavar="REF|find ID|new", nargs=-1, required=True)
@click.option("--known", is_flag=True, help="Show what is known; make no SBOM.")
@click.option("--again", is_flag=True, help="Make the station's own SBOM anew.")
@click.option("--malware", is_flag=True, help="Look for malware instead, in every layer.")
@click.option("--content", is_flag=True, help="Hold every layer against the content rules instead.")
@click.option(
    "--include-not-affected", "all_count", is_flag=True, help="Count findings that VEX calls not affected or fixed."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
    help="How the verdict on a REF is written.",
)  # fmt: skip
@station_option
@json_option
def scan(
    root: Path | None, what: tuple[str, ...], known: bool, again: bool, malware: bool, content: bool, all_count: bool,
    form: str, as_json: bool,
) -> None:  # fmt: skip
    """Hold an artifact's packages against the advisories that are loaded; or find where a vulnerability is, or what
    new advisories hit.

    An image without an SBOM that this station made gets one first; SBOMs from elsewhere are shown, and count for
    nothing. Exit status 0: nothing was found, and everything was looked at. 1: something was found. 4: nothing was
    found, and something was not looked at; the text says what. Findings that a VEX document calls not affected or fixed
    are shown with its word, and count only with --include-not-affected.

    --format writes the verdict for other programs: SARIF 2.1.0, CycloneDX 1.6 with VEX, or an in-toto statement (vulns
    0.2). What was not looked at is in each of them; where an in-toto statement would say that nothing was found and
    something was not looked at, none is written.

    `scan find ID` names the images with a vulnerability, by any of its ids (CVE, GHSA, PYSEC, DSA and others), from an
    index, without reading an image. It is 4 also where no advisory about it is loaded.

    `scan new` lists what the newest load of each source found first, of severity critical, high or unknown, or
    exploited: 0 nothing, and every image was scanned; 1 something; 4 nothing, and no advisories are loaded or images
    were not scanned.

    `scan REF --malware` has the engine of config.toml look through the images' layers, and keeps what it said for the
    gates: 0 it looked into everything and found nothing, 1 it found something, 4 it found nothing, and could not look
    into everything.

    `scan REF --content` holds the layers against the content rules of the policy, and keeps what they say for the
    gates: 1 a rule of severity high or critical found something, 4 none did, and a rule did not look.
    """
    if as_json and form not in ("table", "json"):
        raise UsageError("--json and another format", thing=form, remedy="leave one of them out")
    as_json = as_json or form == "json"
    if malware or content:
        if malware and content:
            raise UsageError("--malware and --content", remedy="--malware holds it against the content rules, too")
        alone = f"--{'malware' if malware else 'content'} goes with one REF alone"
        if len(what) != 1 or what == ("new",):
            raise UsageError(alone, thing=" ".join(what), remedy="see: lockgate scan --help")
        others = {
            "--known": known,
            "--again": again,
            "--include-not-affected": all_count,
            f"--format {form}": form != "table" and not as_json,
        }
        if given := [name for name, here in others.items() if here]:
            raise UsageError(alone, thing=" ".join(given), remedy="leave the other options out")
        look = scan_for_malware if malware else scan_content
        look(root, what[0], as_json)
        return
    if form not in ("table", "json") and (what[0] == "find" or what == ("new",)):
        raise UsageError("a report is of one artifact", thing=form, remedy="name a REF, or take --json")
    if what == ("find",):
        raise UsageError("no id was named", thing="scan find", remedy="give one, as CVE-2024-3094: scan find ID")
    if len(what) == 1 and _ID.fullmatch(what[0]):
        found = f"lockgate scan find {what[0]}"
        raise UsageError("an id of a vulnerability, and no REF", thing=what[0], remedy=f"did you mean: {found}")
    if len(what) == 2 and what[0] == "find" and not known and not again:
        _find(root, what[1], all_count, as_json)
    elif what == ("new",) and not known and not again:
        _new(root, all_count, as_json)
    elif len(what) == 1 and not (known and again):
        _scan(root, what[0], known, again, all_count, "json" if as_json else form)
    else:
        raise UsageError("give one REF, find and one ID, or new", remedy="see: lockgate scan --help")


def _scan(root: Path | None, reference: str, known: bool, again: bool, all_count: bool, form: str) -> None:
    document = call(root, lambda client: client.get("/v1/scan", ref=reference))
    if again or ("not-scanned" in document["gaps"] and not known):
        from appliance.cli.shared.follow import run_job

        run_job(root, "scan", {"references": [reference], "again": again})
        document = call(root, lambda client: client.get("/v1/scan", ref=reference))
    if form in ("table", "json"):
        show(document, form == "json", lambda: _text(document))
    else:
        show(_report(document, form), True, str)
    findings = [one for image in document["images"] if image["state"] == "scanned" for one in image["findings"]]
    affected = [one for one in findings if one["state"] == "affected" and (all_count or _counts(one))]
    if affected:
        levels = [one["severity"] for one in affected]
        counted = {level: levels.count(level) for level in document["counts"]}
        raise FailedError(
            f"{some(len(affected), 'finding')} ({_counted(counted)})", thing=reference,
            remedy="take a version that the FIX column names, or judge each finding",
        )  # fmt: skip
    if not document["complete"]:
        raise IncompleteError(
            "nothing was found, and not everything was looked at", thing=reference,
            remedy="; ".join(_GAPS.get(gap, gap) for gap in document["gaps"]),
        )  # fmt: skip


def _report(document: dict[str, Any], form: str) -> dict[str, Any]:
    """The verdict in a format of other programs. Raises IncompleteError where it would say less than the verdict."""
    from appliance.cli.reports import cyclonedx_vex, intoto, sarif

    scan = shaped(document, Scan)
    if form == "sarif":
        return sarif.sarif(scan, _GAPS)
    make = cyclonedx_vex.cyclonedx_vex if form == "cyclonedx-vex" else intoto.intoto
    return make(scan, clock.now())


def _find(root: Path | None, name: str, all_count: bool, as_json: bool) -> None:
    document = call(root, lambda client: client.get("/v1/scan/find", id=name))
    show(document, as_json, lambda: _found(document))
    own = [one for one in document["items"] if one["use"]["origin"] == "own"]
    counted = [one for one in own if all_count or _counts(one["finding"])]
    if any(one["finding"]["state"] == "affected" for one in counted):
        images = len({one["use"]["image"] for one in counted})
        raise FailedError(f"found in {some(images, 'image')}", thing=safe(name), remedy="see the references above")
    damaged = [one["source"] for one in document["advisories"] if one["damaged"]]
    if damaged:
        raise IncompleteError(
            "not found where the station looked; rows of the advisories are not what was loaded",
            thing=f"{safe(name)}, by {safe(', '.join(damaged))}",
            remedy="load them again with: lockgate advisories load FILE",
        )
    if not document["known"]:
        raise IncompleteError(
            "no advisory about it is loaded",
            thing=safe(name),
            remedy="load newer ones with: lockgate advisories load FILE",
        )
    undecided = [one for one in document["items"] if one not in own or one["finding"]["state"] != "affected"]
    if not document["complete"] or undecided:
        raise IncompleteError(
            f"not found where the station looked; {some(document['not_scanned'], 'image was', 'images were')} not"
            " scanned",
            thing=safe(name), remedy="scan each with: lockgate scan REF",
        )  # fmt: skip


def _new(root: Path | None, all_count: bool, as_json: bool) -> None:
    document = call(root, lambda client: client.get("/v1/scan/new"))
    show(document, as_json, lambda: "\n".join(_hit_lines(document)))
    counted = [one for one in document["items"] if all_count or _counts(one["finding"])]
    if counted or document["left_out"]:
        images = len({one["use"]["image"] for one in counted})
        raise FailedError(
            f"{some(len(counted) + document['left_out'], 'new finding')} in {some(images, 'image')}",
            thing="scan new", remedy="judge each, and see one artifact with: lockgate scan REF",
        )  # fmt: skip
    if not document["advisories"]:
        raise IncompleteError(
            "no advisories are loaded", thing="scan new", remedy="load some with: lockgate advisories load FILE"
        )
    if not document["complete"]:
        raise IncompleteError(
            f"nothing new was found; {some(document['not_scanned'], 'image was', 'images were')} not scanned",
            thing="scan new", remedy="scan each with: lockgate scan REF",
        )  # fmt: skip


def _text(document: dict[str, Any]) -> str:
    lines = list[str]()
    for image in document["images"]:
        lines += _image_lines(image)
    lines += _sources(document["advisories"])
    lines += [f"[!!] {_GAPS.get(gap, gap)}" for gap in document["gaps"]]
    aside = sum(document["set_aside"].values())
    if aside:
        said = ", ".join(f"{count} {status}" for status, count in sorted(document["set_aside"].items()))
        have = some(aside, "finding counts", "findings count")
        lines.append(f"[!!] {have} for nothing by VEX documents ({said}): --include-not-affected counts them")
    if document["complete"] and not any(document["counts"].values()):
        lines.append(f"[ok] nothing {'else ' if aside else ''}was found")
    return "\n".join(lines)


def _image_lines(image: dict[str, Any]) -> list[str]:
    name = f"{image['digest']} {image['platform']}".strip()
    state = {
        "scanned": f"{some(image['packages'], 'package')}, SBOM made here {image['at']}",
        "carried": f"[!!] not scanned here: {some(image['packages'], 'package')} by SBOMs from elsewhere, not counted",
        "not-scanned": "[!!] not scanned",
        "not-held": "[!!] not held here",
    }.get(image["state"], image["state"])
    lines = [safe(f"{name}: {state}" + (f" ({image['why']})" if image["why"] else ""))]
    rows = [
        (
            one["severity"] if one["state"] == "affected" else f"{one['severity']}?", one["id"], one["package"],
            one["version"], one["fix"] or "-", _exploitation(one), _vex(one), one["path"] or "-", one["source"],
        )
        for one in image["findings"]
    ]  # fmt: skip
    if rows:
        lines.append(table(rows, ("SEVERITY", "ID", "PACKAGE", "VERSION", "FIX", "EXPLOITED", "VEX", "PATH", "SOURCE")))
    lines += [
        f"[!!] no advisories for {safe(kind)}: {some(count, 'package')}" for kind, count in image["unmatched"].items()
    ]
    if image["unnamed"]:
        lines.append(f"[!!] {some(image['unnamed'], 'package')} without a package URL")
    if image["superseded"]:
        lines.append(f"{some(image['superseded'], 'finding')} left to the distribution's own advisories")
    return lines


def _exploitation(finding: dict[str, Any]) -> str:
    """What the KEV catalogue and EPSS say, the score with its day."""
    words = [f"known since {finding['exploited_since']}"] if finding["exploited"] else []
    if finding["epss"] is not None:
        words.append(f"EPSS {finding['epss']:.5f} of {finding['epss_dated'][:10]}")
    return ", ".join(words) or "-"


def _counts(finding: dict[str, Any]) -> bool:
    """Whether no VEX document says that it is not affected, or fixed."""
    return finding["vex"] is None or finding["vex"]["status"] not in ("not_affected", "fixed")


def _vex(finding: dict[str, Any]) -> str:
    """What a VEX document says, why, and who says it when."""
    said = finding["vex"]
    if said is None:
        return "-"
    why = f" ({said['justification'] or said['why']})" if said["justification"] or said["why"] else ""
    other = ", contradicted" if said["contradicted"] else ""
    return f"{said['status']}{why}{other}, {said['source']} of {said['at'][:10]}"


def _sources(advisories: list[dict[str, Any]]) -> list[str]:
    if not advisories:
        return ["[!!] no advisories are loaded: lockgate advisories load FILE"]
    return [
        f"[!!] advisories {safe(one['source'])}: damaged; load them again: lockgate advisories load FILE"
        if one["damaged"]
        else f"advisories {safe(one['source'])}: {one['dated']}, {some(one['age_days'], 'day')} old"
        for one in advisories
    ]


def _found(document: dict[str, Any]) -> str:
    lines = [f"known as {safe(', '.join(document['ids']))}"] if document["known"] else []
    return "\n".join([*lines, *_hit_lines(document)])


def _hit_lines(document: dict[str, Any]) -> list[str]:
    """A row for each place that shows a package with a finding, what is not told, and the advisories behind it."""
    rows = [
        (
            place, one["use"]["package"], one["use"]["version"], one["finding"]["fix"] or "-",
            one["finding"]["severity"], one["finding"]["id"], _exploitation(one["finding"]), _vex(one["finding"]),
            "" if one["use"]["origin"] == "own" else "by an SBOM from elsewhere",
        )
        for one in document["items"]
        for place in one["use"]["references"]
    ]  # fmt: skip
    lines = list[str]()
    if rows:
        lines.append(table(rows, ("REFERENCE", "PACKAGE", "VERSION", "FIX", "SEVERITY", "ID", "EXPLOITED", "VEX", "")))
    if document["left_out"]:
        lines.append(f"and {document['left_out']} more")
    if document["not_scanned"]:
        lines.append(f"[!!] {some(document['not_scanned'], 'image was', 'images were')} not scanned")
    return [*lines, *_sources(document["advisories"])]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {level}" for level, count in counts.items() if count)
