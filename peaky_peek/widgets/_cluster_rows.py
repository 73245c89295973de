"""Clusters of failures as rows that a view can draw: each cluster, the worst first, and under it its failures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis.recurring import Recurring
from peaky_peek.errors import StoreLocked
from peaky_peek.store import dtypes, query, reader, sessions
from peaky_peek.store.columns import MISSING
from peaky_peek.widgets import _outline, _text, _wire
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.events import Event
    from peaky_peek.store.database import Database

_PREVIEW = 160
_IMPORTANCE = (0.25, 0.5, 0.75, 1.0)
"""By severity."""


class ClusterRows(Recording):
    """What keeps failing, as rows; `recurring` has the same as frames, and changes it.

    Args:
        db: the store.
        q: which failures; see `Recurring`.
    """

    def __init__(self, db: Database, q: Any = None) -> None:
        self.db, self.session = db, None
        with contextlib.suppress(StoreLocked):
            db.ingest(wait=0.2)
        self.recurring = Recurring(db, q)
        self.arrange()

    def arrange(self) -> None:
        """Make the rows anew, after the clusters have changed."""
        frame, failures = self.recurring.frame, self.recurring.failures
        rank = failures["cluster_id"].map({one: at for at, one in enumerate(frame["cluster_id"])}).to_numpy()
        order = np.lexsort((-np.arange(len(failures)), rank))
        self.failures = failures.take(order).reset_index(drop=True)
        sizes = frame["size"].to_numpy(np.int64)
        self.heads = np.concatenate([[0], np.cumsum(sizes + 1)])[:-1] if len(frame) else np.empty(0, np.int64)
        self.at = np.arange(len(failures)) + np.repeat(np.arange(len(frame)), sizes) + 1
        """The row of each failure."""
        self.steps = self._steps(np.repeat(self.heads, sizes))
        self._row_of = dict(zip(self.failures["event_id"], self.at.tolist(), strict=True))
        self._failure_at = dict(zip(self.at.tolist(), range(len(failures)), strict=True))
        self._cluster_at = {row: at for at, row in enumerate(self.heads.tolist())}

    @property
    def event_order(self) -> list[str]:
        """No time runs through the failures of many sessions."""
        return []

    def title(self) -> dict[str, Any]:
        """Return the headline: how much fails, and in how many of the runs."""
        frame, runs = self.recurring.frame, len(self.recurring.runs)
        outside = int((frame["kind"] == "infrastructure").sum())
        failed = f"in {self.recurring.runs_failed:,} of {_text.count(runs, 'run')}"
        facts = [
            _text.count(len(frame), "cluster"),
            f"{_text.count(len(self.failures), 'failure')} {failed}",
            f"{outside:,} infrastructure" if outside else "",
        ]
        note = "" if len(frame) else self._good_news(runs)
        title = {"name": "What keeps failing", "status": "", "facts": [one for one in facts if one], "note": note}
        return {**title, "box": "Filter"} if len(frame) else title

    def _good_news(self, runs: int) -> str:
        if not sessions.matching("", self.db):
            return sessions.NOTHING_RECORDED
        if not runs:
            return "No run was found that this asks about."
        return f"Nothing failed in {_text.count(runs, 'run')}."

    def outline(self) -> list[dict[str, Any]]:
        """Return the worst clusters as ready text: what is saved with a notebook."""
        lines: list[dict[str, Any]] = [
            {
                "depth": 0, "family": "risk", "type": "error", "label": _text.one_line(str(row.name), _wire.NAME_LIMIT),
                "text": self._in_words(row), "duration": "", "cost": "", "failed": False, "suspect": "",
            }
            for row in self.recurring.frame.head(_outline.ROWS - 1).itertuples()
        ]  # fmt: skip
        rest = len(self.recurring.frame) - len(lines)
        return [*lines, {"gap": rest, "failed": 0}] if rest else lines

    def _in_words(self, row: Any) -> str:
        known = [row.severity, row.kind if row.kind == "infrastructure" else None]
        runs = f"{row.sessions:,} of {_text.count(len(self.recurring.runs), 'run')}"
        known += [_text.count(row.size, "failure"), runs, row.trend if isinstance(row.trend, str) else None]
        return " · ".join(str(one) for one in known if one)

    def extras(self) -> _wire.Message:
        """Return what the view needs beyond the rows."""
        frame, timeline = self.recurring.frame, self.recurring.timeline
        columns = {
            "severity": frame["severity"].cat.codes.to_numpy("i1"),
            "trend": frame["trend"].cat.codes.to_numpy("i1"),
            "infrastructure": (frame["kind"] == "infrastructure").to_numpy("u1"),
            "sessions": frame["sessions"].to_numpy("u4"),
            "history": np.array(frame["history"].tolist() or [], "u4").ravel(),
        }
        facts = {"runs": len(self.recurring.runs), "by": timeline.by}
        texts = {
            "id": frame["cluster_id"].tolist(),
            "why": [_text.visible(why) for why in frame["why"]],
            **{name: [_moment(time) for time in frame[f"{name}_seen"]] for name in ("first", "last")},
        }
        return _wire.packed("clusters", facts, columns, texts)

    def matching(self, text: str) -> NDArray[np.bool_]:
        """Return which failures match a query.

        Raises:
            QueryError: pointing at what cannot be read.
        """
        where = query.over_events(text)
        sql = f"SELECT e.event_id FROM events e WHERE e.failed AND ({where.sql})"  # noqa: S608 - made of our words
        found = [row[0] for row in self.db.connection().execute(sql, where.parameters)]
        return self.failures["event_id"].isin(found).to_numpy(bool)

    def rows_of(self, event_ids: Iterable[str]) -> list[int]:
        """Return the row of each failure, without strangers; where all of a cluster are there, that of the cluster."""
        rows = {self._row_of[known] for known in event_ids if known in self._row_of}
        for head, end in pairwise([*self.heads.tolist(), len(self.steps)]):
            inside = range(head + 1, end)
            if len(rows) >= len(inside) and all(row in rows for row in inside):
                rows.difference_update(inside)
                rows.add(head)
        return sorted(rows)

    def event_ids(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the ids of the failures in each row: of a cluster, all."""
        ids = self.failures["event_id"]
        found = []
        for row in rows:
            if row in self._cluster_at:
                found.append(list(self.recurring.frame["event_ids"].iloc[self._cluster_at[row]]))
            else:
                found.append([str(ids.iloc[self._failure_at[row]])])
        return found

    def read(self, rows: Sequence[int]) -> Any:
        """Yield each row with the events that show it, of a cluster its representative: a call and what came of it."""
        failed = [self._shown_by(row) for row in rows]
        calls = [self.steps["close_id"].iloc[row] for row in failed]
        openers = self.steps["event_id"].iloc[failed].tolist()
        wanted = [known for pair in zip(openers, calls, strict=True) for known in pair if isinstance(known, str)]
        found = {event.id: event for event in reader.events_by_id(self.db, wanted)}
        for step, opener, closer in zip(_outline.known(self.steps, failed), openers, calls, strict=True):
            yield step, [found[known] for known in (opener, closer) if known in found]

    def previews(self, rows: Sequence[int]) -> list[str]:
        """Return when each failure was, and what it said."""
        return ["" if row in self._cluster_at else self._preview(self._failure_at[row]) for row in rows]

    def _preview(self, place: int) -> str:
        time, said = self.failures["timestamp"].iloc[place], self.failures["message"].iloc[place]
        message = _text.one_line(said, _PREVIEW) if isinstance(said, str) else ""
        return " · ".join(part for part in (_moment(time), message) if part)

    def detailed(self, row: int, step: dict[str, Any], events: Sequence[Event]) -> dict[str, Any]:
        """Return the `details` message of a failure; of a cluster that of its representative, which says so."""
        details = super().detailed(row, step, events)
        session = str(self.failures["session_id"].iloc[self._failure_at[self._shown_by(row)]])
        facts = [["Run", self._names.get(session) or session]]
        if row in self._cluster_at:
            cluster = self.recurring.frame.iloc[self._cluster_at[row]]
            details["subtitle"] = f"the representative of {_text.count(cluster['size'], 'failure')}"
            facts = [["Cluster", cluster["cluster_id"]], ["Kind", cluster["kind"]], *facts]
        facts = [[label, _text.visible(str(text))] for label, text in facts]
        return {**details, "facts": facts + details["facts"]}

    def _shown_by(self, row: int) -> int:
        """Return the row of the failure that shows a row."""
        if row not in self._cluster_at:
            return row
        return int(self._row_of[self.recurring.frame["representative"].iloc[self._cluster_at[row]]])

    def _steps(self, parent: NDArray[np.int64]) -> pd.DataFrame:
        """Return the rows in the columns that `peaky_peek.steps` has."""
        frame, failures = self.recurring.frame, self.failures
        runs = dict.fromkeys(failures["session_id"])
        self._names = {one.session_id: one.name for one in reader.read_sessions(self.db, runs)}
        is_result = (failures["event_type"] == "tool_result").to_numpy(bool) & failures["parent_id"].notna().to_numpy()

        def column(of_clusters: Any, of_failures: Any, dtype: Any) -> Any:
            values = np.empty(len(frame) + len(failures), dtype)
            values[self.heads], values[self.at] = of_clusters, of_failures
            return values

        def texts(of_clusters: Any, of_failures: Any) -> pd.Series[str]:
            return dtypes.texts(column(of_clusters, of_failures, object))

        given = {name: failures[name].astype(object).to_numpy(object) for name in ("event_id", "parent_id", "agent")}
        kinds = np.where(is_result, "tool_call", failures["event_type"].astype(object))
        names = np.array([self._names.get(one) or one for one in failures["session_id"]], object)
        severity = [np.array(_IMPORTANCE)[one["severity"].cat.codes] for one in (frame, failures)]
        steps = pd.DataFrame(
            {
                "event_id": texts(None, np.where(is_result, given["parent_id"], given["event_id"])),
                "close_id": texts(None, np.where(is_result, given["event_id"], np.array(None, object))),
                "parent": column(-1, parent, np.int32),
                "depth": column(0, 1, np.int32),
                "event_type": pd.Categorical(column("error", kinds, object), dtype=dtypes.EVENT_TYPE),
                "name": texts(frame["name"], names),
                "agent": texts(None, given["agent"]),
                "timestamp": dtypes.times(column(MISSING, failures["timestamp"].to_numpy("M8[us]").view("i8"), "i8")),
                "duration_ms": np.nan,
                "cost_usd": np.nan,
                "importance": column(severity[0], severity[1], np.float64),
                "failed": True,
                "suspect": texts(None, None),
                "status": pd.Categorical([None] * (len(frame) + len(failures)), dtype=dtypes.STATUS),
                "running": False,
                "derived": False,
            }
        )
        steps.attrs["session_ids"] = list(runs)
        return steps


def _moment(time: Any) -> str:
    """Return a time as it is written here, in UTC as everywhere; nothing when it is unknown."""
    return "" if pd.isna(time) else f"{time:%Y-%m-%d %H:%M}"
