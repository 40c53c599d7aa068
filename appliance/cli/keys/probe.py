"""`lockgate probe`: pulls a canary image through every door of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.keys.registry_address import host_option, registry_address
from appliance.cli.shared.context import MB, call, json_option, show, station_option, station_root, table
from bundles.errors import FailedError, UsageError
from bundles.io.display import safe, some


@click.command()
@click.argument("image", metavar="[REF]", required=False)
@click.option("--last", is_flag=True, help="Say how the last probe went that the station made by itself.")
@click.option("--daemonset", is_flag=True, help="Print a DaemonSet by which each node of a cluster pulls it.")
@host_option
@station_option
@json_option
def probe(root: Path | None, image: str | None, last: bool, daemonset: bool, host: str | None, as_json: bool) -> None:
    """Pull a small image through the listener and each worker, as clients do, and hold every byte against its digest.

    REF is in the station; without it the canary of config.toml is pulled ([probe]), and the result stands in `status`
    and the metrics. Ends with 1 where a door did not give it. Nothing but the station is connected to.
    """
    if sum((last, daemonset)) > 1 or (last and image) or (host is not None and not daemonset):
        raise UsageError(
            "options that do not go together",
            thing="--last, --daemonset, --host",
            remedy="give --last alone, or --daemonset with --host and REF",
        )
    if daemonset:
        _print_daemonset(root, image, host, as_json)
        return
    sent = {"image": image} if image else {}
    document = call(root, lambda client: client.get("/v1/probe") if last else client.post("/v1/probe", sent))
    show(document, as_json, lambda: _told(document))
    failed = [door for door in document["doors"] if door["reason"] != "ok"]
    if document["fault"] or failed:
        raise _error(document, failed)


_REMEDIES: Final = {
    "connect": "look at the station's error output, and see: lockgate status",
    "tls": "see: lockgate tls show; then: lockgate tls renew",
    "token": "see: lockgate token list ROBOT",
    "denied": "see: lockgate role explain ROBOT REPOSITORY",
    "name": "name one that is served, as image in [probe] of config.toml; see: lockgate repo list",
    "digest": "look for damage: lockgate scrub",
    "large": "name a smaller image: image in [probe] of config.toml",
}
_OTHERWISE: Final = "look at the station's error output, then try again"


def _error(document: dict[str, Any], failed: list[dict[str, Any]]) -> FailedError:
    if not failed:
        return FailedError("the last probe could not be made", thing=document["image"], remedy="see: lockgate probe")
    first = failed[0]
    return FailedError(
        f"the canary did not come through {len(failed)} of {some(len(document['doors']), 'door')}",
        thing=f"{document['image']}, {first['door']}: {first['reason']}",
        remedy=_REMEDIES.get(first["reason"], _OTHERWISE),
    )


def _told(document: dict[str, Any]) -> str:
    if document["fault"] or not document["at"]:
        return safe(document["fault"] or "the station has not probed yet")
    rows = [
        (door["door"], f"[{'ok' if door['reason'] == 'ok' else '!!'}]", f"{door['seconds']:.3f} s",
         f"{door['bytes'] / MB:.2f} MB", safe(": ".join(filter(None, (door["reason"], door["detail"])))))
        for door in document["doors"]
    ]  # fmt: skip
    told: str = table(rows, ("DOOR", "STATE", "TIME", "BYTES", "RESULT"))
    return f"{safe(document['image'])}, {document['at']}\n{told}"


def _print_daemonset(root: Path | None, image: str | None, host: str | None, as_json: bool) -> None:
    from appliance.access.canary_manifest import daemonset as manifest
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from bundles.oci.reference import Reference

    paths = StationPaths(station_root(root))
    reference = Reference.parse(image) if image else load_config(paths.config).probe.reference
    if reference is None:
        raise UsageError(
            "no canary was named",
            thing="image in [probe] of config.toml",
            remedy="name a small image that is served here: lockgate probe REPOSITORY:TAG --daemonset",
        )
    reach = registry_address(paths, host)
    text = manifest(reach, reference)
    show({"host": reach, "image": str(reference), "text": text}, as_json, text.rstrip)
