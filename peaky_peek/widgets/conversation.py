"""The conversation of a session: everything that was said, each thing once, and the tools that were called in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis import dialogue
from peaky_peek.errors import PeekError
from peaky_peek.store import reader
from peaky_peek.widgets import _export, _lines, _outline, _wire
from peaky_peek.widgets._recording import Recording, part
from peaky_peek.widgets._session_widget import SessionWidget
from peaky_peek.widgets._text import one_line
from peaky_peek.widgets._values import whole_text

if TYPE_CHECKING:
    from peaky_peek.events import Event
    from peaky_peek.widgets._filter import Filter

_BLOCK = 200
_PREPARED = 2_000
"""Lines whose texts an exported page holds."""
_REPEATS = 0.4
_LONGEST = 0xFFFF


class Conversation(SessionWidget, bundle="conversationview"):
    """A widget that shows a session as it was said: messages by speaker, calls beside their results, failures marked.

    What is selected in it is a value here, and what is set here moves it:

        talk = pp.conversation("refund_agent")
        talk.filter = "failed"
        talk.frame                    # who said what, as a DataFrame

    It takes the arguments of `conversation`.
    """

    _said: Lines | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """One row per thing said: who, what, at what cost, and how it answers the one before it."""
        session_ids = self._recording.steps.attrs.get("session_ids", [])
        return dialogue.turns(session_ids) if self.session else dialogue.turns([])

    def _extras(self) -> list[_wire.Message]:
        self._said = Lines(self._recording)
        return [self._said.message()]

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        lines = self._said
        match request:
            case {"type": "lines", "start": int(start), "stop": int(stop)} if lines is not None:
                return [lines.texts(range(len(lines))[max(start, 0) : min(stop, start + _BLOCK)], request)]
            case {"type": "whole", "line": int(at), "path": list(path)} if lines is not None and 0 <= at < len(lines):
                return [_wire.packed("whole", {"text": lines.whole(at, path)}, request=request)]
        return super()._answer(request)

    def _page(self) -> _export.Page:
        page = super()._page()
        lines = self._said or Lines(self._recording)
        prepared = lines.texts(range(min(len(lines), _PREPARED)), None)
        columns, *rest = page.drawn
        return replace(page, drawn=[columns, prepared, *rest])


class Lines:
    """What was said in a recording, and how to read it when it comes into sight."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        said = dialogue.lines(recording.db, recording.steps.attrs["session_ids"]) if len(recording) else []
        self._row = np.array([recording.row_of(line.event.id) for line in said], np.int32)
        self._index = np.array([line.index for line in said], np.int32)
        place = {event_id: at for at, event_id in enumerate(recording.event_order)}
        self._position = np.array([place[line.event.id] for line in said], np.int32)
        self._role = np.array([dialogue.ROLES.index(line.role) for line in said], np.uint8)
        self._size = np.array([min(len(line.text), _LONGEST) for line in said], np.uint16)
        repeats = np.array([line.non_repetition is not None and line.non_repetition < _REPEATS for line in said], bool)
        self._flags = repeats * np.uint8(1) + (self._index < 0) * np.uint8(2)
        self._speaker = [line.speaker or "" for line in said]
        self._to = [line.event.agent or "" for line in said]

    def __len__(self) -> int:
        return len(self._row)

    def message(self) -> _wire.Message:
        """Return what draws the lines, but for their texts."""
        codes, names = pd.factorize(np.array([*self._speaker, *self._to], object))
        narrow = np.uint8 if len(names) <= 0xFF else np.uint32
        start = self._recording.steps["timestamp"].min()
        began = (self._recording.steps["timestamp"] - start).dt.total_seconds().to_numpy("<f4", na_value=np.nan)
        columns = {
            "row": self._row,
            "position": self._position,
            "role": self._role,
            "size": self._size,
            "flags": self._flags,
            "speaker": codes[: len(self)].astype(narrow),
            "to": codes[len(self) :].astype(narrow),
            "began": began[self._row] if len(self) else np.array([], np.float32),
        }
        return _wire.packed("lines", columns=columns, texts={"names": [one_line(str(name), 60) for name in names]})

    def texts(self, lines: range, request: Any) -> _wire.Message:
        """Return what is read of some lines."""
        events = self._events(lines)
        steps = _outline.known(self._recording.steps, [int(self._row[at]) for at in lines])
        shown = [
            _lines.line(step, of_step, int(self._index[at]))
            for at, step, of_step in zip(lines, steps, events, strict=True)
        ]
        return _wire.packed("texts", {"start": lines.start, "lines": shown}, request=request)

    def whole(self, at: int, path: list[int | str]) -> str:
        """Return all of a text that was cut."""
        [events] = self._events(range(at, at + 1))
        return whole_text(part(events, path))

    def _events(self, lines: range) -> list[list[Event]]:
        """Return the events of the steps of some lines; requests hold their new messages only."""
        ids = self._recording.event_ids([int(self._row[at]) for at in lines])
        wanted = dict.fromkeys(known for step in ids for known in step)
        found = {event.id: event for event in reader.events_by_id(self._recording.db, wanted, whole=False)}
        if len(found) < len(wanted):
            raise PeekError("What was said has been deleted since: refresh the view.")
        return [[found[known] for known in step] for step in ids]


def conversation(
    session: Any = None, *, filter: Filter = "", height: int = 560, expanded: bool = True, linked: bool = True  # noqa: A002
) -> Conversation:  # fmt: skip
    """Return the conversation of a session, as it was said; as the last expression of a cell it is drawn.

    Each message stands there once, with the call that first sent it; a tool's result beside its call. System prompts
    and thinking are folded, and long texts are cut and open in place.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `Conversation.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return Conversation(session, filter=filter, height=height, expanded=expanded, linked=linked)
