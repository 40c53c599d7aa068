"""The supervisor of a station: holds its lock and the listening socket, and runs the control process and the data-plane
workers (docs/adr/0004; appliance.serve.processes keeps them going).

The workers inherit one listening socket: a worker that dies takes no connection with it that it had not accepted, and
a port that another program holds is seen when it is bound, where SO_REUSEPORT would share it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from appliance.access.tls import server_context
from appliance.addresses import split_listen
from appliance.audit.checkpoints import sign_end
from appliance.caching import process as caching
from appliance.control import server
from appliance.half_closed import require_closed_whole
from appliance.lifecycle import forgotten, moving
from appliance.lifecycle.forgotten_blocks import block_again, withdraw_again
from appliance.lifecycle.restored_copy import note_went_back, shut_if_forgotten
from appliance.limits import store as limits
from appliance.measures.objectives import Objectives, of_site
from appliance.measures.slots import Slots
from appliance.origin import adopt, require_open, was_made_open
from appliance.paths import StationPaths
from appliance.program_log import log_to_stderr, say
from appliance.registry.measuring import RegistryMeasures
from appliance.serve import worker
from appliance.serve.preflight import require_apart_from_caches, require_loopback, require_startable
from appliance.serve.processes import CONTROL, Role, Supervisor
from appliance.settings.metadata import shown
from appliance.settings.station import Config, load_config
from appliance.shared_flag import SharedFlag
from appliance.standby import process as standby
from appliance.station import note_listening, station_lock
from appliance.store.bucket_note import agree, note
from appliance.store.database import open_reader
from appliance.store.elsewhere import go_elsewhere, require_agreement
from appliance.store.errors import UnavailableEngineError
from appliance.store.reads.accounts import Accounts
from appliance.store.reserve import Reserve
from appliance.store.whereabouts import is_made, note_identity
from appliance.tracing.files import clear
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.io.display import safe, some
from bundles.processes import start
from bundles.signing.keys import exposure

_NAMED: Final = 10
"""Bundles that are named in one line."""


def serve(root: Path, listen: str | None = None) -> int:
    """Run the station in `root` until SIGTERM or SIGINT. Returns the exit status.

    Raises UsageError (no station, an address that may not be), FailedError (running already, the port is in use).
    """
    paths = StationPaths(root.resolve())
    os.chdir(start.FOLDER)  # nothing is loaded from, or written to, the folder that a shell happened to be in
    _end_move(paths)
    config = load_config(paths.config)
    require_startable(paths, config, listen or config.listen)
    _prepare(paths, config)
    reserve, starting = Reserve(paths.reserve), SharedFlag()
    starting.set()
    reserve.make_room(limits.RESERVE_START, starts=True)
    host, port = split_listen(listen or config.listen)
    found = forgotten.look(paths)
    if found is not None and (config.side == "outside" or not found.usable):
        if config.open:  # a station that was not made open is told that first, whatever became of its database
            adopt(paths, config)
            require_open(paths, config)
        raise forgotten.refused(paths, config, found)
    if config.open:
        _check_open(host, paths, config)
    else:
        _check_closed(config, paths)
    scheme = "http" if config.open else "https"
    objectives, laid_out = of_site(config.slo)
    slots = Slots(laid_out, paths.metrics, config.slo)
    with station_lock(paths), _listening(host, port) as listener:
        slots.prepare()
        clear(paths.traces, {CONTROL, *(f"worker-{number}" for number in range(1, config.workers + 1))})
        if config.side == "inside":
            _shut_if_forgotten(paths, config)
        require_apart_from_caches(paths, config)
        port = listener.getsockname()[1]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        note_listening(paths, address)
        roles = _roles(paths, config, address, listener, slots, starting, objectives)
        log_to_stderr("supervisor", as_json=roles[0].log_as_json, outbox=roles[0].log_outbox, forks=True)

        def before() -> None:
            starting.set()
            reserve.make_room(limits.RESERVE_START, starts=True)
            if not paths.listening.exists():  # somebody removed the folder of sockets
                note_listening(paths, address)

        def after() -> None:
            starting.clear()
            reserve.take_back()

        supervisor = Supervisor(roles, before, after=after, place=lambda: note_identity(paths.database))
        try:
            return supervisor.run(f"lockgate: {config.site} ({config.side}) serving {scheme}://{address}")
        finally:
            sign_end(paths)


def _roles(
    paths: StationPaths, config: Config, address: str, listener: socket.socket, slots: Slots, starting: SharedFlag,
    objectives: Objectives,
) -> list[Role]:  # fmt: skip
    """The station's processes."""
    runs = {CONTROL: functools.partial(_control, paths.root, address, slots, starting, config.workers)}
    if config.caches:
        runs["cache"] = functools.partial(caching.run, paths.root)
    for number in range(1, config.workers + 1):
        runs[f"worker {number}"] = functools.partial(_work, paths.root, listener, slots, objectives, number)
    if config.standby.exchange:
        runs["stand-by"] = functools.partial(standby.run, paths.root)
    outbox = paths.log_outbox if config.syslog.program else None
    return [Role(name, run, config.log.format == "json", outbox) for name, run in runs.items()]


