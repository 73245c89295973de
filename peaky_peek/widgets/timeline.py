"""The timeline of a session: who did what when, one lane an agent, with what was handed from lane to lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek.handoffs import handoffs
from peaky_peek.widgets import _wire
from peaky_peek.widgets._session_widget import SessionWidget
from peaky_peek.widgets._text import one_line

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.widgets._filter import Filter

_NAME = 60


class Timeline(SessionWidget, bundle="timeline"):
    """A widget that draws a session over time: a lane for each agent, a bar for each step, arrows for handoffs.

    What is selected in it is a value here, and what is set here moves it:

        line = pp.timeline("refund_agent")
        line.position = -1            # the last moment
        line.handoffs                 # who handed to whom, as a DataFrame

    It takes the arguments of `timeline`.
    """

    @property
    def handoffs(self) -> pd.DataFrame:
        """One row per handoff: from whom, to whom, when, with what."""
        return handoffs(self._recording.steps.attrs.get("session_ids", []))

    def _extras(self) -> list[_wire.Message]:
        recording = self._recording
        steps = recording.steps
        began = (steps["timestamp"] - steps["timestamp"].min()).to_numpy("m8[us]").astype(float) / 1000
        began[steps["timestamp"].isna().to_numpy()] = np.nan
        title = self._title.get("name") or "session"
        lane, names = _lanes(steps, title)
        handed = self.handoffs
        lane_of = {name: at for at, name in enumerate(names)}
        known = handed[handed["from_agent"].isin(lane_of) & handed["to_agent"].isin(lane_of)]
        columns = {
            "began": began.astype("<f4"),
            "lane": lane,
            "order": np.array([recording.row_of(event_id) for event_id in recording.event_order], np.int32),
            "handed": np.array([recording.row_of(event_id) for event_id in known["event_id"]], np.int32),
            "from": known["from_agent"].map(lane_of).to_numpy(np.uint16),
            "to": known["to_agent"].map(lane_of).to_numpy(np.uint16),
        }
        return [_wire.packed("lanes", columns=columns, texts={"lanes": [one_line(name, _NAME) for name in names]})]


def _lanes(steps: pd.DataFrame, otherwise: str) -> tuple[NDArray[Any], list[str]]:
    """Return the lane of each step, and the lanes' names in the order in which they first have one.

    A step that names no agent is in the lane of the step around it.
    """
    agents = steps["agent"].astype(object).where(steps["agent"].notna(), None).tolist()
    parents = steps["parent"].tolist()
    for row, (agent, parent) in enumerate(zip(agents, parents, strict=True)):
        if agent is None:
            agents[row] = agents[parent] if parent >= 0 else otherwise
    in_time = np.argsort(steps["timestamp"].to_numpy("M8[us]"), kind="stable")
    names = list(dict.fromkeys(agents[row] for row in in_time))
    number = {name: at for at, name in enumerate(names)}
    width = np.uint8 if len(names) <= 0xFF else np.uint16
    return np.array([number[agent] for agent in agents], width), names


def timeline(
    session: Any = None, *, filter: Filter = "", height: int = 420, expanded: bool = True, linked: bool = True  # noqa: A002
) -> Timeline:  # fmt: skip
    """Return the timeline of a session, a lane for each agent; as the last expression of a cell it is drawn.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `Timeline.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return Timeline(session, filter=filter, height=height, expanded=expanded, linked=linked)
