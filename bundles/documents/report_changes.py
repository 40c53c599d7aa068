"""What a release would change, by an inspection report: artifacts and tags, and what differs inside the moved tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bundles.documents.report_parts import Details, Line, entry, group, said, size

_EVIDENCE = ("sbom", "signature", "attestation")


def artifacts(sections: Mapping[str, Details]) -> list[Line]:
    """New, moved, unchanged and no longer carried artifacts, each with its digests and sizes below its name."""
    carried, left_out = sections["artifacts"].listed("artifacts") if "artifacts" in sections else ([], 0)
    facts = {str(one["digest"]): one for one in carried if isinstance(one, Mapping) and "digest" in one}
    lines: list[Line] = []
    if "changes" in sections:
        details = sections["changes"]
        sizes = _sizes(sections.get("differences"))
        new, more_new = details.listed("new")
        moved, more_moved = details.listed("moved")
        same, more_same = details.listed("unchanged")
        lines += group("new", [_tag(one, facts) for one in new], more_new)
        lines += group("moved", [_moved(one, facts, sizes) for one in moved], more_moved, outcome="note")
        lines += _since(details)
        lines += group("unchanged", [_tag(one, facts) for one in same], more_same, folded=True)
    evidence = [one for one in carried if _field(one, "kind") in _EVIDENCE]
    others = [one for one in carried if _field(one, "kind") not in _EVIDENCE]
    lines += group("all that it carries", [_artifact(one) for one in others], left_out, folded=True)
    lines += group("SBOMs, signatures and attestations", [_artifact(one) for one in evidence], folded=True)
    return lines


def _tag(one: Any, facts: Mapping[str, Any]) -> Line:
    if not isinstance(one, Mapping) or set(one) != {"reference", "digest"}:
        return entry(one)
    about = _about(facts.get(str(one["digest"])))
    return Line(f"{one['reference']}{about}", below=(Line(f"digest {one['digest']}"),))


def _moved(one: Any, facts: Mapping[str, Any], sizes: Mapping[str, tuple[str, str]]) -> Line:
    if not isinstance(one, Mapping) or not {"reference", "from", "to"} <= set(one):
        return entry(one)
    before, now = sizes.get(str(one["reference"]), ("", ""))
    now = now or size(_field(facts.get(str(one["to"])), "bytes"))
    rest = {name: value for name, value in one.items() if name not in ("reference", "from", "to")}
    put_by = ""
    if isinstance(one.get("bundle"), str) and isinstance(one.get("source"), str):
        put_by = f", put there by {rest.pop('bundle')} of {rest.pop('source')}"
    was = Line(f"was {one['from']}{', ' + before if before else ''}{put_by}")
    becomes = Line(f"now {one['to']}{', ' + now if now else ''}")
    more = [Line(entry(rest).text)] if rest else []
    return Line(f"{one['reference']}{_about(facts.get(str(one['to'])), sized=False)}", below=(was, becomes, *more))


def _sizes(details: Details | None) -> dict[str, tuple[str, str]]:
    """The sizes of moved tags before and now, by reference."""
    moved = details.look("moved") if details is not None else None
    return {
        str(one.get("reference")): (size(one.get("bytes_before")), size(one.get("bytes")))
        for one in (moved if isinstance(moved, list) else ())
        if isinstance(one, Mapping)
    }


def _about(fact: Any, *, sized: bool = True) -> str:
    parts = [str(_field(fact, name) or "") for name in ("kind", "platform")]
    if sized:
        parts.append(size(_field(fact, "bytes")))
    shown = ", ".join(part for part in parts if part)
    return f"  {shown}" if shown else ""


def _field(fact: Any, name: str) -> Any:
    return fact.get(name) if isinstance(fact, Mapping) else None


def _artifact(one: Any) -> Line:
    if not isinstance(one, Mapping) or "repository" not in one:
        return entry(one)
    tags = one.get("tags")
    named = f":{', '.join(map(str, tags))}" if isinstance(tags, list) and tags else ""
    shown = ("repository", "tags", "kind", "platform", "bytes", "digest")
    rest = entry({name: value for name, value in one.items() if name not in shown}).text
    below = [Line(f"digest {one.get('digest')}"), *([Line(rest)] if rest else [])]
    return Line(f"{one['repository']}{named}{_about(one)}", below=tuple(below))


def _since(details: Details) -> list[Line]:
    """What the stream's last bundle had and this one has not, and the other way round."""
    since = details.take("since")
    if not isinstance(since, Mapping):
        return [] if since is None else list(said("since", since))
    inner = Details(since)
    bundle = inner.take("bundle")
    gone, more_gone = inner.listed("not_carried")
    added, more_added = inner.listed("added")
    kept = Line("a release takes nothing away: what was released stays until somebody withdraws or deletes it")
    lines = group(f"removed: {bundle} had them, this bundle has not", [_named(one) for one in gone], more_gone,
                  outcome="note", first=[kept])  # fmt: skip
    lines += group(f"added: {bundle} did not have them", [_named(one) for one in added], more_added, folded=True)
    return (lines or [Line(f"the same artifacts as {bundle}")]) + inner.rest()


