"""What is different between two artifacts: platforms, layers, the configuration, packages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from appliance.api.content import Artifact, Component
from bundles.io.display import safe
from tui.terminal.texts import count, size

_DEEPEST: Final = 20
_MOST: Final = 2_000
"""Lines of one section; more are counted."""

Line = tuple[str, str]
"""A role of `tui.terminal.look` and a text fit for display; a line without a role is a section's head."""


def difference(
    one: Artifact,
    other: Artifact,
    packages: tuple[Sequence[Component] | None, Sequence[Component] | None] = (None, None),
) -> list[Line]:
    """The lines, section by section; `-` is in the first alone, `+` in the second alone, `~` is another. `packages` are
    of their SBOMs, None where there is none."""
    if one.digest == other.digest:
        return [("", "Same"), ("ok", f"both are {safe(one.digest)}: not a byte is different")]
    lines: list[Line] = [("", "Artifact")]
    for name, before, after in (
        ("digest", one.digest, other.digest),
        ("kind", one.kind, other.kind),
        ("bytes", size(one.total_size), size(other.total_size)),
    ):
        lines.append(_changed(name, before, after) if before != after else ("wait", f"  {name}: {safe(before)}"))
    if one.platforms or other.platforms:
        lines += [("", "Platforms"), *_kept(_platforms(one, other))]
    if one.layers or other.layers:
        lines += [("", "Layers"), *_kept(_layers(one, other))]
    if one.config is not None or other.config is not None:
        lines += [("", "Configuration"), *_kept(_values(one.config, other.config))]
    if one.annotations or other.annotations:
        lines += [("", "Annotations"), *_kept(_values(one.annotations, other.annotations))]
    return [*lines, ("", "Packages"), *_kept(_packages(*packages))]


def _kept(lines: Iterator[Line]) -> list[Line]:
    found = list(lines)
    if len(found) > _MOST:
        return [*found[:_MOST], ("note", f"and {count(len(found) - _MOST, 'line')} more")]
    return found or [("ok", "  nothing is different")]


def _changed(name: str, before: object, after: object) -> Line:
    return "need", f"~ {safe(name)}: {safe(str(before))} -> {safe(str(after))}"


def _platforms(one: Artifact, other: Artifact) -> Iterator[Line]:
    before = {platform.platform: platform.digest for platform in one.platforms}
    after = {platform.platform: platform.digest for platform in other.platforms}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield "bad", f"- {safe(name)} {safe(before[name])}"
        elif name not in before:
            yield "ok", f"+ {safe(name)} {safe(after[name])}"
        elif before[name] != after[name]:
            yield _changed(name, before[name], after[name])


def _layers(one: Artifact, other: Artifact) -> Iterator[Line]:
    before = [layer.digest for layer in one.layers]
    after = [layer.digest for layer in other.layers]
    shared = set(before) & set(after)
    if shared:
        held = sum({layer.digest: layer.size for layer in one.layers if layer.digest in shared}.values())
        yield "wait", f"  {count(len(shared), 'layer')} in both, {size(held)}"
    for sign, role, layers in (("-", "bad", one.layers), ("+", "ok", other.layers)):
        for place, layer in enumerate(layers, 1):
            if layer.digest not in shared:
                yield role, f"{sign} layer {place} {safe(layer.digest)} {size(layer.size)}"
    if [one for one in before if one in shared] != [one for one in after if one in shared]:
        yield "need", "~ the layers that are in both stand in another order"


def _values(one: Any, other: Any, path: str = "", depth: int = 0) -> Iterator[Line]:
    """What differs in two documents, by the path to it."""
    if one == other and type(one) is type(other):
        return
    if isinstance(one, Mapping) and isinstance(other, Mapping) and depth < _DEEPEST:
        for name in sorted(one.keys() | other.keys()):
            at = f"{path}.{name}" if path else str(name)
            if name not in other:
                yield "bad", f"- {safe(at)}: {_said(one[name])}"
            elif name not in one:
                yield "ok", f"+ {safe(at)}: {_said(other[name])}"
            else:
                yield from _values(one[name], other[name], at, depth + 1)
    elif isinstance(one, list) and isinstance(other, list) and _plain(one) and _plain(other):
        gone, come = [each for each in one if each not in other], [each for each in other if each not in one]
        for sign, role, values in (("-", "bad", gone), ("+", "ok", come)):
            for value in values:
                yield role, f"{sign} {safe(path)}: {_said(value)}"
        if not gone and not come:
            yield "need", f"~ {safe(path)}: the same values in another order or number"
    else:
        yield "need", f"~ {safe(path)}: {_said(one)} -> {_said(other)}"


def _plain(values: list[Any]) -> bool:
    return len(values) <= 1_000 and all(not isinstance(value, Mapping | list) for value in values)


def _said(value: Any) -> str:
    text = safe(str(value))
    return text if len(text) <= 200 else f"{text[:199]}…"


def _packages(one: Sequence[Component] | None, other: Sequence[Component] | None) -> Iterator[Line]:
    if one is None or other is None:
        which = "neither has" if one is None and other is None else "one of them has no"
        yield "note", f"  {which} {'an SBOM' if which.startswith('neither') else 'SBOM'}: packages are not compared"
        return
    before, after = _versions(one), _versions(other)
    for name in sorted(before.keys() | after.keys()):
        gone, come = before.get(name, set()), after.get(name, set())
        if gone == come:
            continue
        kind, named = name
        shown = f"{safe(named)} ({safe(kind)})"
        if not come:
            yield "bad", f"- {shown} {safe(', '.join(sorted(gone)))}"
        elif not gone:
            yield "ok", f"+ {shown} {safe(', '.join(sorted(come)))}"
        else:
            yield _changed(shown, ", ".join(sorted(gone)), ", ".join(sorted(come)))


def _versions(components: Sequence[Component]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for component in components:
        found.setdefault((component.type, component.name), set()).add(component.version)
    return found
