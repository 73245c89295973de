"""The safety trail of a session: each action with an effect, who checked it, and what happened then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis.safety import trail
from peaky_peek.store import dtypes
from peaky_peek.widgets import _export, _previews, _wire
from peaky_peek.widgets._session_widget import SessionWidget
from peaky_peek.widgets._text import one_line
from peaky_peek.widgets._values import parsed

if TYPE_CHECKING:
    from peaky_peek.widgets._filter import Filter

_BLOCK = 200
_PREPARED = 2_000
"""Rows whose texts an exported page holds."""
_SHORT, _LONG = 80, 400
_WORDS = ("verdict", "check", "outcome", "effect")


class Safety(SessionWidget, bundle="safety"):
    """A widget that lists what an agent did to the world, and which policies had something to say about it.

    What is selected in it is a value here, and what is set here moves it:

        safety = pp.safety("refund_agent")
        safety.frame.query("verdict == 'bypassed'")

    It takes the arguments of `safety`.
    """

    _trail: pd.DataFrame | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """One row per action: policy, check, outcome, block, violation, refusal, what did it after all, verdict."""
        return trail(self._recording.steps.attrs.get("session_ids", []))

    def _extras(self) -> list[_wire.Message]:
        self._trail = self.frame
        return [self._table(self._trail)]

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "actions", "start": int(start), "stop": int(stop)} if self._trail is not None:
                return [_texts(self._trail, max(start, 0), min(stop, start + _BLOCK), request)]
        return super()._answer(request)

    def _page(self) -> _export.Page:
        page = super()._page()
        columns, *rest = page.drawn
        prepared = _texts(self.frame, 0, _PREPARED, None)
        return _export.Page(page.title, page.state, [columns, prepared, *rest], page.recording)

    def _table(self, frame: pd.DataFrame) -> _wire.Message:
        """Return what draws the rows, but for their texts."""
        recording = self._recording
        rows = [recording.rows_of(ids) for ids in frame["evidence_event_ids"]]
        place = {event_id: at for at, event_id in enumerate(recording.event_order)}
        steps = recording.steps
        began = (frame["timestamp"] - steps["timestamp"].min()).dt.total_seconds()
        columns = {
            "position": np.array([place[event_id] for event_id in frame["event_id"]], np.int32),
            "row": np.array([recording.row_of(event_id) for event_id in frame["event_id"]], np.int32),
            "began": began.to_numpy("<f4", na_value=np.nan),
            "verdict": frame["verdict"].cat.codes.to_numpy(np.int8),
            "check": frame["check"].cat.codes.to_numpy(np.int8),
            "outcome": frame["outcome"].cat.codes.to_numpy(np.int8),
            "effect": frame["effect"].cat.codes.to_numpy(np.int8),
            "refused": frame["refusal"].notna().to_numpy(),
            "violated": frame["violation"].notna().to_numpy(),
            "starts": np.cumsum([0, *map(len, rows)]).astype(np.int32),
            "evidence": np.array([row for of_action in rows for row in of_action], np.int32),
        }
        words = {
            name: dtypes.SCHEMA["safety"][name].categories.tolist()
            for name in ("verdict", "check", "outcome", "effect")
        }
        return _wire.packed("trail", words, columns)


def _texts(frame: pd.DataFrame, start: int, stop: int, request: Any) -> _wire.Message:
    """Return what is read of some rows."""
    names = "agent action arguments policy risk block refusal violation after".split()
    part = frame.iloc[start:stop]
    plain = [[None if value is pd.NA or value != value else value for value in part[name]] for name in names]  # noqa: PLR0124
    lines = [_line(dict(zip(names, values, strict=True))) for values in zip(*plain, strict=True)]
    return _wire.packed("texts", {"start": start, "lines": lines}, request=request)


def _line(action: dict[str, Any]) -> dict[str, str]:
    arguments = _previews.brief(parsed(action.pop("arguments")))
    limits = dict.fromkeys(("agent", "action", "policy", "risk"), _SHORT)
    said = {name: one_line(str(value), limits.get(name, _LONG)) for name, value in action.items() if value}
    return said | {"arguments": one_line(arguments, 2 * _SHORT)}


def safety(
    session: Any = None, *, filter: Filter = "", height: int = 420, expanded: bool = True, linked: bool = True  # noqa: A002
) -> Safety:  # fmt: skip
    """Return the safety trail of a session; as the last expression of a cell it is drawn.

    One row per action that writes, sends, pays, deletes, books or executes: the policy that looked at it, its check,
    what became of it, and what happened after. Actions that nobody looked at stand there too.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `Safety.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return Safety(session, filter=filter, height=height, expanded=expanded, linked=linked)
