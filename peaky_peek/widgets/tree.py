"""The decision tree of a session: what the agent did, inside what, and what came of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from peaky_peek.errors import PeekError
from peaky_peek.widgets import _export, _wire
from peaky_peek.widgets._base import STATIC
from peaky_peek.widgets._causes import Causes
from peaky_peek.widgets._filter import Filter
from peaky_peek.widgets._forks import forks
from peaky_peek.widgets._session_widget import SessionWidget

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("outline", "node-link")


class DecisionTree(SessionWidget, bundle="tree"):
    """A widget that draws one session as an outline or as nodes and links, and shows the selected step for reading.

    What is selected or filtered in the picture is a value here, and what is set here moves the picture:

        tree = pp.tree("refund_agent")
        tree.filter = "tool:refund failed"
        tree.selected_events          # what was clicked, as a DataFrame with payloads
        tree.chain                    # what led to it, step by step
        tree.drawn_as = "node-link"   # decisions fork, and what was not chosen is ghosted

    It takes the arguments of `tree`.
    """

    drawn_as = traitlets.Enum(LAYOUTS, "outline", help="How the tree is laid out: outline or node-link.").tag(sync=True)

    def __init__(self, session: Any = None, *, layout: str = "outline", **options: Any) -> None:
        if layout not in LAYOUTS:
            raise PeekError(f"There is no layout {layout!r}: choose from {', '.join(LAYOUTS)}.")
        self._causes: Causes | None = None
        super().__init__(session, **options)
        self.drawn_as = layout

    @property
    def chain(self) -> pd.DataFrame:
        """The causal chain that leads to the first selected event, the beginning first; drawn in the picture.

        One row per event: order (0 for the beginning), event_id, event_type, name, and of the edge that leads to it
        from the row before: kind (of `peaky_peek.causality.KINDS`), weight (0 to 1, how sure it is), and evidence.
        """
        with self._lock:
            return self._ways().chain(self.selected[:1])

    @traitlets.observe("drawn_as")
    def _lay_out(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["new"] == "node-link" and self._views:
                self._send_all([forks(self._recording)])

    def _ways(self) -> Causes:
        if self._causes is None or self._causes.recording is not self._recording:
            self._causes = Causes(self._recording)
        return self._causes

    def _extras(self) -> list[_wire.Message]:
        return [*super()._extras(), *([forks(self._recording)] if self.drawn_as == "node-link" else [])]

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "edges", "rows": list(rows)}:
                known = [row for row in rows if isinstance(row, int) and 0 <= row < len(self._recording)]
                return [self._ways().drawn(known, request)]
            case {"type": "times"}:
                return [self._times(request)]
            case {"type": "links"}:
                return [_links(request)]
        return super()._answer(request)

    def _times(self, request: Any) -> _wire.Message:
        """Return the `times` message: the places in order of the events that open and close each step."""
        place = {event_id: at for at, event_id in enumerate(self._recording.event_order)}
        columns = {
            name: np.array([place.get(known, -1) for known in self._recording.steps[of].tolist()], np.int32)
            for name, of in (("opened", "event_id"), ("closed", "close_id"))
        }
        return _wire.packed("times", columns=columns, request=request)

    def _page(self) -> _export.Page:
        """Return a page that can be drawn either way, with the causes of what is selected now."""
        page = super()._page()
        kinds = {message.get("kind") for message, _ in page.drawn}
        drawn = [*page.drawn, *([] if "forks" in kinds else [forks(self._recording)])]
        prepared = [*page.prepared, _links({"type": "links"}), self._times({"type": "times"})]
        if self._rows:
            prepared.append(self._ways().drawn(self._rows, {"type": "edges", "rows": self._rows}))
        state = {**page.state, "drawn_as": self.drawn_as}
        return dataclasses.replace(page, state=state, drawn=drawn, prepared=prepared)


def _links(request: Any) -> _wire.Message:
    """Return the `links` message: the script that draws nodes and links."""
    return _wire.packed("links", {"script": (STATIC / "links.js").read_text("utf-8")}, request=request)


def tree(
    session: Any = None, *, layout: str = "outline", filter: Filter = "", height: int = 480, expanded: bool = True,  # noqa: A002
    linked: bool = True,
) -> DecisionTree:  # fmt: skip
    """Return the decision tree of a session; as the last expression of a cell it is drawn.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        layout: "outline", or "node-link" where decisions fork: what was chosen is solid, the alternatives are ghosted.
        filter: a query, a boolean mask or a function, as in `DecisionTree.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return DecisionTree(session, layout=layout, filter=filter, height=height, expanded=expanded, linked=linked)
