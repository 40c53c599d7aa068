"""Reads of jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from appliance.store.ports import Reader
from bundles.errors import FailedError, to_wire

_COLUMNS: Final = (
    "number, id, kind, params, state, phase, done, total, result, error, actor, created, started, finished"
)


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


def _job(row: tuple[Any, ...]) -> StoredJob:
    number, job_id, kind, params, state, phase, done, total, result, error, *rest = row
    try:
        said = [dict(json.loads(text)) if text else None for text in (params, result, error)]
    except (ValueError, TypeError):  # a flipped bit: the others are shown, and it is not done with other params
        wrong = FailedError("the job's row in the metadata is damaged", thing=str(job_id), remedy="start it again")
        state, said = "failed", [{}, None, {**to_wire(wrong), "exit_status": wrong.exit_status}]
    return StoredJob(number, job_id, kind, said[0] or {}, state, phase, done, total, said[1], said[2], *rest)
