"""Which of the blobs that the store holds need not come from a source, as far as permissions go.

Whoever names a digest must have its bytes: else a manifest with the digest of somebody's private layer would have it
shown in another repository. So a blob is taken from the store only for a repository that shows it already, for one that
it came for, or where the job's actor may pull it elsewhere.
"""

from __future__ import annotations

from appliance.permissions import ANONYMOUS
from appliance.station import Station
from appliance.store.partials import Partials
from appliance.store.reads.accounts import Accounts
from appliance.store.rows import WrongRowError
from bundles.oci.digest import Digest


class Entitled:
    """What one job may take from the store. An open station has no grants: there its actor is as anybody."""

    def __init__(self, station: Station, actor: str) -> None:
        self._metadata, self._partials = station.metadata, Partials(station.blobs)
        self._rules = station.config.access.rules()
        account = None if station.config.open else Accounts(station.reader).find(actor)
        self._caller = ANONYMOUS if account is None or account.disabled is not None else account.caller()

    def shows(self, repository: str, digest: Digest) -> bool:
        """Whether the repository shows the blob."""
        try:
            return self._metadata.linked_blob(repository, digest) is not None
        except WrongRowError:
            return False

    def shows_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether the repository shows the manifest."""
        try:
            return self._metadata.linked_manifest(repository, digest) is not None
        except WrongRowError:
            return False

    def may_take(self, repository: str, digest: Digest) -> bool:
        """Whether a blob that the store holds may be shown in the repository without its source giving it."""
        return (
            self.shows(repository, digest)
            or self._partials.is_delivered(digest, repository)
            or any(
                self._rules.decide(self._caller, "pull", name) and self.shows(name, digest)
                for name in self._metadata.shown_anywhere(digest)
            )
        )
