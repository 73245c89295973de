"""Two sessions side by side, or two sets of them: where they part, and what is different on the way."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import traitlets

from peaky_peek import store
from peaky_peek.store.sessions import is_several
from peaky_peek.widgets import _filter, _linking, _wire
from peaky_peek.widgets._diff_rows import DiffRows
from peaky_peek.widgets._session_widget import SessionWidget
from peaky_peek.widgets.flow import ConsensusFlow

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.analysis.divergence import Divergence
    from peaky_peek.store.reader import Session
    from peaky_peek.widgets._recording import Recording


class SessionDiff(SessionWidget, bundle="diff"):
    """A widget that draws two sessions as one, aligned step by step, and says where they part and why.

        found = pp.diff("book INV-205", -1)
        found.first_divergence            # reads as a sentence, and has the steps, the ids and the cause
        found.frame                       # the alignment, one row per step
        found.summary                     # turns, tools, cost, tokens and more, of either

    `.session` is b, `.sessions` are both. It takes the arguments of `diff`.
    """

    _recording: DiffRows

    @property
    def sessions(self) -> list[Session]:
        """Both sessions, a and b; none in an empty store."""
        return self._recording.sessions

    @property
    def frame(self) -> pd.DataFrame:
        """The alignment: `pp.SCHEMA["diff"]`."""
        return self._recording.frame.copy()

    @property
    def first_divergence(self) -> Divergence | None:
        """Where the two part for good, and why; the first detour if they do not, None if they take the same way."""
        return self._recording.divergence

    @property
    def summary(self) -> pd.DataFrame:
        """One row per measure, with the values of a and b: `pp.SCHEMA["comparison"]`."""
        return self._recording.summary.copy()

    def __repr__(self) -> str:
        title = self._title
        return (
            f"SessionDiff({', '.join([title['name'], *title['facts']]) if title['name'] else 'nothing recorded yet'})"
        )

    def _read(self, ref: Any) -> DiffRows:
        a, b = ref if isinstance(ref, tuple) else (self.sessions[0], ref)
        return DiffRows(store.current(), a, b)

    def _read_again(self) -> DiffRows:
        ids: list[Any] = [one.session_id for one in self.sessions] or [None, None]
        return DiffRows(self._recording.db, *ids)

    def _extras(self) -> list[_wire.Message]:
        return [self._recording.extras()]

    def _mask_of(self, wanted: _filter.Filter, recording: Recording) -> NDArray[np.bool_] | None:
        if isinstance(wanted, str):
            return self._matching(wanted, recording) if wanted.strip() else None
        given = wanted(recording.frame.copy()) if callable(wanted) else wanted  # type: ignore[attr-defined]
        return _filter.matches(given, recording)

    @staticmethod
    def _matching(query: str, rows: Any) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = rows.matching(query)
        return found

    @traitlets.observe("_rows")
    def _select_events(self, change: dict[str, Any]) -> None:
        with self._lock:
            rows = [row for row in change["new"] if 0 <= row < len(self._recording)]
            if rows != self._recording.rows_of(self.selected):
                self.selected = self._recording.openers(rows)

    def _tell(self, name: str, value: Any) -> None:
        """Lead the widgets on either session; time is each one's own."""
        if name != "position" and not self._is_telling:
            self._is_telling = True
            try:
                super()._tell(name, value)
            finally:
                self._is_telling = False

    def _follow(self, name: str, value: Any) -> None:
        """Select in both sessions what is selected in one; what this one told does not come back."""
        if name == "position" or self._is_telling:
            return
        with self._lock:
            told = self._recording.openers(self._recording.rows_of(value)) if name == "selected" else value
            super()._follow(name, told)

    _is_telling = False

    def _links(self) -> Collection[Hashable]:
        links = set(super()._links())
        if self.linked:
            links |= {_linking.session_link(self._recording.db, one.session_id) for one in self.sessions}
        return links


def diff(
    a: Any = None, b: Any = None, *, filter: _filter.Filter = "", height: int = 480, expanded: bool = True,  # noqa: A002
    linked: bool = True,
) -> SessionDiff | ConsensusFlow:  # fmt: skip
    """Return what is different between two sessions, or between two sets of them; in a cell it is drawn.

    Of two sessions it shows one merged list of steps: what only one of them has, what changed, what moved; where they
    part for good, and what was different before. Of two sets it shows what their runs have in common as one flow, how
    many take which branch, and which branches fail.

    Args:
        a: a session reference, or several: a list, frame, mask or query.
        b: what to compare it with; None for the newest session. With sets, None for nothing: the flow of `a` alone.
        filter: a query, a mask over `.frame`, or a function of it that returns one.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on either session.

    Raises:
        SessionNotFound: if a reference names no session.
        QueryError: if a query or the filter cannot be read.

    Example:
        >>> import peaky_peek as pp
        >>> for city in ("Paris", "Rome"):
        ...     with pp.trace_session(f"trip to {city}") as ctx:
        ...         event = ctx.record_decision(reasoning="as asked", chosen_action=f"book {city}")
        >>> diff("trip to Paris", "trip to Rome").first_divergence
        Step 2 chose “book Rome” instead of “book Paris”.
    """
    db = store.current()
    db.ingest()
    options: dict[str, Any] = {"filter": filter, "height": height, "expanded": expanded, "linked": linked}
    if is_several(a, db) or (b is not None and is_several(b, db)):
        return ConsensusFlow((a, b), **options)
    return SessionDiff((a, b), **options)