def _control(
    root: Path, address: str, slots: Slots, starting: SharedFlag, workers: int, ready: Callable[[], object]
) -> None:
    server.run(root, address, ready, slots, starting.is_set, workers)


def _work(
    root: Path, listener: socket.socket, slots: Slots, objectives: Objectives, number: int, ready: Callable[[], object]
) -> None:
    measures = RegistryMeasures(slots.open(f"worker-{number}"), objectives)
    worker.run(root, listener, ready, measures, slots.keep_filed, number)


def _prepare(paths: StationPaths, config: Config) -> None:
    """Take up where the metadata is now, where that was moved as a whole, and what is the way to the
    bucket; warn of keys that others can read."""
    if require_agreement(paths.database, config.metadata.url):
        with station_lock(paths):
            go_elsewhere(paths.database, config.metadata.url)
    if (moved := agree(paths, config.blobs)) is not None:
        with station_lock(paths):
            note(paths, moved)
    _warn_of_keys(paths)


def _end_move(paths: StationPaths) -> None:
    """End a move of the metadata that was cut off behind its switch. The old database may be away: it is marked another
    time then."""
    try:
        if place := moving.finish(paths):
            said = f"the metadata is in {safe(shown(place))}: a move that was cut off has ended"
            say(said)
    except LockgateError as error:
        say(safe(error.diagnostics()))


def _warn_of_keys(paths: StationPaths) -> None:
    """A line on stderr for each private key of the station whose file is open to other accounts."""
    for file in sorted([*paths.keys.glob("*.pem"), *paths.tls.glob("*.key")]):
        if warning := exposure(file):
            say(safe(warning))


def _shut_if_forgotten(paths: StationPaths, config: Config) -> None:
    """Shut imports where the ledger has forgotten a bundle, and say what else the database has forgotten. What an older
    one holds releases nothing that the audit log says was taken back."""
    found = forgotten.look(paths)
    if found is not None:
        note_went_back(paths, str(found))
    bundle = shut_if_forgotten(paths)
    if bundle:
        say(f"the ledger has forgotten {bundle}: imports are shut")
    elif found is not None:
        said = safe(forgotten.refused(paths, config, found).diagnostics())
        say(said)
    if found is None and not bundle:
        return
    if blocks := block_again(paths, config.site):
        say(f"the database had forgotten {some(len(blocks), 'block')}: they hold again")
    withdrawn = withdraw_again(paths, config.site)
    if withdrawn.bundles:
        count, names = some(len(withdrawn.bundles), "withdrawal"), ", ".join(withdrawn.bundles[:_NAMED])
        say(f"the database had forgotten {count}: {safe(names)}")
    for failed in withdrawn.failed[:_NAMED]:
        said = f"{failed} was withdrawn, and could not be withdrawn again; see: lockgate intake check"
        say(safe(said))
    if found is not None:
        forgotten.accept(paths)


def _check_open(host: str, paths: StationPaths, config: Config) -> None:
    """On loopback alone, and never a station that was made for two persons. Raises UsageError, RefusedError."""
    if is_made(paths.database) and _somebody(paths):
        raise RefusedError(
            "a station with accounts is never opened: one person would release alone",
            thing=str(paths.config),
            remedy=f"close it with: lockgate close -C {paths.root}"
            if was_made_open(paths, config)
            else "set open = false again; for trying things out make another (lockgate init, with --open)",
        )
    adopt(paths, config)
    require_open(paths, config)
    require_loopback(config, host)


def _check_closed(config: Config, paths: StationPaths) -> None:
    """TLS can start, and somebody can log in. Raises UsageError, FailedError."""
    require_closed_whole(paths, config)
    server_context(config, paths)
    if not is_made(paths.database) or not _somebody(paths):
        raise UsageError(
            "the station has no accounts yet",
            thing=config.site,
            remedy=f"make the first administrator with: lockgate user claim NAME -C {paths.root}",
        )
    adopt(paths, config)


def _somebody(paths: StationPaths) -> bool:
    with contextlib.closing(open_reader(paths.database)) as reader:
        try:
            return Accounts(reader).exist()
        except UnavailableEngineError:  # the database is of a version before accounts
            return False


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as error:
            raise FailedError(
                f"cannot listen ({error.strerror})",
                thing=f"{host}:{port}",
                remedy="choose another address with --listen, or stop what holds it",
            ) from None
        listener.setblocking(False)
        yield listener
    finally:
        listener.close()
