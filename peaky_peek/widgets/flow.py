"""What many runs have in common: one flow, its branches as wide as many take them, coloured by how many fail."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import traitlets

from peaky_peek import frames, store
from peaky_peek.widgets import _filter, _linking, _wire
from peaky_peek.widgets._flow_rows import FlowRows
from peaky_peek.widgets._session_widget import SessionWidget

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.widgets._recording import Recording


class ConsensusFlow(SessionWidget, bundle="flow"):
    """A widget that draws sets of sessions as one flow; what `diff` returns for several sessions.

        found = pp.diff("version:v1", "version:v2")
        found.frame                       # the branches, one row each
        found.summary                     # either set in numbers, at the mean

    `.session` is None: what is selected are steps of all runs that pass them.
    """

    _recording: FlowRows

    @property
    def frame(self) -> pd.DataFrame:
        """The branches, one row per way from one step to the next: `pp.SCHEMA["flow"]`."""
        return self._recording.flow.frame()

    @property
    def graph(self) -> nx.DiGraph:
        """The flow as a graph, with the same numbers on its nodes and edges."""
        return self._recording.flow.graph()

    @property
    def summary(self) -> pd.DataFrame:
        """One row per measure, with the means of a and b: `pp.SCHEMA["comparison"]`."""
        return self._recording.summary.copy()

    @property
    def selected_events(self) -> pd.DataFrame:
        """The selected events: the columns of `pp.events`, and `data`, their typed fields."""
        return frames.events_by_id(self._recording.db, self.selected)

    def __repr__(self) -> str:
        return f"ConsensusFlow({', '.join(self._title['facts']) or self._title['note']})"

    def _read(self, ref: Any) -> FlowRows:
        self._refs = ref if isinstance(ref, tuple) else (ref, None)
        return FlowRows(store.current(), *self._refs)

    def _read_again(self) -> FlowRows:
        return FlowRows(self._recording.db, *self._refs)

    def _extras(self) -> list[_wire.Message]:
        return [self._recording.extras()]

    def _mask_of(self, wanted: _filter.Filter, recording: Recording) -> NDArray[np.bool_] | None:
        if isinstance(wanted, str) and wanted.strip():
            return self._passing(wanted, recording)
        return super()._mask_of(wanted, recording)

    @staticmethod
    def _passing(query: str, rows: Any) -> NDArray[np.bool_]:
        passing: NDArray[np.bool_] = rows.matching(query)
        return passing

    @traitlets.observe("_rows")
    def _select_events(self, change: dict[str, Any]) -> None:
        with self._lock:
            rows = [row for row in change["new"] if 0 <= row < len(self._recording)]
            if rows != self._recording.rows_of(self.selected):
                self.selected = [known for found in self._recording.event_ids(rows) for known in found]

    def _tell(self, name: str, value: Any) -> None:
        """Lead the widgets on the runs; of time each has its own."""
        if name != "position" and not self._is_telling:
            self._is_telling = True
            try:
                super()._tell(name, value)
            finally:
                self._is_telling = False

    def _follow(self, name: str, value: Any) -> None:
        """Select what is selected in one of the runs; what this one told does not come back."""
        if name != "position" and not self._is_telling:
            super()._follow(name, value)

    _is_telling = False

    def _links(self) -> Collection[Hashable]:
        links = set(super()._links())
        if self.linked:
            ids = self._recording.steps.attrs["session_ids"]
            links |= {_linking.session_link(self._recording.db, session_id) for session_id in ids}
        return links
