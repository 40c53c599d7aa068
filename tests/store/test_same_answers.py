"""Every read and every write of the store says and does the same on both engines, on the same rows.

Rows are made for each table from a few values by the names of columns, so that tables join; reads and writes are called
with the same values, by the names of their parameters and fields. What they mean is other tests' business: here SQLite
says what is right.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec
import pytest

from appliance import clock
from appliance.store import reads, writes
from appliance.store.database import open_writer
from appliance.store.engine import engine_of
from appliance.store.errors import EngineError
from appliance.store.ports import Connection, Reader
from appliance.store.postgres.engine import PostgresEngine
from appliance.store.reads.registry import Metadata
from appliance.store.sqlite_file import blank_schema
from appliance.store.writer import messages
from appliance.store.writes.registry import ClientWrite
from appliance.store.writes.write import Write
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

AT = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]
DIGESTS = [str(Digest.of(text)) for text in (b"a", b"b", b"c")]
STREAMS = ["alpha.bravo", "alpha.delta"]
BUNDLES = [f"{STREAMS[0]}-000001", f"{STREAMS[0]}-000002", f"{STREAMS[1]}-000001"]
NAMES = ["ada", "boris", "c%_d"]
DOCUMENT = f'{{"artifacts":[{{"digest":"{DIGESTS[0]}","repository":"r/1","tags":["t1","t2"]}}],"state":"released","blobs":[],"sections":[{{"inspector":"a","details":{{"required":true,"unlooked":1}}}}],"head":"h","uid":7}}'  # noqa: E501
POOLS: dict[str, list[Any]] = {
    "digest": DIGESTS, "target": DIGESTS, "subject": [*DIGESTS[:2], None], "image": DIGESTS, "report_digest": DIGESTS,
    "last_digest": DIGESTS, "item": [*DIGESTS[:2], "t1"], "previous": [None, DIGESTS[0]], "stream": STREAMS,
    "bundle": [*BUNDLES, "receipt:1"], "site": ["bravo", "delta"], "repository": ["r/1", "r/2"],
    "name": ["r/1", "r/2", "ada"],
    "tag": ["t1", "t2"], "account": NAMES, "actor": NAMES, "owner": NAMES, "job": ["job-1", "job-2"],
    "job_id": ["job-1", "job-2"], "document": [DOCUMENT], "manifest": [DOCUMENT], "report": [DOCUMENT, None],
    "detail": ['{"uid":7}', "{}"], "annotations": ['{"a":"b"}'], "error": [None, "{}"], "params": ['{"a":1}'],
    "result": [None, "{}"], "places": ['["/media"]'], "found": AT,
    "kind": ["manifest", "blob", "tag", "person", "robot"],
    "state": ["waiting", "released", "quarantined", "signed", "written", "done", "waits", "indexed", "queued", "reset"],
    "role": ["administrator", "security-officer"], "source": ["osv", "kev"], "ecosystem": ["PyPI"],
    "origin": ["own", "carried"],
    "rows": ["tag", "link", "blob"], "locked_until": [None, AT[2]],
    "media_type": ["application/vnd.oci.image.manifest.v1+json"],
    "artifact_type": ["", "x/y"], "checksum": [None], "id": [*BUNDLES, "job-1", "CVE-1"], "keyid": ["k1", "k2"],
    "thing": [*DIGESTS[:1], "k1", ""], "limit": [100, 1], "text": ["", "r", "A"], "hex_digits": [DIGESTS[0][7:12]],
    "after": ["", DIGESTS[0]], "expires": AT, "one": [1], "medium": ["usb"],
}  # fmt: skip
"""Values by the name of a column, parameter or field."""
NUMBERS = [1, 2, 3, 7]
OTHERWISE = {"revision", "version", "keep_pages", "close", "one_state"}
"""What is the engine's own, or gives no answer but a time to ask in."""
VARYING = {
    ("repositories", "change"),
    *((table, "number") for table in ("webhook_outbox", "packages", "advisory_entries")),
}
"""Columns with another value each time, or numbers that PostgreSQL leaves gaps between."""


def pool(name: str, kind: str) -> list[Any]:
    """Values of a kind (`text`, `number`, `bytes`, `real`) for a name."""
    found = POOLS.get(name, [])
    if kind == "text":
        return [one for one in found if isinstance(one, str | None)] or AT
    if kind == "number":
        return [one for one in found if isinstance(one, int)] or NUMBERS
    return [b"\x00a"] if kind == "bytes" else [0.5]


KINDS = {"TEXT": "text", "INTEGER": "number", "BLOB": "bytes", "REAL": "real"}


