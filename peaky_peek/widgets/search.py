"""What a search over all sessions found: a frame, drawn as a list under its sessions that opens each event in place."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import traitlets

from peaky_peek import steps as stepping
from peaky_peek import store
from peaky_peek.errors import QueryError, StoreLocked
from peaky_peek.store import dtypes, reader, sessions
from peaky_peek.store import search as searching
from peaky_peek.widgets import _filter, _linking, _text, _wire
from peaky_peek.widgets._recording import Recording
from peaky_peek.widgets._session_widget import SessionWidget

if TYPE_CHECKING:
    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

LIMIT = 200
_PREVIEW = 160


def search(q: str = "", *, limit: int = LIMIT) -> SearchResults:
    """Return the events of all sessions that match a query, newest first; in a notebook, a list that opens them.

    `snippet` has the words around the first text that was found.

    Args:
        q: a query, such as `"timeout tool:refund after:today"`. An empty one finds nothing; type in the list's box.
        limit: how many events at most.

    Raises:
        QueryError: pointing at what cannot be read.

    Example:
        >>> import peaky_peek as pp
        >>> with pp.trace_session("refunds") as ctx:
        ...     failed = ctx.record_error("ToolTimeout", "the gateway did not answer in 30 s")
        >>> search("gateway").loc[0, ["session", "snippet"]].tolist()
        ['refunds', 'the gateway did not answer in 30 s']
    """
    view = SearchView(q, limit=limit)
    results = SearchResults(view.frame)
    results.attrs["query"] = q
    object.__setattr__(results, "view", view)
    return results


class SearchResults(pd.DataFrame):
    """What `search` returns: a frame with one row per event, shown as its `view`. What is made of it is a plain frame.

    Attributes:
        view: the list, whose `selected` and `event` are what was clicked.
    """

    view: SearchView

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)


class SearchView(SessionWidget, bundle="tree"):
    """The list of what was found, under the sessions it was found in. What is typed in its box is searched for.

    Selecting an event selects it in all widgets on its session.
    """

    def __init__(self, query: str = "", *, limit: int = LIMIT, height: int = 480) -> None:
        self._limit = limit
        super().__init__(query, filter=query, height=height, linked=False)

    def __repr__(self) -> str:
        return f"SearchView({self._query!r}, {', '.join(self._title['facts'])})"

    @property  # type: ignore[misc]
    def session(self) -> Session | None:
        """The session of the first selected event; None when nothing is selected."""
        event = self.event
        return reader.read_session(self._recording.db, event.session_id) if event else None

    @property
    def frame(self) -> pd.DataFrame:
        """What was found, as `pp.search` returns it."""
        return self._recording.frame  # type: ignore[attr-defined, no-any-return]

    def _read(self, ref: Any) -> Recording:
        return _Hits(store.current(), str(ref or ""), self._limit)

    def _read_again(self) -> Recording:
        return self._read(self._query)

    def _set_filter(self, wanted: _filter.Filter) -> None:
        if not isinstance(wanted, str):
            raise QueryError("What is searched for is a text: use a mask on the frame that `pp.search` returns.")
        with self._lock:
            self._query = wanted
            self._filter = wanted

    @traitlets.observe("_query")
    def _query_changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["new"] == self._recording.query:  # type: ignore[attr-defined]
                return
            try:
                recording = self._read(change["new"])
            except QueryError as error:
                self._send_all([_wire.error(str(error), {"type": "filter", "query": change["new"]})])
                return
            self._filter = change["new"]
            self.selected = []
            self._show(recording)

    def _show(self, recording: Recording) -> None:
        self._mask, self._recording = None, recording
        self._title, self._outline = recording.title(), recording.outline()
        self._rows = recording.rows_of(self.selected)
        self._send_all(self._drawn())

    def _links(self) -> Collection[Hashable]:
        return ()

    def _tell(self, name: str, value: Any) -> None:
        if name == "selected" and value:
            db = self._recording.db
            found = {event.session_id for event in reader.events_by_id(db, value)}
            _linking.tell(self, [_linking.session_link(db, session_id) for session_id in found], name, value)

    def _filtered(self) -> list[_wire.Message]:
        return [_wire.no_mask(len(self._recording))]


class _Hits(Recording):
    """What was found, as rows that a tree can draw: the sessions, newest first, and under each its steps in order."""

    def __init__(self, db: Database, query: str, limit: int) -> None:
        self.db, self.query, self.session = db, query, None
        with contextlib.suppress(StoreLocked):
            db.ingest(wait=0.2)
        found = searching.find(db, query, limit)
        self._is_full = len(found) == limit
        rows = [{**one.event, "snippet": one.snippet} for one in found]
        self._sessions = list(reader.read_sessions(db, dict.fromkeys(row["session_id"] for row in rows)))
        names = {one.session_id: one.name for one in self._sessions}
        rows = [{**row, "session": names[row["session_id"]], "failed": bool(row["failed"])} for row in rows]
        self.frame = dtypes.frame("search", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["search"]})
        self._snippets = {row["event_id"]: row["snippet"] for row in rows}
        self.steps = self._steps()
        self._row_of = dict(zip(self.steps["close_id"], self.steps.index, strict=True))
        self._row_of.update(zip(self.steps["event_id"], self.steps.index, strict=True))
        self._heads = dict(zip(np.flatnonzero(self.steps["parent"] < 0).tolist(), self._sessions, strict=True))

    @property
    def event_order(self) -> list[str]:
        """No time runs through what was found in many sessions."""
        return []

    def title(self) -> dict[str, Any]:
        """Return the headline: what was searched for, and how much was found."""
        hits = len(self.frame)
        if not self.query.strip():
            facts = ["type what to search for"]
        else:
            least = "the newest " if self._is_full else ""
            facts = [f"{least}{_text.count(hits, 'event')}", _text.count(len(self._sessions), "session")]
        note = "" if hits else _nothing(self.db, self.query)
        return {"name": "Search", "status": "", "facts": facts, "note": note, "box": "Search"}

    def previews(self, rows: Sequence[int]) -> list[str]:
        """Return of a session when it was and how it ended, of a step the words around what was found."""
        return [self._about(self._heads[row]) if row in self._heads else self._snippet(row) for row in rows]

    def _snippet(self, row: int) -> str:
        [ids] = self.event_ids([row])
        said = next((self._snippets[known] for known in ids if self._snippets.get(known)), None)
        return super().previews([row])[0] if said is None else _text.one_line(said, _PREVIEW)

    @staticmethod
    def _about(session: Session) -> str:
        when = f"{session.started_at:%Y-%m-%d %H:%M} UTC" if session.started_at else ""
        return " · ".join(part for part in (when, session.status, session.outcome or "") if part)

    def _steps(self) -> pd.DataFrame:
        """Return a row for each session, its first step under its name, and under it the steps that were found."""
        parts: list[pd.DataFrame] = []
        above = 0
        for session in self._sessions:
            steps = stepping.steps(self.db, session.session_id)
            is_found = steps["event_id"].isin(self._snippets) | steps["close_id"].isin(self._snippets)
            head = steps.iloc[:1].assign(
                name=session.name or session.session_id, parent=-1, depth=0, failed=session.status == "failed",
                event_type="agent_start", family="session",
            )  # fmt: skip
            below = steps[is_found].assign(parent=above, depth=1)
            parts += [head.astype(steps.dtypes), below.astype(steps.dtypes)]
            above += 1 + len(below)
        return pd.concat(parts, ignore_index=True) if parts else stepping.steps(self.db, "")


def _nothing(db: Database, query: str) -> str:
    if not sessions.matching("", db):
        return sessions.NOTHING_RECORDED
    return f"Nothing was found for {query.strip()!r}." if query.strip() else ""
