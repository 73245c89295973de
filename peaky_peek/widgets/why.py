"""The failure card: why a run went wrong, each cause with its evidence, what speaks against it and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from peaky_peek.analysis.causes import diagnose, frame
from peaky_peek.errors import EventNotFound
from peaky_peek.events import Event
from peaky_peek.store import dtypes
from peaky_peek.widgets import _why
from peaky_peek.widgets._session_widget import SessionWidget

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.widgets import _export
    from peaky_peek.widgets._recording import Recording


class Why(SessionWidget, bundle="why"):
    """A widget that says why a run went wrong: the symptom, at most three causes, and the events that show them.

    A click on an event selects it, here and in every other view of the session:

        why = pp.why("refund_agent")
        why.frame                     # the causes as a DataFrame, more of them than the card shows
        why.event                     # what was clicked on

    It takes the arguments of `why`.
    """

    _card = traitlets.Dict().tag(sync=True)

    def __init__(self, session: Any = None, *, event: Any = None, **options: Any) -> None:
        asked = session if event is None and isinstance(session, Event) else event
        self._asked = None if asked is None else str(asked)
        super().__init__(session, **options)
        if self._asked is not None and not self._recording.rows_of([self._asked]):
            raise EventNotFound(f"The session has no event {self._asked!r}: `pp.events(session)` lists them.")
        self._explain()

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self.session is None:
            return f"{kind}(nothing recorded yet)"
        return f"{kind}({self._title['name']}, {_why.headline(self._card)})"

    @property
    def frame(self) -> pd.DataFrame:
        """One row per cause, the likeliest first, as `pp.causes` returns them; none when nothing failed."""
        if self.session is None:
            return dtypes.frame("causes", {name: [] for name in dtypes.SCHEMA["causes"]})
        return frame(diagnose(self._recording.db, self.session.session_id, self._asked))

    def _show(self, recording: Recording) -> None:
        super()._show(recording)
        if self._asked is not None and not recording.rows_of([self._asked]):
            self._asked = None  # the session was exchanged for another
        self._explain()

    def _explain(self) -> None:
        rows = self._recording.rows_of([self._asked] if self._asked is not None else [])
        with self._lock:
            self._card = _why.card(self._recording, rows[0] if rows else None)
            if self.session is not None:
                self._outline = _why.outline(self._card)

    def _page(self) -> _export.Page:
        page = super()._page()
        page.state["_card"] = self._card
        return page


def why(
    session: Any = None, *, event: Any = None, height: int = 560, expanded: bool = True, linked: bool = True
) -> Why:
    """Return the failure card of a session; as the last expression of a cell it is drawn.

    It shows the symptom, the three likeliest causes with the events that speak for them, what speaks against, and what
    to do next; of a run that went well, that all is clear. Nothing is asked of a model.

    Args:
        session: a session reference; None for the newest. An event is explained itself.
        event: what to explain, an event or its id; None for what the run itself shows to be wrong.
        height: of the drawing, in pixels, at most.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        EventNotFound: if the session has no such event.
    """
    return Why(session, event=event, height=height, expanded=expanded, linked=linked)
