"""The end of a store: the events of some runs, each once, in the order in which the store took them in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek.events import Event
from peaky_peek.store.connection import many
from peaky_peek.store.reader import Messages
from peaky_peek.store.schema import EVENT_COLUMNS

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_AT_ONCE = 2_000
_ROOT = "coalesce(s.root_session_id, s.session_id)"
_TYPES = "e.event_type IN (SELECT value FROM json_each(:types))"
_COLUMNS = ", ".join(f"e.{name}" for name in EVENT_COLUMNS)
# CROSS JOIN: from the newest events to their sessions, however many sessions there are.
_NEW = f"""SELECT {_ROOT}, {_COLUMNS} FROM events e CROSS JOIN sessions s ON s.session_id = e.session_id
    WHERE e.rowid > :after AND e.rowid <= :upto AND {_TYPES} AND
    (e.session_id IN (SELECT value FROM json_each(:known)) OR {_ROOT} IN (SELECT value FROM json_each(:roots)))
    ORDER BY e.rowid"""  # noqa: S608
_OLD = f"""SELECT {_COLUMNS} FROM sessions s JOIN events e ON e.session_id = s.session_id
    WHERE (s.root_session_id = :root OR s.session_id = :root) AND e.rowid <= :upto AND {_TYPES}
    ORDER BY e.rowid"""  # noqa: S608


class Tail:
    """Follows one store, whoever writes it: this process, its children, or another that ingests for them.

    Args:
        whole: whether requests hold the whole conversation that was sent, or only what was new in it.
    """

    db: Database

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self._at: int | None = None
        self._version = -1

    def moved(self) -> bool:
        """Tell whether the store has changed since the last look; costs next to nothing."""
        (version,) = self.db.connection().execute("PRAGMA data_version").fetchone()
        changed = bool(version != self._version)
        self._version = version
        return changed

    def begin(self) -> None:
        """Call all that is in the store by now no news."""
        self._at = self._newest()

    def before(self, root: str, types: Collection[str]) -> Iterator[Event]:
        """Yield the events of a run that are no news any more."""
        if self._at is None:
            self._at = self._newest()
        wanted = {"root": root, "upto": self._at, "types": many(types)}
        yield from self._typed(self.db.connection().execute(_OLD, wanted).fetchall())

    def news(
        self, known: dict[str, str], roots: Collection[str], types: Collection[str]
    ) -> Iterator[tuple[str, Event]]:
        """Yield the events that came since the last time, with the run that each belongs to.

        Args:
            known: the root of sessions whose own record may not have arrived yet.
            roots: the runs to follow.
            types: the types of events that are wanted.
        """
        for rows in self.new_rows(known, roots, types):
            for root, event in zip([row[0] for row in rows], self._typed([row[1:] for row in rows]), strict=True):
                yield known.get(event.session_id, root), event

    def new_rows(
        self, known: Collection[str], roots: Collection[str], types: Collection[str]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the same some at a time, as they are stored: the run, and what `EVENT_COLUMNS` names."""
        newest = self._newest()
        if self._at is None:
            self._at = newest
        while self._at < newest:
            upto = min(newest, self._at + _AT_ONCE)
            wanted = {
                "known": many(known), "roots": many(roots), "types": many(types),
                "after": self._at, "upto": upto,
            }  # fmt: skip
            rows = self.db.connection().execute(_NEW, wanted).fetchall()
            self._at = upto
            yield rows

    def is_running(self, session_id: str) -> bool:
        """Tell whether the store has not heard of a session's end."""
        sql = "SELECT 1 FROM sessions WHERE session_id = ? AND status != 'running'"
        return self.db.connection().execute(sql, (session_id,)).fetchone() is None

    def _newest(self) -> int:
        (newest,) = self.db.connection().execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()
        return int(newest)

    def _typed(self, rows: list[Any]) -> Iterator[Event]:
        return map(Messages(self.db, whole=self.whole).typed, rows)