def fill(db: Connection) -> None:
    """Rows for each table, as many as its keys and rules take of a dozen."""
    db.execute("PRAGMA foreign_keys = OFF")
    for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall():
        assert sql
        db.execute(f"DROP TRIGGER {name}")
    for table in tables():
        columns = db.execute(f"PRAGMA table_info({table})").fetchall()
        pools = []
        for _, name, kind, filled, _, key in columns:
            values = pool(name, KINDS[kind])
            pools.append([one for one in values if one is not None or not (filled or key)] or AT)
        for turn in range(12):
            row = [
                values[(turn + turn // len(values) * (place % 2)) % len(values)] for place, values in enumerate(pools)
            ]
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)


def tables() -> list[str]:
    found = (re.match(r'CREATE TABLE "?(\w+)', sql) for sql in blank_schema()[0])
    return [one[1] for one in found if one is not None]


def copy(sqlite: Connection, other: Connection) -> None:
    """Every row of one in the other, and the next numbers."""
    other.execute("SET session_replication_role = replica")
    for table in tables():
        rows = sqlite.execute(f"SELECT * FROM {table}").fetchall()
        other.execute(f"DELETE FROM {table}")
        if rows:
            other.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def number_on(other: Connection) -> None:
    """The next number of each table follows its last one, as SQLite's does."""
    columns = other.execute(
        "SELECT table_name::text, column_name::text FROM information_schema.columns"
        " WHERE is_identity = 'YES' AND table_schema = 'lockgate'"
    ).fetchall()
    numbers = (
        f"setval(pg_get_serial_sequence('lockgate.{table}', '{column}'),"
        f" (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
        for table, column in columns
    )
    other.execute(f"SELECT {', '.join(numbers)}")


def rows_of(db: Reader, names: Iterable[str]) -> dict[str, list[str]]:
    """Every row of these tables."""
    found = {}
    for table in names:
        cursor = db.execute(f"SELECT * FROM {table}")
        columns = [field[0] for field in cursor.description]  # type: ignore[attr-defined]
        found[table] = sorted(
            repr([value for name, value in zip(columns, row, strict=True) if (table, name) not in VARYING])
            for row in cursor.fetchall()
        )
    return found


@pytest.fixture(scope="module")
def both(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Connection, Connection]]:
    path = tmp_path_factory.mktemp("same") / "metadata.sqlite"
    with closing(open_writer(path)) as sqlite, closing(PostgresEngine(postgres.new_database()).open_writer()) as other:
        fill(sqlite)
        copy(sqlite, other)
        number_on(other)
        yield sqlite, other


Asked = tuple[str, Callable[..., Any], list[str], dict[str, Any]]
"""A read: its name, what calls it with a connection and values, the names of these, and their types by name."""


def every_read() -> Iterator[Asked]:
    """Functions of `reads` that take a connection first, and methods of its classes that are made of one."""
    for module in pkgutil.iter_modules(reads.__path__):
        loaded = importlib.import_module(f"{reads.__name__}.{module.name}")
        for name, one in vars(loaded).items():
            if getattr(one, "__module__", "") != loaded.__name__ or name.startswith("_") or name in OTHERWISE:
                continue
            begin, *names = inspect.signature(one).parameters if inspect.isfunction(one) else [""]
            if begin in ("reader", "db"):
                yield f"{module.name}.{name}", one, names, typing.get_type_hints(one)
            if inspect.isclass(one) and (one is Metadata or list(inspect.signature(one).parameters) == ["reader"]):
                for method, called in inspect.getmembers(one, inspect.isfunction):
                    if not method.startswith("_") and method not in OTHERWISE:
                        _, *names = inspect.signature(called).parameters
                        call = functools.partial(call_method, one, method)
                        yield f"{module.name}.{name}.{method}", call, names, typing.get_type_hints(called)


def call_method(kind: type, method: str, db: Connection, *values: Any) -> Any:
    """A method of an object that reads through a connection."""
    if kind is not Metadata:
        return getattr(kind(db), method)(*values)
    made = Metadata.__new__(Metadata)
    vars(made).update(connection=db, _right={})
    return getattr(made, method)(*values)


def values_for(name: str, wanted: Any) -> list[Any] | None:
    """Values for a parameter of a type; None where it takes something else."""
    if wanted is str:
        return [one for one in pool(name, "text") if one is not None]
    if wanted is int:
        return pool(name, "number")
    if wanted is bool:
        return [True, False]
    if wanted is bytes:
        return [DIGESTS[0].encode(), b"\xff"]
    if wanted is Digest:
        return [Digest.parse(one) for one in DIGESTS]
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        found = [one for part in arguments if part is not type(None) for one in values_for(name, part) or []]
        return [*found[:2], None] if found else None
    if origin is typing.Literal:
        return list(arguments)
    if isinstance(origin, type) and issubclass(origin, Sequence | Iterable) and origin is not dict and arguments:
        if origin is tuple and arguments[-1] is not Ellipsis:
            parts = [values_for(name, part) for part in arguments]
            return None if None in parts else [tuple(part[0] for part in parts if part)]
        singular = values_for(name.removesuffix("s"), arguments[0])
        return None if singular is None else [singular[:3], []]
    return None


