"""Breakpoints: the positions of a session at which a condition holds, found once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek import steps
from peaky_peek.analysis.changes import ABSENT, is_same, keys_of, value_at
from peaky_peek.analysis.moments import saved_in
from peaky_peek.errors import QueryError
from peaky_peek.events import Checkpoint, Event

if TYPE_CHECKING:
    from peaky_peek.analysis.moments import Moments
    from peaky_peek.analysis.stepping import Positions

Condition = str | Callable[[Event], Any]
_HITS = re.compile(r"(?:^|\s+)hits?\s*>=\s*(\d+)\s*$")
_CHANGED = re.compile(r"""changed\(\s*(["']?)(.*?)\1\s*\)""", re.DOTALL)


class Breakpoint:
    """Where to stop: where a query matches, where a function of the event returns true, or where state changes.

    A step that matches stops where it begins, if that is enough to know it, else where it ends: `tool:search` at the
    call, `tool:search failed` at the result. What is written `changed("state.cart")` stops at each checkpoint whose
    state or memory differs at that place from the checkpoint before. A function is given each event, of requests with
    the messages that were new in them; where it raises, it does not hold, and `problem` says so.

    Args:
        condition: a query, which may end in `hit >= 3`; `changed("...")`; or a function of an event.
        hits: which match is the first to stop at.

    Raises:
        QueryError: pointing at what cannot be read.

    Attributes:
        problem: what went wrong in the function, as one sentence; None when nothing did.

    Example:
        >>> Breakpoint("tool:search failed hit >= 3")
        Breakpoint('tool:search failed hit >= 3')
        >>> Breakpoint('changed("state.cart")').hits
        1
    """

    def __init__(self, condition: Condition, hits: int | None = None) -> None:
        if isinstance(condition, str) and (counted := _HITS.search(condition)):
            condition, hits = condition[: counted.start()], hits or int(counted[1])
        if not isinstance(condition, str) and not callable(condition):
            raise QueryError(f"A breakpoint is a query, changed(...) or a function of an event, not {condition!r}.")
        self.condition: Condition = condition.strip() if isinstance(condition, str) else condition
        self.hits = max(hits or 1, 1)
        self.problem: str | None = None
        changed = _CHANGED.fullmatch(self.condition) if isinstance(self.condition, str) else None
        self._keys = keys_of(changed[2]) if changed else None

    def positions(self, moments: Moments) -> Positions:
        """Return the positions to stop at, sorted.

        Raises:
            QueryError: pointing at what cannot be read in the query.
        """
        self.problem = None
        if self._keys is not None:
            found = self._changed(moments)
        elif isinstance(self.condition, str):
            found = _matching(moments, self.condition)
        else:
            found = self._held(moments, self.condition)
        return np.array(sorted(found), np.int64)[self.hits - 1 :]

    def _held(self, moments: Moments, holds: Callable[[Event], Any]) -> list[int]:
        found: list[int] = []
        raised: list[tuple[int, Exception]] = []
        for position, event in moments.events():
            try:
                if holds(event):
                    found.append(position)
            except Exception as error:  # noqa: BLE001 - whatever a function of the user's does
                raised.append((position, error))
        if raised:
            first, what = min(raised, key=lambda one: one[0])
            self.problem = (
                f"The breakpoint {self._name()} raised {type(what).__name__} at {len(raised):,} of"
                f" {len(moments):,} events, the first at position {first}: {what}"
            )
        return found

    def _changed(self, moments: Moments) -> list[int]:
        found = []
        before: Any = ABSENT
        for position, event in sorted(moments.events("checkpoint"), key=lambda one: one[0]):
            if isinstance(event, Checkpoint):
                now = value_at(saved_in(event), self._keys or ())
                if not is_same(before, now):
                    found.append(position)
                before = now
        return found

    def _name(self) -> str:
        named = getattr(self.condition, "__name__", None)
        return repr(self.condition if named is None else named)

    def __str__(self) -> str:
        text = self.condition if isinstance(self.condition, str) else self._name().strip("'")
        return text if self.hits == 1 else f"{text} hit >= {self.hits}".lstrip()

    def __repr__(self) -> str:
        return f"Breakpoint({str(self)!r})"


def stops(moments: Moments, breakpoints: Iterable[Breakpoint]) -> Positions:
    """Return where any of the breakpoints stops, sorted: what `Stepper.positions["breakpoint"]` is set to."""
    found = [each.positions(moments) for each in breakpoints]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _matching(moments: Moments, query: str) -> list[int]:
    frame = moments.steps
    matches = steps.matching(moments.db, frame, query)
    begun = frame.assign(close_id=pd.Series([None] * len(frame), dtype="str"))
    begun.attrs = frame.attrs
    at_begin = matches & steps.matching(moments.db, begun, query)
    stepper = moments.stepper
    found: list[int] = np.where(at_begin | (stepper.closes < 0), stepper.opens, stepper.closes)[matches].tolist()
    return found
