"""Does it happen more often than before? Counted in runs, because days with more runs have more failures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BINS = 24
_FEWEST_RUNS = 6
_FEWEST_DAYS = 3
_MORE = 1.5
"""How many times as often is more often, if chance alone would rarely do it."""


class Timeline:
    """The runs in order, those without a failure too, in up to 24 stretches: of days if they span some, else of runs.

    Args:
        sessions: rows of `pp.sessions()`.

    Example:
        >>> day = pd.Timestamp("2026-11-27", tz="UTC")
        >>> runs = pd.DataFrame({"session_id": list("abcdefghi"), "started_at": day})
        >>> Timeline(runs).trend(["h", "i"]), Timeline(runs).trend(["a", "e", "i"]), Timeline(runs[:4]).trend(["d"])
        ('new', 'steady', None)
    """

    def __init__(self, sessions: pd.DataFrame) -> None:
        self._place = {session_id: at for at, session_id in enumerate(sessions["session_id"])}
        self._runs = len(self._place)
        timed = sessions.dropna(subset="started_at").sort_values("started_at", kind="stable")
        self._timed = {session_id: at for at, session_id in enumerate(timed["session_id"])}
        days = pd.to_datetime(sessions["started_at"], utc=True).dt.floor("D")
        span = 1 + (days.max() - days.min()).days if days.notna().all() and self._runs else 0
        self.by = "day" if span >= _FEWEST_DAYS else "run"
        if self.by == "day":
            self._bins = min(span, _MOST_BINS)
            since = (days - days.min()).dt.days.to_numpy()
            self._bin: NDArray[Any] = since * self._bins // span
        else:
            self._bins = min(self._runs, _MOST_BINS)
            self._bin = np.arange(self._runs) * self._bins // max(self._runs, 1)

    def counts(self, session_ids: Iterable[str]) -> list[int]:
        """Return how many of these are in each stretch; a session may come several times."""
        places = [self._place[one] for one in session_ids if one in self._place]
        return np.bincount(self._bin[places], minlength=self._bins).tolist() if places else [0] * self._bins

    def trend(self, session_ids: Iterable[str]) -> str | None:
        """Return how the share of runs that are among these changed in the last third; None when nobody can tell.

        Runs whose time is unknown are left out: the order in which they were loaded is no order in time.
        """
        runs = len(self._timed)
        if runs < _FEWEST_RUNS:
            return None
        late = runs - runs // 3
        places = {self._timed[one] for one in session_ids if one in self._timed}
        before, now = sum(at < late for at in places), sum(at >= late for at in places)
        if not before:
            return "new" if now else None
        old, recent = before / late, now / (runs - late)
        share = len(places) / runs
        chance = math.sqrt(share * (1 - share) * (1 / late + 1 / (runs - late)))
        if abs(recent - old) >= chance:
            if recent >= old * _MORE:
                return "rising"
            if recent * _MORE <= old:
                return "falling"
        return "steady"
