"""The way to a primary: its address, the authority that is pinned for it, the robot that asks there, and how fast.

The secret is the systemd credential `replica-NAME` of the service, or `keys/replica-NAME.secret`; it is read when it is
used, so that a new one counts from the next look on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

from appliance.limits import collecting as collecting_limits
from appliance.limits import replication as limits
from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.registry_client import RegistryClient
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.tag_lists import repositories_of, tags_of
from appliance.outgoing.collect.tasks import in_thread
from appliance.outgoing.collect.transfer import Sink
from appliance.replication.block_list import blocks_of
from appliance.settings.replicas import ReplicaSettings, split_url
from appliance.settings.transfer_form import NAME
from appliance.sftp.pace import Pace
from appliance.upstreams.certificates import Certificates, context_of
from bundles.errors import MalformedError, NotFoundError, RefusedError, UsageError
from bundles.io.display import safe
from bundles.io.files import read_small
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, parse_manifest
from bundles.oci.reference import Reference, RemoteReference

_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO
_NOWHERE_ELSE: Final = ((),)
"""The hosts that a primary may send its follower on to, beside itself."""


def find_replica(replicas: dict[str, ReplicaSettings], name: str) -> ReplicaSettings:
    """The settings of a replica. Raises UsageError."""
    settings = replicas.get(name) if NAME.match(name) else None
    if settings is None:
        known = f"there are {', '.join(sorted(replicas))}" if replicas else "there is none yet"
        raise UsageError(
            "no such replica", thing=safe(name[:80]),
            remedy=f"{known}; it is named in config.toml as [replicas.NAME]",
        )  # fmt: skip
    return settings


def pinned_context(root: Path, name: str, settings: ReplicaSettings) -> SSLContext:
    """A client's context in which the authorities in `ca` count, and no others. Blocking. Raises FailedError."""
    return context_of(Certificates((root / settings.ca,), alone=True), f"[replicas.{name}]")