def _named(one: Any) -> Line:
    """`repository@digest` as a name with its digest below."""
    name, found, digest = str(one).partition("@")
    return Line(name, below=(Line(f"digest {digest}"),)) if found else entry(one)


def inside(sections: Mapping[str, Details]) -> list[Line]:
    """What differs inside the moved tags: components added, removed and updated, and how an image runs."""
    if "differences" not in sections:
        return []
    details = sections["differences"]
    moved, left_out = details.listed("moved")
    lines = []
    for one in moved:
        lines += _inside(one)
    more = group("moved tags that the report counts and does not list", (), left_out) if left_out else []
    unread, more_unread = details.listed("unread")
    return [*lines, *more, *group("not compared", [entry(one) for one in unread], more_unread, outcome="note")]


def _inside(one: Any) -> list[Line]:
    """A moved tag, where anything inside changes."""
    if not isinstance(one, Mapping):
        return [entry(one)]
    inner = Details(one)
    reference = inner.take("reference")
    inner.take("bytes_before"), inner.take("bytes")
    configuration, more = inner.listed("configuration")
    runs = group("runs otherwise", [_setting(each) for each in configuration], more, outcome="note")
    added, more_added = inner.listed("added")
    removed, more_removed = inner.listed("removed")
    updated, added, removed = paired(added, removed)
    below = [*runs,
             *group("components updated", [Line(f"{name} {old} to {new}") for name, old, new in updated]),
             *group("components added", [entry(each) for each in added], more_added),
             *group("components removed", [entry(each) for each in removed], more_removed),
             *inner.rest()]  # fmt: skip
    return [Line(str(reference), "note", tuple(below))] if below else []


def _setting(one: Any) -> Line:
    if not isinstance(one, Mapping) or set(one) != {"field", "before", "now"}:
        return entry(one)
    return Line(f"{one['field']}: was {one['before']}, is {one['now']}")


def paired(added: Sequence[Any], removed: Sequence[Any]) -> tuple[list[tuple[str, str, str]], list[Any], list[Any]]:
    """Components that only changed their version, as (name, version before, version now); then what was added and
    removed besides. A name that stands more than once on a side is left as it is: which became which is not known."""
    now, before = _by_name(added), _by_name(removed)
    both = {name for name in now.keys() & before.keys() if len(now[name]) == len(before[name]) == 1}
    updated = [(name, before[name][0], now[name][0]) for name in sorted(both)]
    return (
        updated,
        [one for one in added if _split(one)[0] not in both],
        [one for one in removed if _split(one)[0] not in both],
    )


def _by_name(listed: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in listed:
        name, version = _split(one)
        if version:
            found.setdefault(name, []).append(version)
    return found


def _split(one: Any) -> tuple[str, str]:
    """Name and version of a component; a name alone has none."""
    name, _, version = str(one).rpartition(" ")
    return (name, version) if name else (version, "")
