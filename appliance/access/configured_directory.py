"""The directory that a station's config.toml names, for whoever asks who somebody is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from appliance.access.directory import DirectoryAccounts
from appliance.audit.event import AuditEvent
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.store.reads.accounts import Accounts
from appliance.store.writes.write import AsyncWriter


def configured_directory(
    config: Config, paths: StationPaths, accounts: Accounts, writer: AsyncWriter,
    record: Callable[[AuditEvent], Awaitable[None]],
) -> DirectoryAccounts | None:  # fmt: skip
    """The people of the directory, or None where there is none; `record` takes events. Raises UsageError where the
    library is not installed."""
    if not config.directory.address or config.open:
        return None
    from appliance.access.ldap_directory import LdapDirectory  # here: its library is an extra

    return DirectoryAccounts(LdapDirectory(config.directory, paths.root), accounts, writer, record)
