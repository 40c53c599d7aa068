"""The receiving end of a diode: datagrams in, whole bundles out. Nothing is ever sent.

Hostile input costs a keyed hash and is forgotten: a symbol counts only with the hash of a session whose head a pinned
key has signed, within the sizes that the head announces. What is kept is bounded by `limits.DIODE_…`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import shutil
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.diode import datagrams, session
from appliance.diode.arrival import Arrival, is_delivered, read_head
from appliance.diode.coding import Coder
from appliance.diode.few_lines import FewLines
from appliance.diode.folder import open_unfinished, transfers
from appliance.diode.receiver_state import COUNTED
from appliance.diode.room import require_room
from appliance.diode.session import Session
from appliance.limits import diode as limits
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.io.display import some
from bundles.io.files import os_failure
from bundles.signing.trust import TrustFolder

_BATCH: Final = 512
"""Datagrams between two looks at everything else."""

_LOOK: Final = 0.2


@dataclass(slots=True)
class Live:
    """A session that datagrams come of. `arrival` is None where nothing of it is needed; `last` is when one came,
    `ended` whether the end of its last round did."""

    session: Session
    key: bytes
    arrival: Arrival | None
    last: float
    ended: bool = False
    told: bool = False


def largest(sites: Iterable[str]) -> str:
    """The site that is there most often; of several the one that is there first."""
    return Counter(sites).most_common(1)[0][0]


class Receiver:
    """Receives for `site` into the folder `drop`. `trust` gives the trust folder as it is now, `link` is the link's key
    or b"", `tell` is called with a line for each thing that happens; a bundle gets its name within `delivering`. Raises
    LockgateError."""

    def __init__(
        self,
        drop: Path,
        site: str,
        link: bytes,
        trust: Callable[[], TrustFolder],
        coder: Coder,
        tell: Callable[[str], object],
        delivering: Callable[[Session], AbstractContextManager[None]],
    ) -> None:
        self.drop, self._site, self._link, self._trust = drop, site, link, trust
        self._coder, self._delivering = coder, delivering
        self._tell = FewLines(tell)
        self._folder = open_unfinished(drop)
        self.arrivals: dict[str, Arrival] = {}
        self.counts = dict.fromkeys(COUNTED, 0)
        self.received = 0
        self._live: OrderedDict[bytes, Live] = OrderedDict()
        self._heads, self._seen = session.Heads(), OrderedDict[bytes, tuple[bytes, float]]()
        self._checks, self._checked = limits.DIODE_HEADS, time.monotonic()
        self._decoding: list[tuple[Arrival, int]] = []
        for folder in transfers(self._folder):
            self._take_up(folder)

    def _take_up(self, folder: Path) -> None:
        """Go on with a transfer of an earlier run: its head is checked as if it had just come."""
        head = read_head(folder)
        try:
            found = session.open_head(head or b"", self._trust(), at=clock.now())
            if found.transfer != folder.name:
                raise MalformedError("another transfer's folder", thing=str(folder))
            arrival = Arrival(folder, found)
        except (LockgateError, OSError) as error:
            self._tell(f"an unfinished transfer is given up: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            return
        self.arrivals[found.transfer] = arrival
        if arrival.whole:  # it was killed, or could not be recorded, before the last step
            self._deliver(arrival)

    # What comes in.

    def take(self, datagram: memoryview, now: float) -> None:
        """Take a datagram. Raises NoSpaceError, FailedError where it cannot be kept."""
        front = datagrams.read(datagram)
        if front is None:
            self.counts["foreign"] += 1
        elif front.kind == datagrams.HEAD:
            if not datagrams.holds(self._link, datagram):
                self.counts["forged"] += 1
            elif (head := self._heads.take(front, datagrams.content(datagram))) is not None:
                self._take_head(head, now)
        else:
            self._take_content(front, datagram, now)

    def _take_content(self, front: datagrams.Front, datagram: memoryview, now: float) -> None:
        live = self._live.get(front.name)
        if live is None:
            self.counts["unknown"] += 1
            return
        symbol = live.session.symbol if front.kind == datagrams.SYMBOL else 0
        if len(datagram) != datagrams.SIZE + symbol or not datagrams.holds(live.key, datagram):
            self.counts["forged"] += 1
            return
        live.last, live.told = now, False
        if front.kind == datagrams.END:
            live.ended = live.ended or front.flags[0] + 1 >= front.flags[1]
            return
        useful = False
        if live.arrival is not None:
            live.ended = False
            try:
                useful = live.arrival.take(front.block, front.symbol, datagrams.content(datagram))
            except OSError as error:
                raise os_failure(error, live.arrival.folder, "cannot be written") from None
        self.counts["useful" if useful else "surplus"] += 1
        self.received += symbol if useful else 0

    def _take_head(self, head: bytes, now: float) -> None:
        name = hashlib.sha256(head).digest()
        session_name, looked = self._seen.get(name, (b"", -limits.DIODE_QUIET))
        if session_name in self._live or now - looked < limits.DIODE_QUIET:
            return  # its session is received, or it was refused a moment ago
        self._checks = min(limits.DIODE_HEADS, self._checks + (now - self._checked) * limits.DIODE_HEADS)
        self._checked = now
        if self._checks < 1:
            return
        self._checks -= 1
        session_name = b""
        try:
            found = session.open_head(head, self._trust(), at=clock.now())
            self._require_own_name(found)
            arrival = self._admit(head, found)
        except LockgateError as error:
            self.counts["forged"] += 1
            self._tell(f"a session is not received: {error}")
        else:
            session_name = found.name
            self._live[found.name] = Live(found, found.key(self._link), arrival, now)
            while len(self._live) > limits.DIODE_SESSIONS:
                site = largest(one.session.site for one in self._live.values())
                self._live.pop(next(name for name, one in self._live.items() if one.session.site == site))
        self._seen[name] = session_name, now
        self._seen.move_to_end(name)
        while len(self._seen) > 4 * limits.DIODE_SESSIONS:
            self._seen.popitem(last=False)

    def _require_own_name(self, found: Session) -> None:
        """Raises RefusedError where another site's session is called so: its symbols would count no more."""
        live = self._live.get(found.name)
        if live is not None and live.session.site != found.site:
            raise RefusedError(
                "a session with the number of another site's", thing=f"{found.bundle} from {found.site}",
                remedy="have it sent again",
            )  # fmt: skip

    def _admit(self, head: bytes, found: Session) -> Arrival | None:
        """Where a session's symbols go; None where its bundle is there. Raises LockgateError where it is not taken."""
        if found.destination != self._site:
            raise RefusedError("a bundle for another site", thing=found.bundle, remedy="have it sent to that site")
        if is_delivered(self.drop, found):
            self._tell(f"{found.bundle} is there already")
            return None
        if (arrival := self.arrivals.get(found.transfer)) is not None:
            self._tell(f"{found.bundle} goes on: {self.standing(arrival)}")
            return arrival
        if os.path.lexists(self.drop / found.bundle):
            raise RefusedError(
                "another folder of this name lies in the drop folder", thing=found.bundle,
                remedy="take it away, and have the bundle sent again",
            )  # fmt: skip
        self._make_way(found.site)
        require_room(self.drop, found, self.arrivals.values(), self._trust(), clock.now())
        folder = self._folder / found.transfer
        try:
            arrival = Arrival.begin(folder, head, found)
        except OSError as error:
            raise os_failure(error, folder, "cannot be written") from None
        self.arrivals[found.transfer] = arrival
        self._tell(
            f"{found.bundle} begins: {found.size} bytes in {some(found.geometry.blocks, 'block')}, from {found.site}"
        )
        return arrival

    def _make_way(self, site: str) -> None:
        """Give up an unfinished transfer for one of `site`, where there are as many as may be: of the site that has the
        most, the one that nothing came for the longest; one that is received only of a site that has more than its
        share. Raises RefusedError where there is none."""
        if len(self.arrivals) < limits.DIODE_TRANSFERS:
            return
        sites = [one.session.site for one in self.arrivals.values()]
        most = largest((*sites, site))
        received = {id(one.arrival) for one in self._live.values()}
        theirs = [
            self.arrivals[folder.name]
            for folder in transfers(self._folder)
            if folder.name in self.arrivals and self.arrivals[folder.name].session.site == most
        ]
        given_up = next((one for one in theirs if id(one) not in received), None)
        if given_up is None and most != site and sites.count(most) > sites.count(site) + 1:
            given_up = theirs[0]
        if given_up is None:
            raise RefusedError("too many transfers at once", thing=str(len(self.arrivals)), remedy="send one by one")
        self._tell(f"{given_up.session.bundle} is given up for a new one: {self.standing(given_up)}")
        self._drop(given_up)

    def _drop(self, arrival: Arrival) -> None:
        for live in self._live.values():
            if live.arrival is arrival:
                live.arrival = None
        self.arrivals.pop(arrival.session.transfer, None)
        arrival.forget()

    # What becomes of it.

    def work(self) -> None:
        """Have blocks decoded, and deliver what is whole. Raises LockgateError where a disk takes nothing."""
        while self._decoding and (self._coder.has_said or select.select([self._coder], [], [], 0)[0]):
            state = self._coder.answer()
            if state is None:
                break
            arrival, number = self._decoding.pop(0)
            self._answered(arrival, number, state)
        if not self._decoding:
            self._ask()

    def _ask(self) -> None:
        for arrival in self.arrivals.values():
            try:
                number = arrival.ask(self._coder)
            except OSError as error:
                raise os_failure(error, arrival.folder, "cannot be written") from None
            if number is not None:
                self._decoding.append((arrival, number))
                return

    def _answered(self, arrival: Arrival, number: int, state: str) -> None:
        try:
            arrival.answered(number, state)
        except MalformedError as error:
            self._tell(f"{arrival.session.bundle} is given up: {error}")
            self._drop(arrival)
            return
        except OSError as error:
            raise os_failure(error, arrival.folder, "cannot be written") from None
        if state == "bad":
            self._tell(f"{arrival.session.bundle}: block {number} has another sum than the signed one, and begins anew")
        if arrival.whole:
            self._deliver(arrival)

    def _deliver(self, arrival: Arrival) -> None:
        found = arrival.session
        for live in self._live.values():
            if live.arrival is arrival:
                live.arrival = None
        self.arrivals.pop(found.transfer, None)
        try:
            with self._delivering(found):
                target = arrival.deliver(self.drop)
        except RefusedError as error:
            self._tell(f"{found.bundle} is whole, and not delivered: {error}")
            arrival.forget()
            return
        for other in [one for one in self.arrivals.values() if one.session.digest == found.digest]:
            self._drop(other)
        self._tell(f"{found.bundle} is whole: {target}")

    @property
    def busy(self) -> bool:
        """Whether a block is being decoded."""
        return bool(self._decoding)

    def ended(self, now: float) -> list[Session]:
        """The sessions that are over since this was last asked, and whose bundle is not whole."""
        found = []
        for live in self._live.values():
            quiet = now - live.last
            over = quiet >= limits.DIODE_QUIET or (live.ended and quiet >= limits.DIODE_PAUSE)
            if over and not live.told and not self.busy:
                live.told = True
                if live.arrival is not None:
                    live.arrival.flush()
                    found.append(live.session)
        return found

    @property
    def idle(self) -> bool:
        """Whether sessions came, and all of them are over."""
        return bool(self._live) and all(live.told for live in self._live.values()) and not self.busy

    @property
    def receiving(self) -> list[Arrival]:
        """What comes in now."""
        return [one.arrival for one in self._live.values() if one.arrival is not None and not one.told]

    def standing(self, arrival: Arrival) -> str:
        """How much of a transfer is there, and the code of what is missing."""
        missing, count = len(arrival.missing()), arrival.geometry.blocks
        return f"{count - missing} of {some(count, 'block')} there; what is missing: {arrival.code()}"

    def flush(self) -> None:
        """Write down what is in memory alone."""
        for arrival in self.arrivals.values():
            with contextlib.suppress(OSError):
                arrival.flush()


