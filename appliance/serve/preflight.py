"""What config.toml says of this system: whether the station could start with it, asked without starting it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.access.tls import server_context
from appliance.addresses import is_loopback, split_listen
from appliance.control.listeners import socket_group
from appliance.half_closed import require_closed_whole
from appliance.origin import require_made_so, require_open
from appliance.outgoing.sbom.syft_binary import check_named
from appliance.paths import StationPaths
from appliance.replication.primary import pinned_context
from appliance.settings.approvals import load_policy
from appliance.settings.caches import Caches
from appliance.settings.station import MEDIA_ROOTS, Config
from appliance.standby.process import require_startable as require_no_standby
from appliance.store.bucket_note import agree, secret_of
from appliance.store.database import open_reader
from appliance.store.elsewhere import require_agreement
from appliance.store.opening import place_of
from appliance.store.reads.caches import in_the_way
from appliance.store.whereabouts import is_made
from appliance.syslog.sending import context_of
from appliance.upstreams.upstream import Upstreams
from appliance.webhooks.messages import require_usable
from bundles.errors import LockgateError, UsageError

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


def require_startable(paths: StationPaths, config: Config, listen: str) -> None:
    """Go on only where the settings can be those of this station and system, whatever becomes of the rest, and
    where the folder is no stand-by. Raises UsageError naming the key, the value and what to write; RefusedError."""
    require_made_so(paths, config)
    require_agreement(paths.database, config.metadata.url)
    agree(paths, config.blobs)
    _require_none_beside_a_bucket(config)
    require_no_standby(paths, config)
    socket_group(config)
    _require_apart(config, listen)


def _require_bucket(paths: StationPaths, config: Config) -> None:
    """`[blobs]` can be where the station's blobs are, and its access key is there; nothing is asked of a server. Raises
    UsageError, RefusedError, FailedError."""
    agree(paths, config.blobs)
    if config.blobs.url:
        place_of(config.blobs)
        secret_of(paths)


def _require_none_beside_a_bucket(config: Config) -> None:
    """Nothing is set that a station whose blobs are in a bucket does not have. Raises UsageError."""
    if not config.blobs.url:
        return
    has = {"caches": bool(config.caches), "standby": bool(config.standby.exchange)}
    for key, is_set in has.items():
        if is_set:
            raise UsageError(
                "a station whose blobs are in a bucket does not have this", thing=f"[{key}]",
                remedy="leave it out; docs/howto/scale-out.md says what such a station can do",
            )  # fmt: skip


def objections(paths: StationPaths, config: Config) -> list[LockgateError]:
    """Everything that would keep a station from starting with its settings, or from working as they say. Blocking: a
    syft binary that is named is read, and so are the certificates of registries."""
    asked: tuple[Callable[[], object], ...] = (
        lambda: require_made_so(paths, config),
        lambda: require_agreement(paths.database, config.metadata.url),
        lambda: _require_bucket(paths, config),
        lambda: _require_none_beside_a_bucket(config),
        lambda: socket_group(config),
        lambda: _require_apart(config, config.listen),
        lambda: require_loopback(config, split_listen(config.listen)[0]),
        lambda: _require_address("listen", config.listen),
        lambda: _require_address("metrics_listen", config.metrics_listen),
        *(lambda root=root: _require_folder(root) for root in config.media_roots if root not in MEDIA_ROOTS),
        lambda: require_open(paths, config),
        lambda: None if config.open else _require_tls(paths, config),
        lambda: load_policy(paths.approvals),
        lambda: check_named(config.sbom),
        lambda: require_apart_from_caches(paths, config),
        lambda: context_of(config.syslog, paths.root) if config.syslog.host else None,
        *(lambda name=name: require_usable(paths, name, config.webhooks[name]) for name in config.webhooks),
        *(
            lambda name=name, one=one: pinned_context(paths.root, name, one)
            for name, one in config.replicas.items()
            if one.ca
        ),
    )
    return [*_raised(asked), *Upstreams(config, paths.root).objections()]


def _raised(asked: tuple[Callable[[], object], ...]) -> Iterator[LockgateError]:
    for ask in asked:
        try:
            ask()
        except LockgateError as error:
            yield error


def require_apart_from_caches(paths: StationPaths, config: Config) -> None:
    """Nothing but what caches brought stands where they put it. Raises UsageError."""
    prefixes = Caches(config.caches).prefixes
    if not prefixes or not is_made(paths.database):
        return
    with contextlib.closing(open_reader(paths.database)) as reader:
        found = in_the_way(reader, prefixes)
    if found is not None:
        what = "released content" if found[1] == "released" else "content that no cache brought"
        raise UsageError(
            f"a cache's prefix covers {what}", thing=f"{found[0]} (caches in config.toml)",
            remedy="give the cache another prefix: what it brings stands apart from everything else",
        )  # fmt: skip


def _require_tls(paths: StationPaths, config: Config) -> None:
    require_closed_whole(paths, config)
    server_context(config, paths)


def _require_address(key: str, listen: str) -> None:
    """The address of a setting is one of this machine's, whatever holds its port now. Raises UsageError."""
    if not listen:
        return
    host, _ = split_listen(listen)
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise UsageError(
            f"this machine has no such address ({error.strerror})", thing=f'{key} = "{listen}" in config.toml',
            remedy="write one that it has (see: ip address), 127.0.0.1 for itself alone, or 0.0.0.0 for all of them",
        ) from None  # fmt: skip


def _require_folder(root: str) -> None:
    """A folder of media_roots is there. The usual ones (MEDIA_ROOTS) come with the first medium. Raises UsageError."""
    if not Path(root).is_dir():
        raise UsageError(
            "no such folder", thing=f"media_roots = {root} in config.toml",
            remedy="make it, or name the folder below which media are mounted",
        )  # fmt: skip


def require_loopback(config: Config, host: str) -> None:
    """An open station listens on loopback alone. Raises UsageError."""
    if config.open and not is_loopback(host):
        raise UsageError(
            "an open station listens on loopback alone", thing=host, remedy="use 127.0.0.1, ::1 or localhost"
        )


def _require_apart(config: Config, listen: str) -> None:
    """Metrics and the registry are two listeners. Raises UsageError."""
    if not config.metrics_listen:
        return
    (host, port), (other, other_port) = split_listen(listen), split_listen(config.metrics_listen)
    if port and port == other_port and (host == other or host in _EVERYWHERE or other in _EVERYWHERE):
        raise UsageError(
            "the registry listens there already",
            thing=f'metrics_listen = "{config.metrics_listen}" in config.toml',
            remedy="give it another port",
        )
