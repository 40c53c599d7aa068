"""A third party's rule in a process of its own: confined, without network, and ended where it takes too long.

One process for each rule and blob, begun when the rule is first asked: a rule that hangs, or that hostile bytes have
taken over, breaks its own verdict on that blob and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from appliance.content_rules.rule import Entry, File, Finding, ImageFacts, Look, Outline, Rule
from appliance.limits import content_rules as limits
from bundles.processes import start

_WRITE: Final = 65_536
_READ: Final = 65_536


class GaveUpError(Exception):
    """The process did not answer, or not as one; its text is the station's own."""


class ForeignRule(Rule):
    """Stands for a rule, and has its process asked. Of one thread."""

    def __init__(self, rule: Rule, folder: str, module: str, attribute: str) -> None:
        super().__init__(rule.settings)
        self._loading = [folder, module, attribute, msgspec.to_builtins(rule.settings)]
        self._process: start.Child | None = None
        self._said = bytearray()

    def entry(self, entry: Entry) -> Iterable[Finding]:
        return self._ask("entry", *entry)["found"]  # type: ignore[no-any-return]

    def begin(self, file: File) -> Look | Iterable[Finding]:
        said = self._ask("begin", *file)
        return _ForeignLook(self) if said.get("reads") else said["found"]

    def unseen(self, path: str, reason: str) -> Iterable[Finding]:
        return self._ask("unseen", path, reason)["found"]  # type: ignore[no-any-return]

    def layer(self, outline: Outline) -> Iterable[Finding]:
        return self._ask("layer", msgspec.to_builtins(outline))["found"]  # type: ignore[no-any-return]

    def image(self, image: ImageFacts) -> Iterable[Finding]:
        return self._ask("image", msgspec.to_builtins(image))["found"]  # type: ignore[no-any-return]

    def feed(self, data: bytes) -> list[Finding]:
        """The next bytes of the file that was begun."""
        found = list[Finding]()
        for at in range(0, len(data), limits.FOREIGN_PIECE):
            found += self._ask("feed", data[at : at + limits.FOREIGN_PIECE])["found"]
        return found

    def end(self) -> list[Finding]:
        """The file that was begun came to its end."""
        return self._ask("end")["found"]  # type: ignore[no-any-return]

    def close(self) -> None:
        """End its process."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None

    def _ask(self, name: str, *about: Any) -> dict[str, Any]:
        """What the rule says to a hook. Raises GaveUpError."""
        if self._process is None:
            self._begin()
        return self._exchange(name, *about)

    def _begin(self) -> None:
        bounds = start.Bounds(
            address_space=limits.FOREIGN_ADDRESSES, data=limits.FOREIGN_MEMORY, file=0, nice=limits.FOREIGN_NICE,
            network=False,
        )  # fmt: skip
        command = start.python_module("appliance.content_rules.foreign_child", bounds=bounds)
        self._process = start.start(command, env=start.environment(), stdin=start.PIPE, stdout=start.PIPE)
        assert self._process.stdin is not None  # noqa: S101  they were asked for above
        assert self._process.stdout is not None  # noqa: S101
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._exchange("load", *self._loading)

    def _exchange(self, name: str, *about: Any) -> dict[str, Any]:
        raw = msgspec.msgpack.encode([name, *about])
        until = time.monotonic() + limits.FOREIGN_ANSWER
        self._send(len(raw).to_bytes(4, "big") + raw, until)
        size = int.from_bytes(self._receive(4, until), "big")
        if size > limits.FOREIGN_SAID:
            raise GaveUpError("the rule says too much")
        try:
            said = msgspec.msgpack.decode(self._receive(size, until), type=_Said)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise GaveUpError("the rule's process says something else") from None
        if said.failed:
            raise GaveUpError(f"the rule failed inside ({said.failed[:60]})")
        return {"found": [Finding(*one) for one in said.found], "reads": said.reads}

    def _send(self, data: bytes, until: float) -> None:
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        view, to = memoryview(data), self._process.stdin.fileno()
        while view:
            _, writable, _ = select.select([], [to], [], max(0.0, until - time.monotonic()))
            if not writable:
                raise GaveUpError(f"the rule takes longer than {limits.FOREIGN_ANSWER:.0f} s")
            try:
                view = view[os.write(to, view[:_WRITE]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise GaveUpError("the rule's process ended") from None

    def _receive(self, count: int, until: float) -> bytes:
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        come_from = self._process.stdout.fileno()
        while len(self._said) < count:
            ready, _, _ = select.select([come_from], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise GaveUpError(f"the rule takes longer than {limits.FOREIGN_ANSWER:.0f} s")
            data = os.read(come_from, _READ)
            if not data:
                raise GaveUpError("the rule's process ended")
            self._said += data
        found = bytes(self._said[:count])
        del self._said[:count]
        return found


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """An answer of the process."""

    found: list[tuple[str, str, int, str, bytes]] = []
    reads: bool = False
    failed: str = ""


class _ForeignLook:
    """A file on its way past such a rule."""

    def __init__(self, rule: ForeignRule) -> None:
        self._rule = rule

    def feed(self, data: bytes) -> Iterable[Finding]:
        return self._rule.feed(data)

    def end(self) -> Iterable[Finding]:
        return self._rule.end()
