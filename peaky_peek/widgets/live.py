"""A run as it happens: its tree growing, the current call and for how long it has been, what it costs, what is odd."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek import ids, store
from peaky_peek.capture import control, faults, watching
from peaky_peek.errors import PeekError, QueryError, StoreLocked
from peaky_peek.widgets import _filter, _live, _live_wire, _wire
from peaky_peek.widgets._live import Following, News
from peaky_peek.widgets.tree import DecisionTree

if TYPE_CHECKING:
    from peaky_peek.capture.limits import StopOn

_PAUSE, _IDLE = 0.1, 0.25
"""Seconds between two looks at the store: while a run goes on, and while none does."""
_PUSH, _PUSHED = 0.3, 5_000
"""Seconds until all is told to a page that did not ask, each time twice as many, and up to how many steps."""
_DISPLAY = "display"
"""Stands for the page that a view was displayed in, until it asks."""
_SHARE = 12
"""A look is followed by a pause of at least so many times its length: the kernel belongs to the agent."""
_TITLE, _FILTER = 0.5, 1.0
"""Seconds between two headlines, and between two times that what is new is filtered."""


class LiveView(DecisionTree, bundle="live"):
    """A widget that follows a run while it goes on, of this kernel or of another process; then it is its tree.

        view = pp.live()
        view.session            # the run that it follows; set it to follow another
        view.alerts             # what is odd about it so far, as sentences

    It takes the arguments of `live`.
    """

    def __init__(self, session: Any = None, **options: Any) -> None:
        self._is_pinned = session is not None
        self._thread: threading.Thread | None = None
        self._wakened = threading.Event()
        self._expected: str | None = None
        self._since = ids.new_position()
        self._titled = self._filtered_at = 0.0
        self._filtered_rows: set[int] = set()
        self._others: list[tuple[str, str, int | None]] = []
        self._pushed, self._push_pause = 0.0, _PUSH
        super().__init__(session, **options)
        self._others = _live.running(self._following.db)
        _views.add(self)
        self._begin_to_follow()

    def __repr__(self) -> str:
        said = super().__repr__()
        is_tree = self._following.session is not None and self._following.is_over
        return said.replace("LiveView", "DecisionTree", 1) if is_tree else said

    @property
    def alerts(self) -> list[str]:
        """What is odd about the run so far, oldest first: loops, tools that keep failing, slow calls, your own."""
        return [alert.signal or alert.name for alert in self._following.alerts.values()]

    @property
    def _following(self) -> Following:
        return self._recording  # type: ignore[return-value]  # `_read` makes no other

    @property
    def is_following(self) -> bool:
        """Whether the run goes on, as far as the view has seen."""
        return not self._following.is_over

    def follow(self) -> None:
        """Take in what has come, and show it."""
        with self._lock:
            self._look(wait=0.2)

    def refresh(self) -> None:
        """Show what was recorded since, all of it read again, or the newest run if the one that was shown is over."""
        with self._lock:
            if self._is_pinned or not self._goes_over():
                super().refresh()
            self._begin_to_follow()
            self._start()

    def close(self) -> None:
        """End the view, and its following of the run."""
        _views.discard(self)
        with self._lock:
            self._views.clear()
            thread = self._thread
        self._wakened.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return what is displayed; of a run under way all is told from here on, without being asked.

        What a page asks that came while a cell runs may wait behind that cell.
        """
        bundle = super()._repr_mimebundle_(**kwargs)
        with self._lock:
            if self.is_following and not self._views:
                self._views.add(_DISPLAY)
                self._pushed, self._push_pause = time.monotonic(), _PUSH
                self._start()
        return bundle

    def _read(self, ref: Any) -> Following:
        return Following(store.current(), ref)

    def _read_again(self) -> Following:
        session = self._following.session
        return Following(self._following.db, session.session_id) if session else self._read(None)

    def _show(self, recording: Any) -> None:
        super()._show(recording)
        self._filtered_rows.clear()
        self._send_facts()

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        if request.get("type") in ("hello", "look"):
            self._views.discard(_DISPLAY)
        match request:
            case {"type": "look", "view": str(view)}:
                self._views.add(view)
                self._start()
                return [self._news_of(News(len(self._following)))]
            case {"type": "watch", "session": str(session_id)}:
                self.session = session_id
                self._is_pinned = True
                self._begin_to_follow()
                self._start()
                return []
        answers = super()._answer(request)
        if request.get("type") == "hello":
            self._start()
        elif not self._views:  # its last page is closed
            self._wakened.set()
        return answers

    def _extras(self) -> list[_wire.Message]:
        return [self._news_of(News(len(self._following)))]

    def _begin_to_follow(self) -> None:
        """Let the rules record what they find in a run of this process."""
        if self._following.session is not None and not self._following.is_over:
            watching.follow(self._following.session.session_id)

    def _start(self) -> None:
        """Look again and again from here on, as long as there is a page that shows it and something to see."""
        with self._lock:
            if self._views and self._thread is None and self._is_worth_it():
                self._wakened.clear()
                self._thread = threading.Thread(target=self._run, name="peaky-peek-live", daemon=True)
                self._thread.start()

    def _is_worth_it(self) -> bool:
        session = self._following.session
        return session is None or not self._following.is_over or self._expected not in (None, session.session_id)

    def _run(self) -> None:
        database = self._following.db
        try:
            while True:
                started = time.monotonic()
                with self._lock:
                    with contextlib.suppress(PeekError, sqlite3.Error):  # such as a store that is locked just now
                        self._look()
                    self._push()
                    if not self._views or not self._is_worth_it():
                        self._views.discard(_DISPLAY)
                        self._thread = None
                        return
                    pause = _IDLE if self._following.is_over else _PAUSE
                self._wakened.wait(max(pause, _SHARE * (time.monotonic() - started)))
                self._wakened.clear()
        except Exception as error:  # noqa: BLE001 - the kernel goes on without the picture
            self._thread = None
            faults.report(error)
        finally:
            database.close()

    def _push(self) -> None:
        """Tell all of it to a page that has not asked yet: what came before it was made is lost on it."""
        if _DISPLAY in self._views and time.monotonic() >= self._pushed + self._push_pause:
            self._push_pause *= 2
            if len(self._following) < _PUSHED:
                self._send_all(self._drawn())

    def _look(self, wait: float = 0.0) -> None:
        """Show what is new; wait so many seconds for a store that is locked."""
        following = self._following
        if following.is_over:
            if not self._is_pinned:
                self._goes_over()
            return
        news = following.news(wait)
        if news.is_odd and following.session is not None:
            self._show(self._read_again())
            return
        others = _live.running(following.db)
        now = time.monotonic()
        has_ended = not self.is_following
        if news.is_any or has_ended or others != self._others:
            self._others = others
            self._send_all([self._news_of(news)])
            self._filter_again(news, now)
        if now - self._titled >= _TITLE or has_ended:
            self._titled = now
            self._title = following.title()
        if has_ended:
            self._outline = following.outline()

    def _goes_over(self) -> bool:
        """Show the next run, if there is one."""
        database, expected = store.current(), self._expected
        with contextlib.suppress(StoreLocked):
            database.ingest(wait=0.0)
        found = _live.newest(database, self._since)
        if found is None:
            return False
        if self._expected == expected:  # or another one has begun meanwhile
            self._expected = None
        self._since = ids.new_position()
        self._show(Following(database, found))
        self._begin_to_follow()
        return True

    def _filter_again(self, news: News, now: float) -> None:
        """Filter the steps that are new, from time to time; the rest is filtered as it was."""
        if self._mask is None:
            return
        self._filtered_rows |= {*news.changed, *range(news.start, len(self._following))}
        if now - self._filtered_at < _FILTER and not self._following.is_over:
            return
        self._filtered_at = now
        rows = sorted(self._filtered_rows)
        self._filtered_rows.clear()
        mask = np.zeros(len(self._following), bool)
        mask[: len(self._mask)] = self._mask
        if isinstance(self._filter, str) or callable(self._filter):
            with_new = _Part(self._following, rows)
            try:
                mask[rows] = _filter.matches(self._filter, with_new)  # type: ignore[arg-type]
            except QueryError:
                return
        self._mask = mask
        self._send_all(self._filtered())

    def _send_facts(self) -> None:
        self._others = _live.running(self._following.db)
        if self._views:
            self._send_all([self._news_of(News(len(self._following)))])

    def _news_of(self, news: News) -> _wire.Message:
        """Return the message that says what is new: steps, unless they are folded, and how the run stands."""
        is_told = self.expanded or _DISPLAY in self._views
        return _live_wire.message(self._following, news if is_told else News(news.start), self._others)


