"""Rows about what releases stand for (`released`) that are not what the audit log makes them.

A withdrawal goes by these rows, and so does the rule that clients write into no repository of released content. What
they lead to is found elsewhere; here they are held against the replayed log before anything goes by them.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.release_check.replay import Replayed
from appliance.release_check.tag_history import RepositoryTags
from appliance.store.ports import Reader
from appliance.store.reads.released import Claim, claims_in, released_repositories


def changed_claims(reader: Reader, replayed: Replayed, most: int) -> list[tuple[str, Claim, str]]:
    """Claims of manifests and tags that are missing, or that no release made: (repository, claim, `missing` or
    `unexplained`), `most` at most. Of a repository whose history is not whole nothing is said."""
    found: list[tuple[str, Claim, str]] = []
    for repository, standing in sorted(replayed.repositories.items()):
        if standing.whole and len(found) < most:
            here, expected = claims_in(reader, repository), _claims(standing)
            found += _named(repository, expected - here, "missing")
            found += _named(repository, here - expected, "unexplained")
    for repository in released_repositories(reader):
        if repository not in replayed.repositories and len(found) < most:
            found += _named(repository, claims_in(reader, repository), "unexplained")
    return found[:most]


def _named(repository: str, claims: Iterable[Claim], how: str) -> list[tuple[str, Claim, str]]:
    return [(repository, claim, how) for claim in sorted(claims)]


def _claims(standing: RepositoryTags) -> set[Claim]:
    bundles = standing.bundles()
    found = {
        (who, "manifest", digest, digest) for digest, history in standing.shown.items() for who in history
        if who in bundles
    }  # fmt: skip
    return found | {(who, "tag", tag, target) for tag in standing.tags for who, target in standing.claims(tag)}
