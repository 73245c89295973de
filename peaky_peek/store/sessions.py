"""Session references: what a user may write where a session is meant."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from peaky_peek.errors import SessionNotFound
from peaky_peek.store import query
from peaky_peek.store.started import started

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

NOTHING_RECORDED = (
    "Nothing recorded yet: run an agent under `@pp.trace` or in a `%%peek` cell, or `pp.demo()` to look at some agents."
)
_SHORTEST_PART = 4


class _All:
    """Every session of the store: `pp.events(pp.ALL)`."""

    def __repr__(self) -> str:
        return "pp.ALL"


ALL: Final = _All()


def resolve(ref: Any, db: Database) -> str:
    """Return the id of the session that a reference means.

    Args:
        ref: a session, context, event, widget, row of `pp.sessions()` or frame of one; an integer position in
            `pp.sessions()` (oldest first); an id, a name (the newest of it), or a unique beginning or end of an id;
            None for the newest root session started by this process, else the newest in the store.
        db: the store to look in.

    Raises:
        SessionNotFound: naming the closest, or saying how to begin when nothing is recorded.
    """
    if ref is None:
        return _newest(db)
    if ref is ALL:
        raise SessionNotFound("`pp.ALL` means every session, and this shows one: give an id, a name or a position.")
    if isinstance(ref, str):
        return _by_text(ref, db)
    owner = getattr(ref, "session_id", None)
    if owner is None:
        owner = getattr(ref, "session", None)
    if owner is not None and hasattr(owner, "to_list"):  # the column of a frame
        listed = owner.to_list()
        if len(listed) != 1:
            raise SessionNotFound(f"A frame of {len(listed)} sessions does not name one: pick a row with `.iloc[0]`.")
        (owner,) = listed
    if owner is not None:
        return resolve(owner, db)
    try:
        position = operator.index(ref)
    except TypeError:
        raise SessionNotFound(
            f"A {type(ref).__name__} does not name a session: give an id, a name or a position."
        ) from None
    return _by_position(position, db)


def resolve_many(refs: Any, db: Database) -> list[str]:
    """Return the ids of the sessions that a reference to one or several means, without repeats.

    Args:
        refs: what `resolve` takes; or a list, a frame with a `session_id` column, a mask over `pp.sessions()`, a query,
            or `ALL`. A text that names no session is a query when it says more than words. None in an empty store: [].
        db: the store to look in.

    Raises:
        SessionNotFound: when one of the references does not resolve, or the mask is not as long as `pp.sessions()`.
        QueryError: for a query that cannot be read.
    """
    if refs is ALL:
        return matching("", db)
    if refs is None:
        return [] if _is_empty(db) else [_newest(db)]
    if isinstance(refs, str):
        return _by_text_or_query(refs, db)
    if hasattr(refs, "columns"):
        return [resolve(session_id, db) for session_id in dict.fromkeys(refs["session_id"])]
    if isinstance(refs, Iterable) and not hasattr(refs, "session_id"):
        items = list(refs)
        if items and all(_is_bool(item) for item in items):
            return _by_mask(items, db)
        return list(dict.fromkeys(resolve(item, db) for item in items))
    return [resolve(refs, db)]


def is_several(refs: Any, db: Database) -> bool:
    """Tell whether a reference means several sessions, even if it is only one that it finds: a list, frame or query."""
    if isinstance(refs, str):
        return _lookup(refs, db) is None and any(term.key or term.flag or term.quoted for term in query.parse(refs))
    return refs is ALL or hasattr(refs, "columns") or (isinstance(refs, Iterable) and not hasattr(refs, "session_id"))


def matching(text: str, db: Database) -> list[str]:
    """Return the ids of the sessions that match a query, oldest first.

    Raises:
        QueryError: pointing at what cannot be read.
    """
    where = query.over_sessions(text)
    sql = f"SELECT session_id FROM sessions s WHERE {where.sql} ORDER BY position, rowid"  # noqa: S608
    return [row[0] for row in db.connection().execute(sql, where.parameters)]


def _newest(db: Database) -> str:
    is_root = "SELECT 1 FROM sessions WHERE session_id = ? AND parent_session_id IS NULL"
    for session_id in reversed(started):
        if db.connection().execute(is_root, (session_id,)).fetchone():
            return session_id
    newest = "SELECT session_id FROM sessions ORDER BY parent_session_id IS NOT NULL, position DESC, rowid DESC LIMIT 1"
    row = db.connection().execute(newest).fetchone()
    if row is None:
        raise SessionNotFound(NOTHING_RECORDED)
    return str(row[0])


def _by_text(text: str, db: Database) -> str:
    found = _lookup(text, db)
    if found is None:
        raise _not_found(text, db)
    return found


def _by_text_or_query(text: str, db: Database) -> list[str]:
    found = _lookup(text, db)
    if found is not None:
        return [found]
    terms = query.parse(text)
    if not any(term.key or term.flag or term.quoted for term in terms):
        raise _not_found(text, db)
    return matching(text, db)


def _lookup(text: str, db: Database) -> str | None:
    """Return what a text means: an id, else the newest of a name, else the one id that begins or ends with it."""
    text = text.encode("utf-8", "replace").decode()
    connection = db.connection()
    row = connection.execute("SELECT session_id FROM sessions WHERE session_id = ?", (text,)).fetchone()
    row = (
        row
        or connection.execute(
            "SELECT session_id FROM sessions WHERE name = ? ORDER BY position DESC, rowid DESC LIMIT 1", (text,)
        ).fetchone()
    )
    if row is None and len(text) >= _SHORTEST_PART:
        rows = connection.execute(
            "SELECT session_id FROM sessions WHERE :text IN (substr(session_id, 1, :n), substr(session_id, -:n)) "
            "ORDER BY position, rowid LIMIT 4",
            {"n": len(text), "text": text},
        ).fetchall()
        if len(rows) > 1:
            some = ", ".join(row[0] for row in rows[:3])
            raise SessionNotFound(f"Several sessions begin or end with {text!r}: {some}{', ...' if rows[3:] else ''}.")
        row = rows[0] if rows else None
    return None if row is None else str(row[0])


def _by_position(position: int, db: Database) -> str:
    order, offset = ("", position) if position >= 0 else ("DESC", -1 - position)
    sql = f"SELECT session_id FROM sessions ORDER BY position {order}, rowid {order} LIMIT 1 OFFSET ?"  # noqa: S608
    row = db.connection().execute(sql, (min(offset, 1 << 62),)).fetchone()
    if row is None:
        count = _count(db)
        if not count:
            raise SessionNotFound(NOTHING_RECORDED)
        raise SessionNotFound(
            f"There is no session at position {position}: the store holds {count} (0 to {count - 1})."
        )
    return str(row[0])


def _by_mask(mask: list[Any], db: Database) -> list[str]:
    ids = matching("", db)
    if len(mask) != len(ids):
        raise SessionNotFound(f"A mask over pp.sessions() needs {len(ids)} values, this one has {len(mask)}.")
    return [session_id for session_id, wanted in zip(ids, mask, strict=True) if wanted]


def _is_bool(item: Any) -> bool:
    return type(item).__name__ in ("bool", "bool_")  # Python's and NumPy's, without importing the latter


def _not_found(text: str, db: Database) -> SessionNotFound:
    rows = db.connection().execute("SELECT name, session_id FROM sessions ORDER BY position DESC").fetchall()
    if not rows:
        return SessionNotFound(NOTHING_RECORDED)
    like = query.closest(text, dict.fromkeys(word for row in rows for word in row if word))
    hint = f"the closest is {like!r}" if like else "`pp.sessions()` lists them"
    return SessionNotFound(f"No recorded session is called {text!r}: {hint}.")


def _is_empty(db: Database) -> bool:
    return not _count(db)


def _count(db: Database) -> int:
    return int(db.connection().execute("SELECT COUNT(*) FROM sessions").fetchone()[0])