_views: weakref.WeakSet[LiveView] = weakref.WeakSet()


class _Part:
    """Some steps of a session, as a filter looks at them."""

    def __init__(self, following: Following, rows: list[int]) -> None:
        self.db, self.session = following.db, following.session
        self.steps = following.some(rows)

    def __len__(self) -> int:
        return len(self.steps)


def live(
    session: Any = None,
    *,
    stop_on: StopOn = None,
    filter: _filter.Filter = "",  # noqa: A002
    height: int = 480,
    expanded: bool = True,
    linked: bool = True,
) -> LiveView:
    """Return a view that follows a run while it goes on, of this kernel or of another process.

    Without a session it follows the newest run that is under way, waits for one while there is none, and goes over to
    the next that this kernel begins when it is over. Several at once can be chosen from.

    Args:
        session: a session reference; it is followed whatever else runs.
        stop_on: "loop", "cost" or a list of them: what ends the runs of this kernel from now on, as in `pp.init`.
        filter: a query, a boolean mask or a function, as in `LiveView.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
        ValueError: for what a run cannot be stopped on.
    """
    if stop_on:
        control.stop_runs_on(stop_on)
    return LiveView(session, filter=filter, height=height, expanded=expanded, linked=linked)


def _wake(session_id: str) -> None:
    """Let views that wait for the next run look for it."""
    for view in list(_views):
        if not view._is_pinned and view._views and view._following.is_over:
            view._expected = session_id
            if not view._lock.acquire(blocking=False):  # an agent begins here, and does not wait for a picture
                threading.Thread(target=view._start, name="peaky-peek-live", daemon=True).start()
                continue
            try:
                view._start()
            finally:
                view._lock.release()


watching.begun.append(_wake)
