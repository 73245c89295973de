"""What led to the selected steps of a recording, and what they led to, as the pictures draw it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek import causality
from peaky_peek.analysis.chain import Ways
from peaky_peek.store import dtypes, reader
from peaky_peek.widgets import _wire
from peaky_peek.widgets._text import one_line

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from peaky_peek.widgets._recording import Recording

KINDS = list(causality.KINDS)
IN, OUT, CHAIN = 0, 1, 2
_BY_STRUCTURE = {"parent", "result"}
"""What the tree itself shows."""
_MOST_STEPS, _MOST_EDGES, _EVIDENCE = 20, 60, 160


class Causes:
    """The causal edges of a recording, found when they are first asked for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @functools.cached_property
    def _ways(self) -> Ways:
        session = self.recording.session
        edges = causality.edges(self.recording.db, session.session_id if session else "")
        return Ways(edges, self.recording.event_order)

    @functools.cached_property
    def _row_at(self) -> list[int]:
        """The row of the step of each event in order."""
        return [self.recording.row_of(event_id) for event_id in self.recording.event_order]

    @functools.cached_property
    def _places(self) -> dict[int, list[int]]:
        """The places in order of the events of each step."""
        places: dict[int, list[int]] = {}
        for at, row in enumerate(self._row_at):
            places.setdefault(row, []).append(at)
        return places

    @functools.cached_property
    def _wrong(self) -> set[int]:
        steps = self.recording.steps
        wrong = np.flatnonzero(steps["failed"].to_numpy(bool) | steps["suspect"].notna().to_numpy(bool))
        return {at for row in wrong.tolist() for at in self._places[row]}

    def chain(self, event_ids: Sequence[str]) -> pd.DataFrame:
        """Return the way to the first of these events, see `DecisionTree.chain`."""
        ids: list[str] = []
        edges: list[int | None] = []
        if event_ids:
            order = self.recording.event_order
            at = order.index(event_ids[0])
            found = self._ways.chain(at, self._wrong)
            ids = [*(order[self._ways.source[row]] for row in found), event_ids[0]]
            edges = [None, *found]
        events = {event.id: event for event in reader.events_by_id(self.recording.db, ids, whole=False)}
        columns: dict[str, list[Any]] = {
            "order": list(range(len(ids))),
            "event_id": ids,
            "event_type": [events[one].kind if one in events else None for one in ids],
            "name": [events[one].name if one in events else None for one in ids],
        }
        for name in ("kind", "weight", "evidence"):
            columns[name] = [None if row is None else getattr(self._ways, name)[row] for row in edges]
        return dtypes.frame("chain", columns)

    def drawn(self, rows: Sequence[int], request: Any = None) -> _wire.Message:
        """Return the `edges` message: what led to some steps, what they led to, and the chain to the first."""
        best: dict[tuple[int, int], tuple[int, float, str, list[str]]] = {}
        for role, edge in self._edges_of(rows[:_MOST_STEPS]):
            ways = self._ways
            pair = self._row_at[ways.source[edge]], self._row_at[ways.target[edge]]
            if pair[0] == pair[1]:
                continue
            said, weight, kind = ways.evidence[edge], ways.weight[edge], ways.kind[edge]
            known = best.get(pair)
            if known is None:
                best[pair] = role, weight, kind, [said]
                continue
            texts = known[3] if said in known[3] else [*known[3], said]
            strongest = (weight, kind) if weight > known[1] else known[1:3]
            best[pair] = (max(role, known[0]), *strongest, texts)
        shown = sorted(best.items(), key=lambda one: (-one[1][0], -one[1][1]))[:_MOST_EDGES]
        columns: dict[str, ArrayLike] = {
            "source": np.array([pair[0] for pair, _ in shown], np.int32),
            "target": np.array([pair[1] for pair, _ in shown], np.int32),
            "role": np.array([known[0] for _, known in shown], np.uint8),
            "kind": np.array([KINDS.index(known[2]) for _, known in shown], np.uint8),
            "weight": np.array([known[1] for _, known in shown], np.float32),
        }
        evidence = [one_line("; ".join(known[3]), _EVIDENCE) for _, known in shown]
        return _wire.packed("edges", {"kinds": KINDS}, columns, {"evidence": evidence}, request)

    def _edges_of(self, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        if not rows:
            return
        for edge in self._ways.chain(self._places[rows[0]][0], self._wrong):
            yield CHAIN, edge
        for at in (at for row in rows for at in self._places[row]):
            yield from ((IN, edge) for edge in self._ways.into(at) if self._ways.kind[edge] not in _BY_STRUCTURE)
            yield from ((OUT, edge) for edge in self._ways.out_of(at) if self._ways.kind[edge] not in _BY_STRUCTURE)