class Primary:
    """One primary for one look, on one event loop; to be closed. `Accesses` of the registry client."""

    def __init__(self, root: Path, name: str, settings: ReplicaSettings, say: Callable[[str], object]) -> None:
        """Raises UsageError, RefusedError, FailedError where the secret or the authority cannot be used."""
        self.host, secure = split_url(settings.url)
        self._name, self._settings, self._say = name, settings, say
        self._secret = _secret(root, name) if settings.account else None
        if settings.account and not self._secret:
            raise UsageError(
                "no secret for the robot", thing=f"{settings.account} of replica {name}",
                remedy=f"give it as the systemd credential replica-{name}, or as keys/replica-{name}.secret",
            )  # fmt: skip
        self._context = pinned_context(root, name, settings) if secure else None
        self._hosts = Hosts(say=say)
        self._kept = KeptBytes(collecting_limits.COLLECT_MEMORY)
        self._pace = Pace(settings.rate)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._hosts.close()

    def for_repository(self, host: str, repository: str) -> HostAccess:
        """As Accesses.for_repository."""
        return HostAccess(
            host, user=self._settings.account or None, secret=self._secret, ssl=self._context,
            authorities=self._authorities, plain_http=self._context is None, proxy="",
        )  # fmt: skip

    def _authorities(self, _: str) -> SSLContext | None:
        return self._context

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        """As Accesses.mirrors: none."""
        return ()

    def located(self, host: str, repository: str) -> tuple[str, str]:
        """As Accesses.located: there."""
        return host, repository

    async def repositories(self) -> list[str]:
        """Every repository that the primary shows the robot. Raises FailedError where it lists none: a primary always
        has a catalog."""
        try:
            return await repositories_of(self._client(""))
        except NotFoundError as error:
            raise RefusedError(
                "the primary has no catalog", thing=error.thing, remedy="check `url`: it is to be a Lockgate station"
            ) from None

    async def blocks(self, side: str) -> dict[str, str]:
        """What is blocked there, by digest, and why. Raises RefusedError where the primary does not tell, or is not on
        this `side` of the gap, MalformedError for a list that is none or has no end."""
        try:
            return await blocks_of(self._client(""), side)
        except NotFoundError as error:
            raise RefusedError(
                "the primary does not tell what is blocked there", thing=error.thing,
                remedy="check `url`: it is to be a Lockgate station of this version or a later one",
            ) from None  # fmt: skip

    async def tags(self, repository: str) -> list[str]:
        """The tags of a repository. Raises NotFoundError where there is no such repository."""
        return await tags_of(self._client(repository))

    def source(self, repository: str, tag: str) -> RemoteSource:
        """What stands at a tag."""
        reference = Reference(repository, tag)
        return _PacedSource(
            self._pace if self._settings.rate else None, RemoteReference(self.host, reference), reference, self._hosts,
            accesses=self, narrowed=lambda _: _NOWHERE_ELSE, kept=self._kept, say=self._say,
        )  # fmt: skip

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        """The manifests that refer to a manifest. Raises MalformedError for a list without end."""
        found: list[Descriptor] = []
        async for page in self._referrers(repository, digest):
            found += page
            if len(found) > collecting_limits.REMOTE_REFERRERS:
                raise MalformedError(
                    "the primary lists too many referrers", thing=f"{repository}@{digest}",
                    remedy=f"at most {collecting_limits.REMOTE_REFERRERS} are followed",
                )  # fmt: skip
        return found

    async def _referrers(self, repository: str, digest: Digest) -> AsyncIterator[Sequence[Descriptor]]:
        client, path = self._client(repository), f"referrers/{digest}"
        for _ in range(collecting_limits.REMOTE_PAGES):
            try:
                document = await client.document(path)
            except NotFoundError:
                raise RefusedError(
                    "the primary lists no referrers", thing=f"{repository}@{digest}",
                    remedy="check `url`: it is to be a Lockgate station",
                ) from None  # fmt: skip
            yield parse_manifest(document.raw, OCI_INDEX).manifests
            if not document.next:
                return
            path = document.next
        raise MalformedError(
            "the primary lists referrers without end", thing=f"{repository}@{digest}", remedy="ask its administrator"
        )

    def _client(self, repository: str) -> RegistryClient:
        access = self.for_repository(self.host, repository)
        return RegistryClient(self._hosts.client(access, _NOWHERE_ELSE), repository, access)


class _PacedSource(RemoteSource):
    """A source that gives bytes no faster than a pace."""

    def __init__(self, pace: Pace | None, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pace = pace

    async def fetch(self, blob: Descriptor, sink: Sink, advance: Callable[[int], object]) -> None:
        """As RemoteSource.fetch."""
        await super().fetch(blob, sink if self._pace is None else _PacedSink(sink, self._pace), advance)


class _PacedSink:
    """transfer.Sink that takes its time."""

    def __init__(self, sink: Sink, pace: Pace) -> None:
        self._sink, self._pace = sink, pace

    @property
    def offset(self) -> int:
        return self._sink.offset

    async def write(self, pieces: Sequence[bytes]) -> None:
        """As Sink.write."""
        await in_thread(self._pace.take, sum(map(len, pieces)))
        await self._sink.write(pieces)

    async def restart(self) -> None:
        """As Sink.restart."""
        await self._sink.restart()

    async def check(self, blob: Descriptor) -> None:
        """As Sink.check."""
        await self._sink.check(blob)


def _secret(root: Path, name: str) -> str | None:
    """The first line of the credential `replica-NAME`, else of `keys/replica-NAME.secret`. Raises RefusedError for a
    file that others can read, UsageError for what is no text, FailedError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / f"replica-{name}" if folder else None
    if path is None or not path.is_file():
        path = root / "keys" / f"replica-{name}.secret"
        if not path.is_file():
            return None
        if path.stat().st_mode & _EXPOSED:
            raise RefusedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")
    try:
        return read_small(path, limits.REPLICA_SECRET).split(b"\n", 1)[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise UsageError(
            "a robot's secret is no text", thing=str(path), remedy="write the secret as `token create` printed it"
        ) from None
