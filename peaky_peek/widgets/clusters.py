"""What keeps failing: the same failure over many sessions as one cluster, drawn as a list with the worst first."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import traitlets

from peaky_peek import frames, store
from peaky_peek.analysis import clusters as clustering
from peaky_peek.errors import QueryError
from peaky_peek.store import reader
from peaky_peek.widgets import _filter, _linking, _text, _wire
from peaky_peek.widgets._cluster_rows import ClusterRows
from peaky_peek.widgets._recording import Recording
from peaky_peek.widgets._session_widget import SessionWidget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.store.reader import Session


class FailureClusters(SessionWidget, bundle="clusters"):
    """A widget that lists clusters of failures and opens each to why it is one, its failures and what shows it best.

    What is selected leads the trees and timelines on the sessions of these events:

        found = pp.clusters("after:7d")
        found.frame                       # one row per cluster, the worst first
        found.selected_events             # the failures of what was clicked, with payloads
        found.rename(found.frame["cluster_id"][0], "gateway down at night")

    Names, merges and splits are remembered by the store. It takes the arguments of `clusters`.
    """

    _recording: ClusterRows

    def __repr__(self) -> str:
        title = self._title
        return f"FailureClusters({title['note'] or ', '.join(title['facts'])})"

    @property  # type: ignore[misc]
    def session(self) -> Session | None:
        """The session of the first selected failure; None when nothing is selected."""
        event = self.event
        return reader.read_session(self._recording.db, event.session_id) if event else None

    @property
    def frame(self) -> pd.DataFrame:
        """One row per cluster, the worst first, of the failures that pass the filter: `pp.SCHEMA["clusters"]`."""
        recurring = self._recording.recurring
        if self._mask is None:
            return recurring.frame.copy()
        passing = self._recording.failures[self._mask[self._recording.at]]
        return recurring.clusters(recurring.failures[recurring.failures["event_id"].isin(passing["event_id"])])

    @property
    def failures(self) -> pd.DataFrame:
        """One row per failure that passes the filter, as in `pp.failures`, and its `cluster_id`."""
        failures = self._recording.failures
        return (failures if self._mask is None else failures[self._mask[self._recording.at]]).reset_index(drop=True)

    @property
    def selected_events(self) -> pd.DataFrame:
        """The selected failures: the columns of `pp.events`, and `data`, their typed fields."""
        return frames.events_by_id(self._recording.db, self.selected)

    def rename(self, cluster: str, name: str) -> None:
        """Give a cluster a name of yours, which stays; an empty one gives it back its own.

        Args:
            cluster: its id, the beginning of it, or its name.
            name: the new name.

        Raises:
            ClusterNotFound: naming the closest.
        """
        with self._lock:
            self._recording.recurring.rename(cluster, name)
            self._changed()

    def merge(self, of: Iterable[str]) -> str:
        """Make clusters one from now on, with the id and name of the first, and return its id.

        Args:
            of: ids or names, two or more.

        Raises:
            ClusterNotFound: naming the closest.
            PeekError: for fewer than two.
        """
        with self._lock:
            merged = self._recording.recurring.merge(of)
            self._changed()
        return merged

    def split(self, cluster: str, by: str = "fingerprint") -> list[str]:
        """Make several clusters of one from now on, and return their ids.

        Args:
            cluster: its id, the beginning of it, or its name.
            by: what tells them apart: "fingerprint" for each wording (it undoes a merge), or another column of
                `pp.failures`: tool_name, agent, error_type, place, name, event_type, severity, session_id.

        Raises:
            ClusterNotFound: naming the closest.
            PeekError: if all its failures have the same value there.
        """
        with self._lock:
            parts = self._recording.recurring.split(cluster, by)
            self._changed()
        return parts

    def _changed(self) -> None:
        """Show the clusters as they are now."""
        self._recording.arrange()
        self._show(self._recording)

    def _read(self, ref: Any) -> ClusterRows:
        return ClusterRows(store.current(), ref)

    def _read_again(self) -> ClusterRows:
        return ClusterRows(self._recording.db, self._recording.recurring.q)

    def _extras(self) -> list[_wire.Message]:
        return [self._recording.extras()]

    def _mask_of(self, wanted: _filter.Filter, recording: Recording) -> NDArray[np.bool_] | None:
        """Return the rows that a filter lets through: failures, and the clusters that have some."""
        if isinstance(wanted, str) and not wanted.strip():
            return None
        rows: Any = recording
        passing = rows.matching(wanted) if isinstance(wanted, str) else _mask(wanted, rows)
        mask = np.zeros(len(recording), bool)
        mask[rows.at[passing]] = True
        mask[recording.steps["parent"].to_numpy()[rows.at[passing]]] = True
        return mask

    def _filtered(self) -> list[_wire.Message]:
        messages = super()._filtered()
        if self._mask is not None:
            message, buffers = messages[0]
            return [({**message, "count": int(self._mask[self._recording.heads].sum())}, buffers)]
        return messages

    @traitlets.observe("_rows")
    def _select_events(self, change: dict[str, Any]) -> None:
        with self._lock:
            rows = [row for row in change["new"] if 0 <= row < len(self._recording)]
            ids = [known for found in self._recording.event_ids(rows) for known in found]
            if set(ids) != set(self.selected):
                self.selected = ids

    def _arguments(self) -> list[Any]:
        q = self._recording.recurring.q
        if q is None or isinstance(q, str):
            return [] if q is None else [q]
        return [self._recording.recurring.runs["session_id"].tolist()]

    def _links(self) -> Collection[Hashable]:
        links: set[Hashable] = set(self.__dict__.get("_extra_links", ()))
        if self.linked:
            db = self._recording.db
            links |= {_linking.session_link(db, one) for one in self._recording.steps.attrs["session_ids"]}
        return links

    def _tell(self, name: str, value: Any) -> None:
        """Lead the widgets on the sessions of what is selected; of position and filter each has its own."""
        if name == "selected" and not self._is_following:
            self._is_following = True
            try:
                super()._tell(name, value)
            finally:
                self._is_following = False

    def _follow(self, name: str, value: Any) -> None:
        """Select what is selected elsewhere, if it failed; what this one leads does not come back to it."""
        if name != "selected" or self._is_following:
            return
        with self._lock:
            known = [one for one in value if self._recording.rows_of([one])]
            if known:
                self._is_following = True
                try:
                    self.selected = known
                finally:
                    self._is_following = False

    _is_following = False

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "rename", "cluster": str(cluster), "name": str(name)}:
                self.rename(cluster, name)
            case {"type": "merge", "clusters": list(of)}:
                self.merge(map(str, of))
            case {"type": "splits", "cluster": str(cluster)}:
                return [_wire.packed("splits", {"by": self._splits(cluster)}, request=request)]
            case {"type": "split", "cluster": str(cluster), "by": str(by)}:
                self.split(cluster, by)
            case _:
                return super()._answer(request)
        return [_wire.packed("done", request=request)]

    def _splits(self, cluster: str) -> list[tuple[str, int]]:
        """Return by which columns a cluster can be split, and into how many."""
        recurring = self._recording.recurring
        members = recurring.failures[recurring.failures["cluster_id"] == recurring.cluster(cluster)]
        counts = [(column, int(members[column].nunique(dropna=False))) for column in clustering.SPLITS]
        return [(column, count) for column, count in counts if count > 1]


def clusters(
    q: Any = None, *, filter: _filter.Filter = "", height: int = 480, expanded: bool = True, linked: bool = True  # noqa: A002
) -> FailureClusters:  # fmt: skip
    """Return what keeps failing: failures of the same type and place that say the same, ids and numbers aside, as one.

    As the last expression of a cell it is drawn as a list, the worst first; `.frame` is the same as a DataFrame.

    Args:
        q: which failures: a query over them, such as `"after:7d tool:search"`, or a reference to one or several
            sessions; None for all.
        filter: a query, a mask over `.failures` or `.frame`, or a function of `.failures` that returns one.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether selecting a cluster leads the widgets on its sessions.

    Raises:
        QueryError: pointing at what cannot be read.
        SessionNotFound: if a reference names no session.

    Example:
        >>> import peaky_peek as pp
        >>> for number in (7, 12, 31):
        ...     with pp.trace_session("shop") as ctx:
        ...         event = ctx.record_tool_result("pay", error=f"TimeoutError: no answer for order A-{number}")
        >>> clusters().frame.loc[0, ["name", "kind"]].tolist()
        ['pay: TimeoutError: no answer for order …', 'infrastructure']
    """
    return FailureClusters(q, filter=filter, height=height, expanded=expanded, linked=linked)


def _mask(wanted: Any, rows: ClusterRows) -> NDArray[np.bool_]:
    """Return one boolean per failure, in the order of `rows.failures`."""
    failures, frame = rows.failures, rows.recurring.frame
    given = wanted(failures.copy()) if callable(wanted) else wanted
    mask = given if isinstance(given, pd.Series) else pd.Series(np.atleast_1d(np.asarray(given)))
    if not pd.api.types.is_bool_dtype(mask.dtype):
        raise QueryError(
            f"A filter is a query, a boolean mask or a function that returns one, not {mask.dtype} values."
        )
    values = mask.to_numpy(bool, na_value=False)
    if len(values) == len(failures):
        return values
    if len(values) != len(frame):
        expected = f"{_text.count(len(failures), 'value')} (failures) or {len(frame):,} (clusters)"
        raise QueryError(f"The filter's mask has {len(values):,} values, this needs {expected}.")
    return failures["cluster_id"].isin(frame["cluster_id"][values]).to_numpy(bool)