def listen(address: tuple[str, int]) -> tuple[socket.socket, int]:
    """A socket that datagrams come in by, and the bytes that the kernel holds for it. Raises FailedError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        try:
            bound.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, limits.DIODE_BUFFER)
        except PermissionError:  # net.core.rmem_max bounds it then (socket(7))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.DIODE_BUFFER)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise FailedError(
            f"the diode's address cannot be used ({error.strerror})", thing=f"{address[0]}, port {address[1]}",
            remedy="name an address of this machine in config.toml, and see whether a job receives already:"
            " lockgate job list",
        ) from None  # fmt: skip
    return bound, bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel doubles it (socket(7))


_RCVBUFFORCE: Final = 33
"""SO_RCVBUFFORCE of asm-generic/socket.h, which Python does not name."""


def receive(bound: socket.socket, receiver: Receiver, coder: Coder, look: Callable[[float], bool]) -> None:
    """Receive until `look`, which is called with the time several times a second, says that it is enough."""
    buffer = bytearray(datagrams.MOST + 1)
    view = memoryview(buffer)
    poll = select.poll()
    poll.register(bound, select.POLLIN)
    poll.register(coder, select.POLLIN)
    looked = 0.0
    while True:
        now = time.monotonic()
        for _ in range(_BATCH):
            try:
                size = bound.recv_into(buffer)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in (errno.ECONNREFUSED, errno.EINTR):
                    continue
                raise os_failure(error, "the diode", "nothing can be received") from None
            receiver.take(view[:size], now)
        else:
            receiver.work()
            if now - looked < _LOOK:
                continue
        receiver.work()
        if now - looked >= _LOOK:
            looked = now
            if look(now):
                return
        poll.poll(_LOOK * 1000)
