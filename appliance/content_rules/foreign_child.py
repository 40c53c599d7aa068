"""The process that runs a third party's rule: `python -m appliance.content_rules.foreign_child`.

It runs confined (bundles.processes.start), and gets everything through its standard input: a frame is four bytes of
length and a message in msgpack. First where the rule's package lies, its module, its class and its settings; then one
message for each hook. Each is answered with one frame: what the rule found, or the kind of the exception that it
raised.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.content_rules.rule import Entry, File, ImageFacts, Look, Outline, Rule


def main() -> None:
    """Answer until the end of the input."""
    source, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a rule prints is no answer
    rule: Rule | None = None
    look: Look | None = None
    while len(head := source.read(4)) == 4:
        name, *about = msgspec.msgpack.decode(source.read(int.from_bytes(head, "big")))
        try:
            if rule is None:
                rule, said = _loaded(*about), dict[str, Any](found=[])
            elif name == "begin":
                answer = rule.begin(File(*about))
                look = None if isinstance(answer, Iterable) else answer
                said = {"found": [] if look is not None else _plain(answer), "reads": look is not None}  # type: ignore[arg-type]
            elif name in ("feed", "end"):
                said = {"found": [] if look is None else _plain(look.feed(about[0]) if name == "feed" else look.end())}
            else:
                said = {"found": _plain(getattr(rule, name)(*_typed(name, about)))}
        except Exception as error:  # whatever somebody else's rule raises
            said = {"failed": type(error).__name__}
        raw = msgspec.msgpack.encode(said)
        out.write(len(raw).to_bytes(4, "big") + raw)
        out.flush()


def _loaded(folder: str, module: str, attribute: str, settings: dict[str, Any]) -> Rule:
    sys.path.append(folder)
    kind = getattr(importlib.import_module(module), attribute)
    return kind(msgspec.convert(settings, kind.Settings))  # type: ignore[no-any-return]


def _typed(name: str, about: list[Any]) -> list[Any]:
    """The arguments of a hook, as it is promised them."""
    if name == "entry":
        path, kind, mode, size, powers, depth = about
        return [Entry(path, kind, mode, size, tuple(powers), depth)]
    if name == "layer":
        return [msgspec.convert(about[0], Outline)]
    if name == "image":
        fields = dict(about[0])
        fields["layers"] = [None if one is None else msgspec.convert(one, Outline) for one in fields["layers"]]
        return [ImageFacts(**fields)]
    return about


def _plain(found: Iterable[Any]) -> list[list[Any]]:
    return [[str(one.path), str(one.what), int(one.size), str(one.since), bytes(one.secret)] for one in found]


if __name__ == "__main__":
    main()
