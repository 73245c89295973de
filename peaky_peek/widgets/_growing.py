"""The steps of a session to which some are added: a row never changes its number, and the frame is made when asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from peaky_peek import steps as stepping
from peaky_peek.widgets import _outline
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_MANY = 20_000
"""New steps after which they are packed."""


class Growing(Recording):
    """A session whose steps become more.

    Args:
        db: the store.
        ref: the session.
    """

    _base: pd.DataFrame
    """What was there at the first look."""
    _frame: pd.DataFrame | None
    """All of it, if somebody asked for that since it changed."""
    _new: list[dict[str, Any]]
    _replaced: dict[int, dict[str, Any]]
    """Rows of the first look that have become others."""
    _parents: list[int]
    _depth: list[int]

    def __init__(self, db: Database, ref: Any = None) -> None:
        super().__init__(db, ref)
        self._depth = self._base["depth"].tolist()
        self._session_ids: list[str] = self._base.attrs["session_ids"]

    def __len__(self) -> int:
        return len(self._base) + len(self._new)

    @property
    def steps(self) -> pd.DataFrame:
        """The frame of steps, made when somebody asks for it."""
        if self._frame is None:
            self._frame = self._whole()
        return self._frame

    @steps.setter
    def steps(self, frame: pd.DataFrame) -> None:
        self._base = self._frame = frame
        self._new, self._replaced = [], {}
        self._parents = frame["parent"].tolist()

    @property
    def event_order(self) -> list[str]:
        """The ids of all events so far, in the order in which they happened."""
        return stepping.event_order(self.db, self.steps)

    def row_of(self, event_id: str | None) -> int:
        """Return the row of the step that an event belongs to, -1 for none."""
        row: int = self._row_of.get(event_id or "", -1)
        return row

    def some(self, rows: list[int]) -> pd.DataFrame:
        """Return some rows of the frame of steps."""
        dtypes = self._base.dtypes.to_dict()
        frame = pd.DataFrame(self._known(rows), columns=list(dtypes)).astype(dtypes)
        frame.attrs["session_ids"] = self._session_ids
        return frame

    def event_ids(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the ids of the events of each step, in order."""
        pairs = [(step["event_id"], step["close_id"]) for step in self._known(rows)]
        return [[found for found in pair if isinstance(found, str)] for pair in pairs]

    def add(self, step: dict[str, Any]) -> int:
        """Add a step; returns its row."""
        row = len(self)
        self._row_of[step["event_id"]] = row
        self._new.append(step)
        self._depth.append(step["depth"])
        self._frame = None
        return row

    def replace(self, row: int, step: dict[str, Any]) -> None:
        """Let a step become another."""
        if row < len(self._base):
            self._replaced[row] = step
        else:
            self._new[row - len(self._base)] = step
        self._frame = None

    def pack(self) -> None:
        """Keep the steps as a frame once they are many."""
        if len(self._new) > _MANY:
            self.steps = self.steps

    def parent(self, row: int) -> int:
        size = len(self._base)
        return int(self._new[row - size]["parent"]) if row >= size else self._parents[row]

    def step(self, row: int) -> dict[str, Any]:
        (step,) = self._known([row])
        return step

    def _known(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        size = len(self._base)
        old = [row for row in rows if row < size and row not in self._replaced]
        read = dict(zip(old, _outline.known(self._base, old), strict=True)) if old else {}
        return [
            self._new[row - size] if row >= size else self._replaced[row] if row in self._replaced else read[row]
            for row in rows
        ]

    def _whole(self) -> pd.DataFrame:
        """Return all steps as one frame."""
        frame = self._base.copy()
        dtypes = frame.dtypes.to_dict()
        if self._replaced:
            others = self.some(list(self._replaced))
            for name in dtypes:
                column = frame[name].copy()
                column.iloc[list(self._replaced)] = others[name].array
                frame[name] = column
        if self._new:
            new = self.some(list(range(len(frame), len(self))))
            frame = pd.concat([frame, new], ignore_index=True)
        frame.attrs["session_ids"] = self._session_ids
        return frame
