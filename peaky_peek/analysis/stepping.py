"""Stepping through a session as a debugger does, forwards and backwards; exactly, for all of it was recorded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from peaky_peek.vocabulary import CLOSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]

KINDS = ("failure", "suspect", "decision", "checkpoint", "breakpoint")
"""What `next` and `previous` look for."""


class Stepper:
    """Where each command leads, from any position of a session.

    A position is an index over the session's events in the order in which they happened. None is the place before the
    first event for what goes forward, and after the last for what goes back. Each command returns the position that it
    leads to, None when there is none. Where agents work at the same time, `over`, `out` and `back_over` stay with one.

    Args:
        steps: the frame of `peaky_peek.steps.steps`.
        order: the ids of its events in order, as of `peaky_peek.steps.event_order`.

    Attributes:
        opens, closes: by row of the frame, the position where the step begins, and where it ends, -1 if nowhere.
        rows: by position, the row of the step that the event belongs to.
        positions: by kind (of `KINDS`), where such events are, sorted. `positions["breakpoint"]` is empty until set.

    Example:
        >>> steps = pd.DataFrame({"event_id": ["agent", "tool"], "close_id": ["end", "result"], "parent": [-1, 0],
        ...                       "event_type": ["agent_start", "tool_call"], "failed": [False, True], "suspect": None})
        >>> stepper = Stepper(steps, ["agent", "tool", "result", "end"])
        >>> stepper.into(0), stepper.over(1), stepper.out(2), stepper.next(0, "failure"), stepper.back_over(3)
        (1, 2, 3, 2, 0)
    """

    def __init__(self, steps: pd.DataFrame, order: Sequence[str]) -> None:
        place = pd.Index(order)
        opener = place.get_indexer(pd.Index(steps["event_id"]))
        closer = np.where(steps["close_id"].notna(), place.get_indexer(pd.Index(steps["close_id"])), -1)
        parent = steps["parent"].to_numpy(np.int64)
        closed = np.flatnonzero(closer >= 0)
        step = np.zeros(len(order), np.int64)
        step[opener] = np.arange(len(steps))
        step[closer[closed]] = closed

        self.opens: Positions = opener
        self.closes: Positions = closer
        self.rows: Positions = step

        # The events right inside each step, in order, one step after the other; those inside none come first.
        around = parent[step] if len(steps) else step
        inside = np.lexsort((np.arange(len(order)), around))
        starts = np.searchsorted(around[inside], np.arange(-1, len(steps) + 1))
        reach = closer.copy()
        full = np.flatnonzero(starts[2:] > starts[1:-1])
        reach[full] = np.maximum(reach[full], inside[starts[2:][full] - 1])

        self._step: list[int] = step.tolist()
        self._parent: list[int] = parent.tolist()
        self._opener: list[int] = opener.tolist()
        self._closer: list[int] = closer.tolist()
        self._reach: list[int] = reach.tolist()
        self._inside: list[int] = inside.tolist()
        self._starts: list[int] = starts.tolist()
        self._is_opener: list[bool] = steps["event_type"].isin(list(CLOSES.values())).tolist()

        seen = np.where(closer >= 0, closer, opener)  # what came of a step is seen where it closes
        is_kind = {
            "failure": steps["failed"].to_numpy(bool),
            "suspect": steps["suspect"].notna().to_numpy(bool),
            "decision": (steps["event_type"] == "decision").to_numpy(bool),
            "checkpoint": (steps["event_type"] == "checkpoint").to_numpy(bool),
            "breakpoint": np.zeros(len(steps), bool),
        }
        self.positions: dict[str, Positions] = {kind: np.sort(seen[rows]) for kind, rows in is_kind.items()}

    def __len__(self) -> int:
        return len(self._step)

    def row_at(self, at: int) -> int:
        """Return the row of the step that an event belongs to."""
        return self._step[at]

    def around(self, at: int) -> list[int]:
        """Return the rows of the steps that are open right after an event, as a stack: the outermost first."""
        found = []
        row = self._step[at]
        while row >= 0:
            if self._is_opener[row] and (self._closer[row] < 0 or self._closer[row] > at >= self._opener[row]):
                found.append(row)
            row = self._parent[row]
        return found[::-1]

    def step(self, at: int | None) -> int | None:
        """Return the next event, whatever it is."""
        after = 0 if at is None else at + 1
        return after if after < len(self) else None

    def back(self, at: int | None) -> int | None:
        """Return the event before, whatever it is."""
        before = len(self) - 1 if at is None else at - 1
        return before if before >= 0 else None

    def into(self, at: int | None) -> int | None:
        """Return the first event inside the step that begins here, else what `over` returns."""
        if at is None:
            return self.step(at)
        step = self._step[at]
        if self._opener[step] == at:
            stop = self._starts[step + 2]
            first = bisect_right(self._inside, at, self._starts[step + 1], stop)
            if first < stop:
                return self._inside[first]
        return self.over(at)

    def over(self, at: int | None) -> int | None:
        """Return the end of the step that begins here, else what comes next beside it; after the last, `out`."""
        if at is None:
            return self.step(at)
        step = self._step[at]
        if self._opener[step] == at < self._closer[step]:
            return self._closer[step]
        return self._after(at, self._parent[step])

    def out(self, at: int | None) -> int | None:
        """Return the end of the step around this one, else what comes after it; None in none."""
        around = -1 if at is None else self._parent[self._step[at]]
        if at is None or around < 0:
            return None
        return self._closer[around] if self._closer[around] > at else self._after(at, self._parent[around])

    def back_over(self, at: int | None) -> int | None:
        """Return the beginning of the step that ends here, else what came before beside it, else what is around it."""
        if at is None:
            return self.back(at)
        step = self._step[at]
        if self._closer[step] == at > self._opener[step]:
            return self._opener[step]
        around = self._parent[step]
        start = self._starts[around + 1]
        before = bisect_left(self._inside, at, start, self._starts[around + 2]) - 1
        if before >= start:
            return self._inside[before]
        while around >= 0 and self._opener[around] > at:  # only where ids are not in order of time
            around = self._parent[around]
        return self._opener[around] if around >= 0 else None

    def next(self, at: int | None, kind: str | Positions) -> int | None:
        """Return the next event of a kind (of `KINDS`), or the next of these positions, which are sorted."""
        positions = self.positions[kind] if isinstance(kind, str) else kind
        found = 0 if at is None else int(np.searchsorted(positions, at, "right"))
        return int(positions[found]) if found < len(positions) else None

    def previous(self, at: int | None, kind: str | Positions) -> int | None:
        """Return the last event before this one of a kind, or of these positions: to reverse to a condition."""
        positions = self.positions[kind] if isinstance(kind, str) else kind
        found = len(positions) if at is None else int(np.searchsorted(positions, at, "left"))
        return int(positions[found - 1]) if found else None

    def _after(self, at: int, around: int) -> int | None:
        """Return the first event after `at` that is right inside a step, or ends it; else of the steps around that."""
        while around >= 0 and self._reach[around] <= at:
            around = self._parent[around]
        stop = self._starts[around + 2]
        beside = bisect_right(self._inside, at, self._starts[around + 1], stop)
        found = [self._inside[beside]] if beside < stop else []
        if around >= 0 and self._closer[around] > at:
            found.append(self._closer[around])
        return min(found, default=None)
