"""The way that leads to an event: from each step back to the surest of what led to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_AS_SURE = 0.1
"""Ways that are no further apart are equally sure."""


class Ways:
    """The edges of `causality.edges`, ready to be asked about single events, which are named by their place in order.

    Args:
        edges: what led to what.
        order: the ids of all events, in the order in which they happened.
    """

    def __init__(self, edges: pd.DataFrame, order: Sequence[str]) -> None:
        place = {event_id: at for at, event_id in enumerate(order)}
        known = edges[(edges["source"].isin(place) & edges["target"].isin(place)).to_numpy()]
        self.source: list[int] = known["source"].map(place).tolist()
        self.target: list[int] = known["target"].map(place).tolist()
        self.kind: list[str] = known["kind"].tolist()
        self.weight: list[float] = known["weight"].tolist()
        self.evidence: list[str] = known["evidence"].tolist()
        self._into = _by_event(self.target, len(order))
        self._out_of = _by_event(self.source, len(order))

    def into(self, at: int) -> list[int]:
        """Return the rows of the edges that lead to an event."""
        rows, starts = self._into
        return rows[starts[at] : starts[at + 1]]

    def out_of(self, at: int) -> list[int]:
        """Return the rows of the edges that lead on from an event."""
        rows, starts = self._out_of
        return rows[starts[at] : starts[at + 1]]

    def chain(self, at: int, wrong: Collection[int]) -> list[int]:
        """Return the rows of the edges of the way to an event, the first first; none if nothing led to it.

        Of what is equally sure, what went wrong comes first, then what happened last. That an event happened inside
        another counts only where nothing else led to it.

        Args:
            at: the event.
            wrong: the events that failed or are suspect.
        """
        return list(self._back(at, wrong))[::-1]

    def _back(self, at: int, wrong: Collection[int]) -> Iterator[int]:
        while True:
            earlier = [row for row in self.into(at) if self.source[row] < at]
            candidates = [row for row in earlier if self.kind[row] != "parent"] or earlier
            if not candidates:
                return
            surest = max(self.weight[row] for row in candidates)
            sure = [row for row in candidates if self.weight[row] >= surest - _AS_SURE]
            best = max(sure, key=lambda row: (self.source[row] in wrong, self.source[row], self.weight[row]))
            yield best
            at = self.source[best]


def _by_event(ends: list[int], events: int) -> tuple[list[int], list[int]]:
    """Return the rows of edges in the order of their ends, and where those of each event begin."""
    rows = np.argsort(np.array(ends, np.int64), kind="stable")
    starts = np.searchsorted(np.array(ends, np.int64)[rows], np.arange(events + 1))
    return rows.tolist(), starts.tolist()
