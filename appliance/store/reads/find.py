"""Reads that find things by a part of their name."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.store.ports import Reader


def bundles(reader: Reader, text: str, limit: int) -> list[str]:
    """Ids of bundles of the intake that hold a text."""
    rows = reader.execute("SELECT id FROM intake WHERE instr(id, ?) > 0 ORDER BY id LIMIT ?", (text, limit))
    return [str(name) for (name,) in rows]


def jobs(reader: Reader, text: str, limit: int) -> list[str]:
    """Ids of jobs that hold a text."""
    rows = reader.execute("SELECT id FROM jobs WHERE instr(id, ?) > 0 ORDER BY id LIMIT ?", (text, limit))
    return [str(name) for (name,) in rows]


def tags(reader: Reader, text: str) -> Iterator[tuple[str, str]]:
    """Repository and tag of each tag whose own name holds a text, read as the caller goes."""
    return iter(
        reader.execute(
            "SELECT r.name, t.tag FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE instr(t.tag, ?) > 0",
            (text,),
        )
    )


def manifests(reader: Reader, hex_digits: str) -> Iterator[tuple[str, str]]:
    """Repository and digest of each manifest that is shown and whose SHA-256 begins with these hex digits, read as the
    caller goes."""
    return iter(
        reader.execute(
            "SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id"
            " WHERE l.kind = 'manifest' AND l.digest >= ? AND l.digest < ?",
            (f"sha256:{hex_digits}", f"sha256:{hex_digits}g"),
        )
    )
