"""`lockgate advisories`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, detach_option, json_option, show, station_option, table
from bundles.errors import UsageError
from bundles.io.display import safe, some


@click.group()
def advisories() -> None:
    """Security advisories, which vulnerabilities are found by: load, list, remove."""


@advisories.command()
@click.argument("export", metavar="FILE|FOLDER|REF")
@click.option("--source", metavar="NAME", help="Whose advisories they are (default: osv-ECOSYSTEM).")
@click.option("--replace", is_flag=True, help="Take an export that is older, or has far fewer records, too.")
@detach_option
@station_option
@json_option
def load(root: Path | None, export: str, source: str | None, replace: bool, detach: bool, as_json: bool) -> None:
    """Load advisories in OSV form: a zip of records (an ecosystem's all.zip), a folder of them, or REF, the reference
    of a collected zip, which may have come in a bundle. Also CISA's catalogue of known exploited vulnerabilities
    (JSON), and EPSS scores (CSV, also as .gz), which findings are rated by; and VEX documents (OpenVEX, or CSAF's VEX
    profile; one, or a zip or folder of them with --source vex-NAME), which answer findings.

    They take the place of the source's earlier ones, all at once. Records that cannot be read are counted and named,
    and every verdict says so from then on.
    """
    from appliance.cli.shared.follow import run_job

    params: dict[str, Any] = {"source": source, "replace": replace, **_named(export)}
    result = run_job(root, "advisories", params, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else _loaded(result))


def _named(export: str) -> dict[str, str]:
    """The export's params: a path that is there, else a reference. Raises UsageError, MalformedError."""
    from bundles.oci.reference import Reference

    if Path(export).exists():
        return {"path": os.path.normpath(Path(export).absolute())}
    reference = Reference.parse(export) if ":" in export or "@" in export else None
    if export.startswith(("/", ".", "~")) or reference is None or (reference.tag is None and reference.digest is None):
        raise UsageError("no such file or folder", thing=safe(export)[:160], remedy="check the path, or give REPO:TAG")
    return {"reference": export}


def _loaded(result: dict[str, Any]) -> str:
    what = "statement" if result["source"].startswith("vex-") else "record"
    lines = [f"{safe(result['source'])}: {some(result['records'], what)}, {result['dated']}"]
    if result["unchanged"]:
        lines.append("the same export was loaded before; nothing changed")
    lines += [f"  {safe(name)}: {some(count, 'entry', 'entries')}" for name, count in result["ecosystems"].items()]
    if result["withdrawn"]:
        lines.append(f"{some(result['withdrawn'], 'record')} withdrawn")
    if result["without_versions"]:
        lines.append(f"{some(result['without_versions'], 'entry', 'entries')} without a version to compare")
    if result["not_ordered"]:
        lines.append(f"[!!] versions of {safe(', '.join(result['not_ordered']))} are compared by equality alone")
    if result["malformed"]:
        lines.append(f"[!!] {some(result['malformed'], 'record')} could not be read")
        lines += [f"     {safe(text)}" for text in result["malformed_named"]]
    if result["unmatched"]:
        lines.append(f"[!!] {some(result['unmatched'], 'product')} named by nothing that can be compared here")
    if _about(result):
        return "\n".join(lines)
    lines.append(f"{some(result['affected'], 'image')} of {result['images']} scanned have findings")
    return "\n".join(lines)


@advisories.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The sources: date, age, and what they are about."""
    document = call(root, lambda client: client.get("/v1/advisories"))
    show(document, as_json, lambda: _listed(document["items"]))


_ABOUT: Final = {"cisa-kev": "known exploited vulnerabilities", "epss": "EPSS scores"}
"""What sources that have no ecosystems are about."""


def _about(source: dict[str, Any]) -> str:
    """What a source without ecosystems is about; "" for any other."""
    if source["ecosystems"]:
        return ""
    return "VEX" if source["source"].startswith("vex-") else _ABOUT.get(source["source"], "")


def _listed(items: list[dict[str, Any]]) -> str:
    if not items:
        return "no advisories are loaded"
    rows = [
        (
            one["source"], *(("-", "-") if one["damaged"] else (one["dated"], some(one["age_days"], "day"))),
            one["records"], one["malformed"],
            "[!!] damaged: load it again" if one["damaged"] else ", ".join(one["ecosystems"]) or _about(one),
            *(("-", "-") if one["damaged"] else (one["loaded"], one["actor"])),
        )
        for one in items
    ]  # fmt: skip
    return table(rows, ("SOURCE", "DATE", "AGE", "RECORDS", "UNREADABLE", "ABOUT", "LOADED", "BY"))


@advisories.command()
@click.argument("source", metavar="SOURCE")
@station_option
@json_option
def remove(root: Path | None, source: str, as_json: bool) -> None:
    """Take a source's advisories away: nothing is held against them any more."""
    document = call(root, lambda client: client.request("DELETE", f"/v1/advisories/{quote(source, safe='')}"))
    show(document, as_json, lambda: f"{safe(document['source'])}: removed")