def answer(call: Callable[[], Any]) -> Any:
    """What a call says, as something that compares; its error, by kind."""
    try:
        return plain(call())
    except EngineError:
        return "an error of the engine"
    except (LockgateError, ValueError, KeyError, TypeError) as error:
        return type(error).__name__, str(error)


def plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        return {repr(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(repr(plain(one)) for one in value)
    if isinstance(value, str | bytes | int | float | None):
        return value
    if hasattr(value, "__iter__"):
        return [plain(one) for one in value]
    return repr(value)


def test_every_read_gives_the_same_answer(both: tuple[Connection, Connection]) -> None:
    differ, asked, failed = {}, set[str](), set[str]()
    for name, one, names, hints in every_read():
        pools = [values_for(field, hints[field]) for field in names]
        if any(values is None for values in pools):
            continue
        for values in itertools.islice(itertools.product(*(values or [] for values in pools)), 24):
            for db in both:
                db.execute("BEGIN")  # some of them write
            ours, theirs = (answer(functools.partial(one, db, *values)) for db in both)
            for db in both:
                db.execute("ROLLBACK")
            asked.add(name)
            if ours == "an error of the engine":
                failed.add(name)
            if (ours != theirs and not isinstance(ours, list | tuple)) or (
                isinstance(ours, list)
                and (not isinstance(theirs, list) or sorted(map(repr, ours)) != sorted(map(repr, theirs)))
            ):
                differ.setdefault(name, (values, ours, theirs))
    assert differ == {}
    assert len(asked) > 150
    assert failed == set()


def made(kind: msgspec.inspect.Type, name: str, turn: int) -> Any:
    """A value of a field of a write."""
    match kind:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            values = {one.name: made(one.type, one.name, turn) for one in fields if one.required or turn % 2}
            return cls(**values)
        case msgspec.inspect.NamedTupleType(cls=cls, fields=fields):
            return cls(*(made(one.type, one.name, turn) for one in fields))
        case msgspec.inspect.StrType():
            found = [one for one in pool(name, "text") if one is not None]
            return found[turn % len(found)]
        case msgspec.inspect.IntType():
            found = pool(name, "number")
            return found[turn % len(found)]
        case msgspec.inspect.BoolType():
            return bool(turn // 2 % 2)
        case msgspec.inspect.FloatType():
            return 0.5
        case msgspec.inspect.BytesType():
            return DIGESTS[turn % 3].encode()
        case msgspec.inspect.LiteralType(values=values):
            return values[turn % len(values)]
        case msgspec.inspect.UnionType(types=kinds):
            return made(kinds[turn % len(kinds)], name, turn)
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            return tuple(made(item, name.removesuffix("s"), turn + place) for place in range(2))
        case msgspec.inspect.TupleType(item_types=kinds):
            return tuple(made(one, name.removesuffix("s"), turn) for one in kinds)
        case msgspec.inspect.NoneType():
            return None
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return {made(key, name, turn): made(value, name, turn)}
        case _:
            raise NotImplementedError(f"{name}: {kind}")


def outcome(db: Connection, write: Write, before: dict[str, list[str]], also: Iterable[str] = ()) -> Any:
    """What a write says, and the rows of each table that it changed; `also` of these."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("SAVEPOINT one_write")
        said = answer(functools.partial(write.apply, db))
        if said == "an error of the engine":
            db.execute("ROLLBACK TO one_write")
        if engine_of(db).counts_commits():
            found = rows_of(db, before)
        else:
            touched = db.execute(
                "SELECT relname::text FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
            )
            found = rows_of(db, {table for (table,) in touched}.union(also) & set(before))
        return said, {table: rows for table, rows in found.items() if rows != before[table]}
    finally:
        db.execute("ROLLBACK")


def test_every_write_does_the_same(both: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: AT[2])
    assert writes.__path__
    differ, taken, before = {}, set[str](), rows_of(both[0], tables())
    assert rows_of(both[1], tables()) == before
    for kind in set(messages._write_classes()) - {ClientWrite}:  # which is what others are made of
        shape = msgspec.inspect.type_info(kind)
        for turn in range(4):
            try:
                write = made(shape, "", turn)
            except (TypeError, ValueError):
                continue
            ours = outcome(both[0], write, before)
            theirs = outcome(both[1], write, before, ours[1])
            number_on(both[1])  # a number that was taken stays taken, whatever was rolled back
            if ours[1]:
                taken.add(kind.__name__)
            if ours != theirs:
                differ.setdefault(kind.__name__, (write, ours, theirs))
    assert differ == {}
    assert len(taken) > 50
