"""What config.toml says of this system: whether the station could start with it, asked without starting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.access.tls import server_context
from appliance.addresses import is_loopback, split_listen
from appliance.control.listeners import socket_group
from appliance.half_closed import require_closed_whole
from appliance.origin import require_made_so, require_open
from appliance.outgoing.sbom.syft_binary import check_named
from appliance.paths import StationPaths
from appliance.settings.approvals import load_policy
from appliance.settings.station import Config
from bundles.errors import LockgateError, UsageError

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


def require_startable(paths: StationPaths, config: Config, listen: str) -> None:
    """Go on only where the settings can be those of this station and system, whatever becomes of the rest. Raises
    UsageError naming the key, the value and what to write."""
    require_made_so(paths, config)
    socket_group(config)
    _require_apart(config, listen)


def objections(paths: StationPaths, config: Config) -> list[LockgateError]:
    """Everything that would keep a station from starting with its settings, or from working as they say. Blocking: a
    syft binary that is named is read."""
    asked: tuple[Callable[[], object], ...] = (
        lambda: require_made_so(paths, config),
        lambda: socket_group(config),
        lambda: _require_apart(config, config.listen),
        lambda: require_loopback(config, split_listen(config.listen)[0]),
        lambda: require_open(paths, config),
        lambda: None if config.open else _require_tls(paths, config),
        lambda: load_policy(paths.approvals),
        lambda: check_named(config.sbom),
    )
    return list(_raised(asked))


def _raised(asked: tuple[Callable[[], object], ...]) -> Iterator[LockgateError]:
    for ask in asked:
        try:
            ask()
        except LockgateError as error:
            yield error


def _require_tls(paths: StationPaths, config: Config) -> None:
    require_closed_whole(paths, config)
    server_context(config, paths)


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
