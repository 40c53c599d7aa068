"""How many people some pinned keys are: by their owners, and by the accounts that the keys stand for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from appliance.paths import StationPaths
from appliance.settings.approvals import load_policy, person
from appliance.store.database import open_reader
from appliance.store.reads.accounts import Accounts
from appliance.store.whereabouts import is_made
from bundles.people import forms, gather
from bundles.signing.trust import TrustRecord


def people_behind(paths: StationPaths, signers: Iterable[TrustRecord]) -> int:
    """How many distinct people own these keys, by any name that they have here. The station need not run."""
    signers = list(signers)
    holders: dict[str, str | None] = {}
    if is_made(paths.database):
        with closing(open_reader(paths.database)) as reader:
            holders = {one.keyid: Accounts(reader).holder_of(one.keyid) for one in signers}
    policy = load_policy(paths.approvals)
    names = []
    for one in signers:
        holder = holders.get(one.keyid)
        names.append(forms(one.owner) | (person(policy, holder) if holder else frozenset()))
    return len(gather(names))
