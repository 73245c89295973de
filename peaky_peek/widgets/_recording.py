"""One session as widgets read it: its steps as they were when read, and the events behind them when asked."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from peaky_peek import steps as stepping
from peaky_peek.errors import StoreLocked
from peaky_peek.store import reader, sessions
from peaky_peek.widgets import _details, _outline, _previews
from peaky_peek.widgets._surroundings import Places, Surroundings
from peaky_peek.widgets._values import follow, whole_text

if TYPE_CHECKING:
    from peaky_peek.events import Event
    from peaky_peek.store.database import Database

_BATCH = 200


class Recording:
    """A snapshot of a session's steps; `session` is None and there are no steps when nothing is recorded yet.

    Raises:
        SessionNotFound: if `ref` names no session.
    """

    def __init__(self, db: Database, ref: Any = None) -> None:
        with contextlib.suppress(StoreLocked):  # what the store holds is shown; the rest comes with the next refresh
            db.ingest(wait=0.2)
        ids = self._meant(db, ref)
        self.db = db
        self.session = reader.read_session(db, ids[0]) if ids else None
        self.steps = stepping.steps(db, ids[0] if ids else "")
        self._row_of = dict(zip(self.steps["close_id"], self.steps.index, strict=True))
        self._row_of.update(zip(self.steps["event_id"], self.steps.index, strict=True))

    def _meant(self, db: Database, ref: Any) -> list[str]:
        """Return the id of the session that is meant, none when there is none."""
        return sessions.resolve_many(None, db) if ref is None else [sessions.resolve(ref, db)]

    def __len__(self) -> int:
        return len(self.steps)

    @functools.cached_property
    def event_order(self) -> list[str]:
        """The ids of all events of the session and those nested in it, in the order in which they happened."""
        return stepping.event_order(self.db, self.steps)

    @functools.cached_property
    def _places(self) -> Places:
        return {}

    def title(self) -> dict[str, Any]:
        """Return the headline; in an empty store, how to begin."""
        if self.session is None:
            return {"name": "", "status": "empty", "facts": [], "note": sessions.NOTHING_RECORDED}
        session, duration = self.session, self.session.duration
        ms = None if duration is None else duration.total_seconds() * 1000
        return _outline.title(session.name or session.session_id, session.status, ms, self.steps, session.outcome)

    def outline(self) -> list[dict[str, Any]]:
        """Return the 40 rows that are saved with a notebook."""
        failed = self.steps.index[self.steps["failed"]]
        suspect = self.steps.index[self.steps["suspect"].notna()]
        rows = _outline.shown_rows(failed, suspect, len(self))
        return _outline.outline(self.steps, rows, self.previews(rows))

    def rows_of(self, event_ids: Iterable[str]) -> list[int]:
        """Return the row of the step that each event opens or closes, in order, without repeats or strangers."""
        return list(dict.fromkeys(self._row_of[known] for known in event_ids if known in self._row_of))

    def row_of(self, event_id: str) -> int:
        """Return the row of the step that an event of the session opens or closes."""
        return int(self._row_of[event_id])

    def event_ids(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the ids of the events of each step, in order."""
        pairs = self.steps[["event_id", "close_id"]].iloc[list(rows)]
        return [[found for found in pair if isinstance(found, str)] for pair in pairs.itertuples(index=False)]

    def read(self, rows: Sequence[int]) -> Iterator[tuple[dict[str, Any], list[Event]]]:
        """Yield each of the rows of the frame with the typed events of its step, read from the store in batches."""
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            ids = self.event_ids(batch)
            wanted = [known for step in ids for known in step]
            found = {event.id: event for event in reader.events_by_id(self.db, wanted)}
            for step, of_step in zip(self._known(batch), ids, strict=True):
                try:
                    events = [found[known] for known in of_step]
                except KeyError as missing:
                    raise reader.damaged_at(f"event {missing}", self.db, LookupError("an index misses it")) from None
                yield step, events

    def _known(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return rows of the frame as plain values, unknown ones as None."""
        return _outline.known(self.steps, rows)

    def previews(self, rows: Sequence[int]) -> list[str]:
        """Return the one-line text after the name of each step."""
        return [_previews.preview(events) for _, events in self.read(rows)]

    def details(self, row: int) -> dict[str, Any]:
        """Return the `details` message of a step."""
        [(step, events)] = self.read([row])
        return self.detailed(row, step, events)

    def detailed(self, row: int, step: dict[str, Any], events: Sequence[Event]) -> dict[str, Any]:
        """Return the `details` message of a step that has been read."""
        return _details.details(row, step, events, Surroundings(self.db, self._row_of, self._places))

    def more(self, row: int, path: Sequence[int | str]) -> dict[str, Any]:
        """Return the `more` message: all of a text that was cut, or of a value as JSON."""
        [(_, events)] = self.read([row])
        return {"type": "more", "row": row, "path": list(path), "text": whole_text(part(events, path))}


def part(events: Sequence[Event], path: Sequence[int | str]) -> Any:
    """Return the part of a step's events that lies at a path."""
    return follow([event.to_dict() for event in events], path)
