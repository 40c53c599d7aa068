"""Reads of jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from appliance.api.states import FINAL_STATES, JOB_STATES
from appliance.store.ports import Reader
from appliance.store.rows import as_text
from bundles.errors import FailedError, to_wire

_TEXTS: Final = ("id", "kind", "params", "state", "phase", "result", "error", "actor", "created", "started", "finished")
_COLUMNS: Final = ", ".join(("number", "done", "total", *(f"CAST({name} AS BLOB)" for name in _TEXTS)))
"""Texts as bytes: a flipped bit makes some of them no text, and the others are to be shown."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as the database has it. `done` and `total` are bytes of `phase`; times are UTC text; `number` orders jobs
    as they were made, whatever the clock said."""

    number: int
    id: str
    kind: str
    params: dict[str, Any]
    state: str
    phase: str
    done: int
    total: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    actor: str
    created: str
    started: str | None
    finished: str | None


def stored_job(reader: Reader, job_id: str) -> StoredJob | None:
    """The job of that id, or None."""
    row = reader.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608  constant
    return None if row is None else _job(row)


def stored_jobs(reader: Reader, limit: int, after: str = "", state: str = "") -> list[StoredJob]:
    """Jobs, the one made last first, those made before the job `after` where it is given."""
    before = "number < (SELECT number FROM jobs WHERE id = ?)" if after else "? = ''"
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE {before} AND (? = '' OR state = ?) ORDER BY number DESC LIMIT ?",  # noqa: S608
        (after, state, state, limit),
    )
    return [_job(row) for row in rows]


def params_of(reader: Reader, job_id: str) -> dict[str, Any] | None:
    """The params of the job of that id, or None where it is unknown."""
    row = reader.execute("SELECT params FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else dict(json.loads(row[0]))


def active_params(reader: Reader, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """The jobs of a kind that have not ended, each with its params; none where these are damaged."""
    marks = ", ".join("?" for _ in FINAL_STATES)
    rows = reader.execute(
        f"SELECT id, params FROM jobs WHERE kind = ? AND state NOT IN ({marks}) ORDER BY number",  # noqa: S608
        (kind, *sorted(FINAL_STATES)),
    )
    found = []
    for job, text in rows:
        try:
            params = json.loads(text)
        except ValueError:
            params = None
        found.append((str(job), params if isinstance(params, dict) else {}))
    return found


def _documents(raw: list[Any], texts: dict[str, str | None]) -> list[dict[str, Any] | None]:
    """The params, result and error of a row. Raises ValueError, TypeError where it is damaged."""
    for one in raw:
        (one or b"").decode()
    if texts["state"] not in JOB_STATES:
        raise ValueError(texts["state"])
    return [dict(json.loads(text)) if (text := texts[name]) else None for name in ("params", "result", "error")]


def _job(row: tuple[Any, ...]) -> StoredJob:
    number, done, total, *raw = row
    texts = {name: None if one is None else as_text(one) for name, one in zip(_TEXTS, raw, strict=True)}
    said = [str(texts[name] or "") for name in ("id", "kind", "phase", "actor", "created")]
    job_id, kind, phase, actor, created = said
    state = str(texts["state"])
    try:
        documents = _documents(raw, texts)
    except (ValueError, TypeError):  # a flipped bit: the others are shown, and it is not done with other params
        wrong = FailedError("the job's row in the metadata is damaged", thing=job_id, remedy="start it again")
        state, documents = "failed", [{}, None, {**to_wire(wrong), "exit_status": wrong.exit_status}]
    return StoredJob(
        number, job_id, kind, documents[0] or {}, state, phase, done, total, documents[1], documents[2], actor, created,
        texts["started"], texts["finished"],
    )  # fmt: skip
