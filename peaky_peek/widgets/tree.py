"""The decision tree of a session: what the agent did, inside what, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from peaky_peek import frames, store
from peaky_peek.errors import EventNotFound, PeekError, QueryError
from peaky_peek.events import Event
from peaky_peek.store import reader
from peaky_peek.widgets import _export, _filter, _wire
from peaky_peek.widgets._base import PeekWidget
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.store.reader import Session

SET_IN_PYTHON = "[set in Python]"
"""What the filter box shows for a mask or a function."""
_PREVIEWS = 500


class DecisionTree(PeekWidget, bundle="tree"):
    """A widget that draws one session as an outline and shows the selected step for reading.

    What is selected or filtered in the picture is a value here, and what is set here moves the picture:

        tree = pp.tree("refund_agent")
        tree.filter = "tool:refund failed"
        tree.selected_events          # what was clicked, as a DataFrame with payloads

    It takes the arguments of `tree`.
    """

    selected = traitlets.Any(help="Ids of the selected events; may be set to ids or events.")
    _rows = traitlets.List(traitlets.Int()).tag(sync=True)
    _query = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, session: Any = None, *, filter: _filter.Filter = "", height: int = 480, expanded: bool = True  # noqa: A002
    ) -> None:  # fmt: skip
        self._recording = Recording(store.current(), session)
        self._filter: _filter.Filter = ""
        self._mask: NDArray[np.bool_] | None = None
        shown = {"_title": self._recording.title(), "_outline": self._recording.outline()}
        super().__init__(height=height, expanded=expanded, **shown)
        self.filter = filter

    def __repr__(self) -> str:
        if self._recording.session is None:
            return "DecisionTree(nothing recorded yet)"
        title = self._title
        return f"DecisionTree({title['name']}, {title['facts'][0]}, {title['status']})"

    @property
    def session(self) -> Session | None:
        """The session that is shown; set it to any reference. None when nothing is recorded yet."""
        return self._recording.session

    @session.setter
    def session(self, ref: Any) -> None:
        recording = Recording(store.current(), ref)
        with self._lock:
            self.selected = []
            if not isinstance(self._filter, str) and not callable(self._filter):
                self._filter = ""  # a mask belongs to one session
            self._show(recording)

    @property
    def filter(self) -> _filter.Filter:
        """Which steps are shown: a query, a boolean mask (over steps or `pp.events`), or a function of the steps frame.

        Setting it raises `QueryError` for a query that cannot be read, or a mask that does not fit.
        """
        return self._filter

    @filter.setter  # noqa: A003
    def filter(self, wanted: _filter.Filter) -> None:
        wanted = "" if wanted is None else wanted
        with self._lock:
            self._mask = _mask_of(wanted, self._recording)
            self._filter = wanted
            if self._query != self._shown_filter():
                self._query = self._shown_filter()  # its observer sends the mask
            else:
                self._send_all(self._filtered())

    @property
    def event(self) -> Event | None:
        """The first selected event, typed."""
        events = reader.events_by_id(self._recording.db, self.selected[:1])
        return events[0] if events else None

    @property
    def selected_events(self) -> pd.DataFrame:
        """The events of the selected steps: the columns of `pp.events`, and `data`, their typed fields."""
        rows = self._recording.rows_of(self.selected)
        ids = [known for step in self._recording.event_ids(rows) for known in step]
        return frames.events_by_id(self._recording.db, ids)

    def refresh(self) -> None:
        """Show what was recorded since; selection and filter stay."""
        recording = self._read_again()
        with self._lock:
            self._show(recording)

    def follow(self) -> None:
        """Bring the headline up to date, and what lies behind it unless somebody is looking at that."""
        recording = self._read_again()
        with self._lock:
            if self.expanded:
                self._title = recording.title()
            else:
                self._show(recording)

    @traitlets.default("selected")
    def _nothing_selected(self) -> list[str]:
        return []

    @traitlets.validate("selected")
    def _known_events(self, proposal: dict[str, Any]) -> list[str]:
        """Return the ids of what was given: events, ids, or one of them, or a frame of events."""
        given = proposal["value"]
        given = given["event_id"] if hasattr(given, "columns") else given
        ids = [str(one) for one in ([given] if isinstance(given, (str, Event)) else given)]
        strangers = [known for known in ids if not self._recording.rows_of([known])]
        if strangers:
            raise EventNotFound(f"This tree has no event {strangers[0]!r}: `tree.session` says which session it shows.")
        return ids

    @traitlets.observe("selected")
    def _select_rows(self, change: dict[str, Any]) -> None:
        with self._lock:
            self._rows = self._recording.rows_of(change["new"])

    @traitlets.observe("_rows")
    def _select_events(self, change: dict[str, Any]) -> None:
        with self._lock:
            rows = [row for row in change["new"] if 0 <= row < len(self._recording)]
            if rows != self._recording.rows_of(self.selected):
                self.selected = [step[0] for step in self._recording.event_ids(rows)]

    @traitlets.observe("_query")
    def _query_changed(self, change: dict[str, Any]) -> None:
        """Filter as the reader asks; a query that cannot be read is answered and changes nothing."""
        query = change["new"]
        with self._lock:
            if query != self._shown_filter():
                try:
                    self._mask = _mask_of(query, self._recording)
                except QueryError as error:
                    self._send_all([_wire.error(str(error), {"type": "filter", "query": query})])
                    return
                self._filter = query
            self._send_all(self._filtered())

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        recording = self._recording
        match request:
            case {"type": "hello", "version": _wire.VERSION}:
                return self._drawn()
            case {"type": "hello"}:
                raise PeekError("This page and the kernel have different versions of Peaky Peek: reload the page.")
            case {"type": "refresh"}:
                self.refresh()
                return []
            case {"type": "previews", "start": int(start), "stop": int(stop)}:
                rows = range(len(recording))[max(start, 0) : min(stop, start + _PREVIEWS)]
                return [({"type": "previews", "start": start, "texts": recording.previews(rows)}, [])]
            case {"type": "details", "row": int(row)} if 0 <= row < len(recording):
                return [(recording.details(row), [])]
            case {"type": "more", "row": int(row), "path": list(path)} if 0 <= row < len(recording):
                return [(recording.more(row, path), [])]
        raise PeekError("The tree has changed since this was asked: refresh it.")

    def _read_again(self) -> Recording:
        session = self._recording.session
        return Recording(self._recording.db, session.session_id) if session else Recording(store.current())

    def _show(self, recording: Recording) -> None:
        """Replace what is drawn."""
        try:
            self._mask = _mask_of(self._filter, recording)
        except QueryError:  # a mask is as long as the session was when it was made
            self._mask, self._filter = None, ""
        self._recording = recording
        self._title, self._outline = recording.title(), recording.outline()
        self._rows = recording.rows_of(self.selected)
        self._query = self._shown_filter()
        if self.expanded:  # a page that shows the headline only asks when it is expanded
            self._send_all(self._drawn())

    def _drawn(self) -> list[_wire.Message]:
        message, buffers = _wire.columns(self._recording.steps)
        return [({**message, "title": self._title}, buffers), *self._filtered()]

    def _filtered(self) -> list[_wire.Message]:
        if self._mask is None:
            return [_wire.no_mask(len(self._recording))]
        return [_wire.mask(self._mask, self._shown_filter())]

    def _shown_filter(self) -> str:
        return self._filter if isinstance(self._filter, str) else SET_IN_PYTHON

    def _page(self) -> _export.Page:
        state = {"height": self.height, "_rows": self._rows, "_query": self._query}
        shown = {"_title": self._title, "_outline": self._outline}
        return _export.Page(repr(self), {**state, **shown}, self._drawn(), self._recording)


def tree(
    session: Any = None, *, filter: _filter.Filter = "", height: int = 480, expanded: bool = True  # noqa: A002
) -> DecisionTree:  # fmt: skip
    """Return the decision tree of a session; as the last expression of a cell it is drawn.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `DecisionTree.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return DecisionTree(session, filter=filter, height=height, expanded=expanded)


def _mask_of(wanted: _filter.Filter, recording: Recording) -> NDArray[np.bool_] | None:
    """Return the steps that a filter lets through; None for no filter at all."""
    is_none = isinstance(wanted, str) and not wanted.strip()
    return None if is_none else _filter.matches(wanted, recording)
