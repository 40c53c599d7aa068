"""`lockgate key revoke | untrust | change`: of a key that is pinned. Each lists what the key had to do with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.audit.acts import Act
from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.errors import UsageError
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.api.recall import Recall
    from bundles.signing.trust import TrustRecord


@click.command()
@click.argument("keyid")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the key.")
@folder_option
@json_option
def revoke(root: Path | None, keyid: str, why: str, as_json: bool) -> None:
    """Stop believing a pinned key, from now on and at once.

    What was released on its signature before stays, and is listed here to be recalled where it must be: bundles, the
    tags they became, and who pulled them.
    """
    from appliance import trust_acts
    from appliance.cli.station.audit import recalled

    station = station_root(root)
    record = trust_acts.revoke(station, keyid, why)
    found = _recall(station, keyid)
    document = {
        "keyid": keyid, "owner": record.owner, "why": why if record.revoked is None else record.revoked.why,
        "at": "" if record.revoked is None else record.revoked.at, "recall": found,
    }  # fmt: skip
    lines = [f"revoked {keyid} of {safe(record.owner)}"]
    lines.append("no bundle has anything to do with it" if found is None else recalled(found))
    show(document, as_json, lambda: "\n".join(lines))


def _recall(station: Path, keyid: str) -> Recall | None:
    """The bundles that the key signed or decided about, the tags they became, and who pulled them."""
    from contextlib import closing

    from appliance.custody.recall import recall
    from appliance.paths import StationPaths
    from appliance.store.database import open_reader
    from appliance.store.whereabouts import is_made
    from bundles.errors import NotFoundError

    paths = StationPaths(station)
    if not is_made(paths.database):
        return None
    with closing(open_reader(paths.database)) as reader:
        try:
            return recall(reader, paths, keyid)
        except NotFoundError:
            return None


@click.command()
@click.argument("keyid")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept in the audit log.")
@folder_option
@json_option
def untrust(root: Path | None, keyid: str, why: str, as_json: bool) -> None:
    """Take a key that was pinned wrongly out of the trust folder; it may be pinned again.

    A key that somebody else may have is revoked instead: a revoked key stays, and is never taken out. What was released
    on the key's signature before stays, and is listed here.
    """
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles.signing.keys import check_keyid
    from bundles.signing.pinned_key import untrust_key
    from bundles.signing.trust import TrustFolder

    station = station_root(root)
    trust = StationPaths(station).trust
    known = TrustFolder.load(trust).find(check_keyid(keyid))
    was = {} if known is None else _described(known)
    with recorded(station, Act.KEY_UNTRUST, keyid, {"why": why, "was": was}):
        record = untrust_key(trust, keyid, why=why)
    lines = [f"{keyid} of {safe(record.owner)} is not trusted any more"]
    _report(station, record, {"why": why, "was": _described(record)}, lines, as_json)


@click.command()
@click.argument("keyid")
@click.option("--owner", metavar="WHO", help="Whose key it really is.")
@click.option("--from", "sites", multiple=True, metavar="SITE", help="The sites it may sign for, instead.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept in the audit log.")
@folder_option
@json_option
def change(root: Path | None, keyid: str, owner: str | None, sites: tuple[str, ...], why: str, as_json: bool) -> None:
    """Give a pinned key its right owner or sites, where it was pinned with wrong ones.

    The rules of `key trust` hold. Approvals that were given and not yet released count as the new owner's from now on.
    """
    from appliance.audit.folder_acts import recorded
    from appliance.paths import StationPaths
    from bundles.signing.keys import check_keyid
    from bundles.signing.pinned_key import change_key
    from bundles.signing.trust import TrustFolder

    station = station_root(root)
    if owner is None and not sites:
        raise UsageError("nothing is to be changed", thing=keyid, remedy="give --owner WHO, or --from SITE")
    trust = StationPaths(station).trust
    known = TrustFolder.load(trust).find(check_keyid(keyid))
    detail: dict[str, Any] = {"why": why, "was": {} if known is None else _described(known)}
    detail |= ({} if owner is None else {"owner": owner}) | ({"sites": list(sites)} if sites else {})
    with recorded(station, Act.KEY_CHANGE, keyid, detail):
        before, after = change_key(trust, keyid, why=why, owner=owner, sites=sites or None)
    lines = [
        f"{keyid} is {safe(after.owner)}'s, for {', '.join(after.purposes)} from {', '.join(after.sites) or 'no site'};"
        f" it was {safe(before.owner)}'s, from {', '.join(before.sites) or 'no site'}"
    ]
    _report(station, after, {"why": why, "was": _described(before), "now": _described(after)}, lines, as_json)


def _described(record: TrustRecord) -> dict[str, Any]:
    return {"owner": record.owner, "purposes": list(record.purposes), "sites": list(record.sites)}


def _report(station: Path, record: TrustRecord, document: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """What was changed, whom the key still stands for, and what it had to do with."""
    from appliance.cli.station.audit import recalled

    found, holder = _recall(station, record.keyid), _holder(station, record.keyid)
    if holder is not None:
        unbind = f"lockgate user unbind-key {holder} {record.keyid}"
        lines.append(f"it stands for the account {holder}; where that is wrong, an administrator says: {unbind}")
    lines.append("no bundle has anything to do with it" if found is None else recalled(found))
    show({"keyid": record.keyid, **document, "account": holder, "recall": found}, as_json, lambda: "\n".join(lines))


def _holder(station: Path, keyid: str) -> str | None:
    """The account that the key stands for."""
    from contextlib import closing

    from appliance.paths import StationPaths
    from appliance.store.database import open_reader
    from appliance.store.reads.accounts import Accounts
    from appliance.store.whereabouts import is_made

    database = StationPaths(station).database
    if not is_made(database):
        return None
    with closing(open_reader(database)) as reader:
        return Accounts(reader).holder_of(keyid)
