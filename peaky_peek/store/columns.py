"""The metadata of events as NumPy columns, with a packed cache for sessions that are closed.

Rows of SQLite become Python objects one value at a time, and that is nearly all the time a large frame takes. So the
first read of a closed session keeps its columns as one BLOB (table `columns`), valid as long as the session has the
same events. The cache may be deleted at any time; the tables stay the truth.

Only frames, graphs and steps import this module: recording must not load NumPy.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from peaky_peek.errors import PeekError
from peaky_peek.events import EventType
from peaky_peek.store.connection import many
from peaky_peek.vocabulary import STATUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.store.database import Database

MISSING = np.iinfo(np.int64).min
"""Stands for an unknown integer or time; it is NaT when seen as a time."""

EVENT_TYPES = [kind.value for kind in EventType]
_VERSION = 2  # of the packed form
_CHUNK = 1_000  # rows held as Python objects at a time: few enough for the processor's cache

_NUMBERS = {
    "position": "i8",
    "event_type": "i1",
    "timestamp": "i8",
    "duration_ms": "f8",
    "status": "i1",
    "importance": "f8",
    "failed": "?",
    "input_tokens": "i8",
    "output_tokens": "i8",
    "cost_usd": "f8",
    "derived": "?",
}
"""Columns of fixed width. Types and statuses are codes, -1 unknown; times are microseconds since the epoch, UTC."""

_PACKED = _NUMBERS | {"parent": "i8"}  # see `parent_rows`

_TEXTS = ("event_id", "parent_id", "name", "agent", "suspect", "model", "tool_name", "error_type")

_SQL = {name: name for name in (*_NUMBERS, *_TEXTS)}
_SQL["derived"] = "event_type = 'decision' AND payload ->> '$.metadata.derived' IS TRUE"
_SELECT = f"SELECT {', '.join(_SQL.values())} FROM events WHERE session_id = ? ORDER BY position, rowid"  # noqa: S608
_CACHED = f"""
    SELECT s.session_id, s.status = 'running', (SELECT printf('{_VERSION} %d %d', count(*), max(e.rowid)) FROM events e
    WHERE e.session_id = s.session_id), c.stamp, c.data FROM sessions s LEFT JOIN columns c USING (session_id)
    WHERE s.session_id IN (SELECT value FROM json_each(?))"""  # noqa: S608
_CODES = {
    "event_type": {name: code for code, name in enumerate(EVENT_TYPES)},
    "status": {name: code for code, name in enumerate(STATUSES)},
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The events of some sessions in order, one array per column."""

    numbers: dict[str, NDArray[Any]]
    texts: dict[str, NDArray[np.object_]]
    """None where unknown."""

    def __len__(self) -> int:
        return len(self.numbers["event_type"])

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return these rows, in this order."""
        return Columns(
            {name: column[rows] for name, column in self.numbers.items()},
            {name: column[rows] for name, column in self.texts.items()},
        )


def read(db: Database, session_ids: list[str]) -> list[Columns]:
    """Return the events of each session, from the cache where it is valid."""
    result = {}
    fresh = []
    wanted = many(session_ids)
    for session_id, is_open, stamp, cached_stamp, data in db.connection().execute(_CACHED, (wanted,)):
        if data is not None and stamp == cached_stamp:
            with suppress(ValueError, IndexError):  # damaged: it is only a copy
                result[session_id] = _unpack(data)
                continue
        result[session_id] = join(list(_from_rows(db, session_id)))
        if not is_open:
            fresh.append((session_id, stamp, _pack(result[session_id])))
    if fresh:
        _save(db, fresh)
    return [result[session_id] for session_id in session_ids]


def parent_rows(session: Columns) -> NDArray[np.int64]:
    """Return the row of each event's parent in the columns of one session, -1 when it is not there."""
    if "parent" in session.numbers:
        return session.numbers["parent"]
    row_of = {event_id: row for row, event_id in enumerate(session.texts["event_id"].tolist())}
    return np.array([row_of.get(parent_id, -1) for parent_id in session.texts["parent_id"].tolist()], np.int64)


def join(parts: list[Columns]) -> Columns:
    """Return the events of all parts, one after the other."""
    if not parts:
        return Columns({n: np.empty(0, d) for n, d in _NUMBERS.items()}, dict.fromkeys(_TEXTS, np.empty(0, object)))
    return Columns(
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in _NUMBERS},
        {name: np.concatenate([part.texts[name] for part in parts]) for name in _TEXTS},
    )


def _from_rows(db: Database, session_id: str) -> Iterator[Columns]:
    """Yield a session's events in chunks."""
    cursor = db.connection().execute(_SELECT, (session_id,))
    while rows := cursor.fetchmany(_CHUNK):
        columns = dict(zip(_SQL, zip(*rows, strict=True), strict=True))
        for name, codes in _CODES.items():
            columns[name] = tuple(codes.get(value, -1) for value in columns[name])
        yield Columns(
            {name: _array(columns[name], dtype) for name, dtype in _NUMBERS.items()},
            {name: np.array(columns[name], object) for name in _TEXTS},
        )


def _array(column: Sequence[Any], dtype: str) -> NDArray[Any]:
    if dtype == "i8" and None in column:
        column = [MISSING if value is None else value for value in column]
    try:
        return np.array(column, dtype)
    except (TypeError, ValueError, OverflowError):  # what callers gave as tokens or cost may be anything
        kind, unknown = (int, MISSING) if dtype == "i8" else ((int, float), None)
        return np.array([value if isinstance(value, kind) else unknown for value in column], dtype)


def _save(db: Database, fresh: list[tuple[str, str, bytes]]) -> None:
    """Keep packed columns, unless that would mean to wait for another writer or the store cannot be written."""
    with suppress(PeekError), db.write(deadline=0) as connection:
        connection.executemany("INSERT OR REPLACE INTO columns VALUES (?, ?, ?)", fresh)


def _pack(columns: Columns) -> bytes:
    """Return columns as bytes: lengths of the parts, numbers as they are, texts as codes and values, a checksum."""
    numbers = columns.numbers | {"parent": parent_rows(columns)}
    parts = [numbers[name].tobytes() for name in _PACKED]
    for name in _TEXTS:
        values: dict[str | None, int] = {None: -1}
        codes = [values.setdefault(value, len(values) - 1) for value in columns.texts[name].tolist()]
        parts += [np.array(codes, "<i4").tobytes(), orjson.dumps(list(values)[1:])]
    body = np.array([len(part) for part in parts], "<i8").tobytes() + b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4)


def _unpack(data: bytes) -> Columns:
    if zlib.crc32(memoryview(data)[:-4]).to_bytes(4) != data[-4:]:
        raise ValueError("a bit is flipped, and numbers would not show it")
    count = len(_PACKED) + 2 * len(_TEXTS)
    ends = np.cumsum(np.frombuffer(data, "<i8", count)) + 8 * count
    parts = iter([memoryview(data)[start:end] for start, end in zip((8 * count, *ends[:-1]), ends, strict=True)])
    numbers = {name: np.frombuffer(next(parts), dtype) for name, dtype in _PACKED.items()}
    texts = {}
    for name in _TEXTS:
        codes = np.frombuffer(next(parts), "<i4")
        texts[name] = np.array([*orjson.loads(next(parts)), None], object)[codes]  # code -1 is the last
    return Columns(numbers, texts)
