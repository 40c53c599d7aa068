"""A one-way link without a network: what the sender sends, what becomes of it on the way, and a receiver."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.diode import datagrams, sender, session
from appliance.diode.coding import Coder
from appliance.diode.receiver import Receiver
from appliance.diode.sender import Outgoing, Source, Step
from appliance.diode.session import Session
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder

BUNDLE = "alpha.bravo-000001"
SYMBOL = 4096
AT = "2026-11-30T12:00:00Z"


class Collected:
    """A wire that keeps what is sent."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)


@dataclass
class Alpha:
    """The sending side: a bundle's folder, with a volume of random bytes."""

    folder: Path
    size: int = 300_000
    symbol: int = SYMBOL
    key: PrivateKey = field(default_factory=create_private)
    site: str = "alpha"
    bundle: str = BUNDLE

    def __post_init__(self) -> None:
        (self.folder / "volumes").mkdir(parents=True, exist_ok=True)
        content = {
            "manifest.json": b"{}", "README.txt": b"read me", "SHA256SUMS": random.Random(1).randbytes(99),
            "volumes/0001.7z": random.Random(2).randbytes(self.size), "volumes/0002.7z": b"",
        }  # fmt: skip
        self.sources = []
        for name, data in content.items():
            (self.folder / name).write_bytes(data)
            self.sources.append(Source(self.folder / name, name, len(data), hashlib.sha256(data).hexdigest()))

    def outgoing(self) -> Outgoing:
        """A new session of the bundle."""
        table = sender.survey(self.sources, self.symbol, lambda _: None)
        size = sum(one.size for one in self.sources)
        digest = f"sha256:{hashlib.sha256((self.folder / 'SHA256SUMS').read_bytes()).hexdigest()}"
        opened = session.begin(self.site, self.bundle, digest, size, self.symbol, table, at=AT)
        blocks = range(1, opened.geometry.blocks + 1)
        return Outgoing(opened, session.seal(opened, self.key), table, self.sources, blocks)

    def sent(
        self, outgoing: Outgoing, *, fresh: int = 0, blocks: Sequence[int] | None = None, repair: int = 20,
        link: bytes = b"",
    ) -> list[bytes]:  # fmt: skip
        """The datagrams of one round."""
        wire = Collected()
        numbers = (0, *(outgoing.blocks if blocks is None else blocks))
        steps = [Step(0, 0, fresh, number) for number in numbers]
        sender.send(wire, [outgoing], steps, 1, repair, link, lambda _: None, lambda _: None)  # type: ignore[arg-type]
        return wire.datagrams


class Bravo:
    """The receiving side, with a drop folder and a trust folder."""

    def __init__(self, root: Path) -> None:
        self.drop, self.trust = root / "drop", root / "trust"
        self.drop.mkdir(parents=True)
        init_trust(self.trust, "bravo")
        self.said: list[str] = []
        self.delivered: list[Session] = []

    def pin(self, key: PrivateKey, site: str = "alpha", purpose: str = "receipt") -> None:
        trust_key(self.trust, key.public, purpose=purpose, owner=f"station {site}", sites=[site])

    @contextlib.contextmanager
    def _delivering(self, found: Session) -> Iterator[None]:
        yield
        self.delivered.append(found)

    @contextlib.contextmanager
    def receiving(self, link: bytes = b"") -> Iterator[Receiver]:
        with Coder() as coder:
            yield Receiver(
                self.drop, "bravo", link, lambda: TrustFolder.load(self.trust), coder, self.said.append,
                self._delivering,
            )  # fmt: skip


def feed(receiver: Receiver, coming: Iterable[bytes]) -> None:
    """Hand datagrams to a receiver, and wait until it has done all that it can with them."""
    now = time.monotonic()
    for number, datagram in enumerate(coming):
        receiver.take(memoryview(datagram), now)
        if number % 64 == 0:
            receiver.work()
    settle(receiver)


def settle(receiver: Receiver) -> None:
    receiver.work()
    while receiver.busy:
        receiver.work()


def relayed(
    sent: Sequence[bytes], seed: int, *, loss: float = 0.0, reorder: int = 0, twice: float = 0.0, broken: float = 0.0,
    foreign: float = 0.0,
) -> list[bytes]:  # fmt: skip
    """What comes out of a link that loses, delays by up to `reorder` places, doubles, damages, and carries others'."""
    chance = random.Random(seed)
    out: list[tuple[float, bytes]] = []
    for place, datagram in enumerate(sent):
        for _ in range(2 if chance.random() < twice else 1):
            if chance.random() < loss:
                continue
            changed = bytearray(datagram)
            if chance.random() < broken:
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            out.append((place + chance.uniform(0, reorder), bytes(changed)))
        if chance.random() < foreign:
            front = chance.choice((b"", b"LGD1", datagram[: datagrams.SIZE]))
            out.append((float(place), front + chance.randbytes(chance.randrange(len(datagram)))))
    return [datagram for _, datagram in sorted(out, key=lambda one: one[0])]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
