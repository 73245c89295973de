"""What every view of one session has: the session, what is selected, where one is in time, and what is filtered."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import traitlets

from peaky_peek import frames, store
from peaky_peek.capture import labels
from peaky_peek.errors import EventNotFound, PeekError, QueryError
from peaky_peek.events import Event
from peaky_peek.store import reader
from peaky_peek.widgets import _export, _filter, _linking, _why, _wire
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


class SessionWidget(PeekWidget):
    """A widget on one session. All on the same session move together, unless `linked` is set to False.

    A subclass names its bundle, and says in `_drawn` and `_answer` what its view needs beyond the steps.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask (over steps or `pp.events`), or a function of the steps frame.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether selection, position and filter follow the other widgets on this session, and lead them.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """

    selected = traitlets.Any(help="Ids of the selected events; may be set to ids or events.")
    position = traitlets.Any(None, help="Index of the event that time stands at, in order; None when nobody moved it.")
    _rows = traitlets.List(traitlets.Int()).tag(sync=True)
    _query = traitlets.Unicode().tag(sync=True)
    _position = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        session: Any = None,
        *,
        filter: _filter.Filter = "",  # noqa: A002
        height: int = 480,
        expanded: bool = True,
        linked: bool = True,
    ) -> None:
        self._views: set[str] = set()  # before what may raise: a widget that was never made is closed too
        self._recording = self._read(session)
        self._filter: _filter.Filter = ""
        self._mask: NDArray[np.bool_] | None = None
        self.linked = linked
        shown = {"_title": self._recording.title(), "_outline": self._recording.outline()}
        super().__init__(height=height, expanded=expanded, **shown)
        self._set_filter(filter)
        _linking.join(self)

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self._recording.session is None:
            return f"{kind}(nothing recorded yet)"
        title = self._title
        return f"{kind}({', '.join([title['name'], *title['facts'][:1], title['status']])})"

    @property
    def session(self) -> Session | None:
        """The session that is shown; set it to any reference. None when nothing is recorded yet."""
        return self._recording.session

    @session.setter
    def session(self, ref: Any) -> None:
        recording = self._read(ref)
        with self._lock:
            self.selected, self.position = [], None
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
        self._set_filter(wanted)
        self._tell("filter", self._filter)

    @property
    def event(self) -> Event | None:
        """The first selected event, typed; where none is selected, the one that time stands at."""
        ids = self.selected[:1]
        if not ids and self.position is not None:
            ids = [self._recording.event_order[self.position]]
        events = reader.events_by_id(self._recording.db, ids)
        return events[0] if events else None

    @property
    def selected_events(self) -> pd.DataFrame:
        """The events of the selected steps: the columns of `pp.events`, and `data`, their typed fields."""
        rows = self._recording.rows_of(self.selected)
        ids = [known for step in self._recording.event_ids(rows) for known in step]
        return frames.events_by_id(self._recording.db, ids)

    @property
    def code(self) -> str:
        """Python that gives what is selected: an event, or the events of several steps as a frame; else all events."""
        rows = self._recording.rows_of(self.selected)
        ids = [known for step in self._recording.event_ids(rows) for known in step]
        if len(self.selected) == 1 and len(ids) == 1:
            return f"pp.event({ids[0]!r})"
        sessions = list(dict.fromkeys(event.session_id for event in reader.events_by_id(self._recording.db, ids)))
        sessions = sessions or ([self.session.session_id] if self.session else [])
        ref = repr(sessions[0] if len(sessions) == 1 else sessions)
        if not ids:
            return f"pp.events({ref}, data=True)" if sessions else "pp.events(data=True)"
        return f"pp.events({ref}, data=True).set_index('event_id').loc[{ids!r}].reset_index()"

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

    def close(self) -> None:
        """End the view, and its following of others."""
        _linking.leave(self)
        super().close()

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
            raise EventNotFound(f"This session has no event {strangers[0]!r}: `.session` says which one is shown.")
        return ids

    @traitlets.validate("position")
    def _known_position(self, proposal: dict[str, Any]) -> int | None:
        """Return the index of what was given: an index, negative ones from the end, an event or its id."""
        given = proposal["value"]
        if given is None:
            return None
        order = self._recording.event_order
        if isinstance(given, (str, Event)):
            if str(given) not in order:
                raise EventNotFound(f"This session has no event {str(given)!r}: `.session` says which one is shown.")
            return order.index(str(given))
        if not -len(order) <= int(given) < len(order):
            raise PeekError(f"There is no position {given}: this session has {len(order):,} events.")
        return int(given) % len(order)

    @traitlets.observe("selected")
    def _select_rows(self, change: dict[str, Any]) -> None:
        with self._lock:
            self._rows = self._recording.rows_of(change["new"])
        self._tell("selected", change["new"])

    @traitlets.observe("_rows")
    def _select_events(self, change: dict[str, Any]) -> None:
        with self._lock:
            rows = [row for row in change["new"] if 0 <= row < len(self._recording)]
            if rows != self._recording.rows_of(self.selected):
                self.selected = [step[0] for step in self._recording.event_ids(rows)]

    @traitlets.observe("position")
    def _move_to(self, change: dict[str, Any]) -> None:
        with self._lock:
            self._position = -1 if change["new"] is None else change["new"]
        self._tell("position", change["new"])

    @traitlets.observe("_position")
    def _moved_to(self, change: dict[str, Any]) -> None:
        with self._lock:
            self.position = change["new"] if 0 <= change["new"] < len(self._recording.event_order) else None

    @traitlets.observe("_query")
    def _query_changed(self, change: dict[str, Any]) -> None:
        """Filter as the reader asks; a query that cannot be read is answered and changes nothing."""
        query = change["new"]
        with self._lock:
            if query != self._shown_filter():
                try:
                    self._mask = self._mask_of(query, self._recording)
                except QueryError as error:
                    self._send_all([_wire.error(str(error), {"type": "filter", "query": query})])
                    return
                self._filter = query
                self._tell("filter", query)
            self._send_all(self._filtered())

    def _set_filter(self, wanted: _filter.Filter) -> None:
        wanted = "" if wanted is None else wanted
        with self._lock:
            self._mask = self._mask_of(wanted, self._recording)
            self._filter = wanted
            if self._query != self._shown_filter():
                self._query = self._shown_filter()  # its observer sends the mask
            else:
                self._send_all(self._filtered())

    def _links(self) -> Collection[Hashable]:
        links: set[Hashable] = set(self.__dict__.get("_extra_links", ()))
        if self.linked and self.session:
            links.add(_linking.session_link(self._recording.db, self.session.session_id))
        return links

    def _tell(self, name: str, value: Any) -> None:
        if links := self._links():
            _linking.tell(self, links, name, value)

    def _follow(self, name: str, value: Any) -> None:
        """Take over what can be shown here: known events, positions that exist, filters that fit."""
        with self._lock:
            if name == "selected":
                self.selected = [known for known in value if self._recording.rows_of([known])]
            elif name == "position" and (value is None or value < len(self._recording.event_order)):
                self.position = value
            elif name == "filter" and value is not self._filter and not _is_same_query(value, self._filter):
                # a mask that fits another session only, or a function of columns that this view does not have
                with contextlib.suppress(Exception if callable(value) else QueryError):
                    self.filter = value

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "hello", "version": _wire.VERSION}:
                self._views.add(str(request.get("view")))
                _linking.join(self)
                return self._drawn()
            case {"type": "hello"}:
                raise PeekError("This page and the kernel have different versions of Peaky Peek: reload the page.")
            case {"type": "bye"}:
                self._views.discard(str(request.get("view")))
                if not self._views:  # nobody looks at it any more, as after its cell was run again
                    _linking.leave(self)
                return []
            case {"type": "why"}:
                return [_why.answer(self._recording, request)]
            case {"type": "refresh"}:
                self.refresh()
                return []
            case {"type": "label", "outcome": str(outcome) | (None as outcome)} if self.session:
                labels.label_one(self.session.session_id, self._recording.db, outcome)
                self._title = self._read_again().title()
                return []
            case {"type": "code"}:
                return [_wire.packed("code", {"code": self.code}, request=request)]
        return self._about_steps(request)

    def _about_steps(self, request: dict[str, Any]) -> list[_wire.Message]:
        recording = self._recording
        match request:
            case {"type": "previews", "start": int(start), "stop": int(stop)}:
                rows = range(len(recording))[max(start, 0) : min(stop, start + _PREVIEWS)]
                return [({"type": "previews", "start": start, "texts": recording.previews(rows)}, [])]
            case {"type": "details", "row": int(row)} if 0 <= row < len(recording):
                return [(recording.details(row), [])]
            case {"type": "more", "row": int(row), "path": list(path)} if 0 <= row < len(recording):
                return [(recording.more(row, path), [])]
        raise PeekError("The session has changed since this was asked: refresh the view.")

    def _read(self, ref: Any) -> Recording:
        return Recording(store.current(), ref)

    def _read_again(self) -> Recording:
        session = self._recording.session
        return Recording(self._recording.db, session.session_id) if session else Recording(store.current())

    def _show(self, recording: Recording) -> None:
        """Replace what is drawn."""
        try:
            self._mask = self._mask_of(self._filter, recording)
        except QueryError:  # a mask is as long as the session was when it was made
            self._mask, self._filter = None, ""
        self._recording = recording
        self._title, self._outline = recording.title(), recording.outline()
        self._rows = recording.rows_of(self.selected)
        self._query = self._shown_filter()
        if self.expanded:  # a page that shows the headline only asks when it is expanded
            self._send_all(self._drawn())

    def _drawn(self) -> list[_wire.Message]:
        """Return the messages that draw the view; a subclass puts its own between the steps and the filter."""
        message, buffers = _wire.columns(self._recording.steps)
        return [({**message, "title": self._title}, buffers), *self._extras(), *self._filtered()]

    def _extras(self) -> list[_wire.Message]:
        """Return what the view needs beyond the steps."""
        return []

    def _filtered(self) -> list[_wire.Message]:
        if self._mask is None:
            return [_wire.no_mask(len(self._recording))]
        return [_wire.mask(self._mask, self._shown_filter())]

    def _mask_of(self, wanted: _filter.Filter, recording: Recording) -> NDArray[np.bool_] | None:
        """Return the rows that a filter lets through; None for no filter at all."""
        is_none = isinstance(wanted, str) and not wanted.strip()
        return None if is_none else _filter.matches(wanted, recording)

    def _shown_filter(self) -> str:
        return self._filter if isinstance(self._filter, str) else SET_IN_PYTHON

    def _arguments(self) -> list[Any]:
        return [self.session.session_id] if self.session else []

    def _page(self) -> _export.Page:
        state = {"height": self.height, "_rows": self._rows, "_query": self._query, "_position": self._position}
        shown = {"_title": self._title, "_outline": self._outline}
        return _export.Page(repr(self), {**state, **shown}, self._drawn(), self._recording)


def _is_same_query(one: _filter.Filter, other: _filter.Filter) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one == other
