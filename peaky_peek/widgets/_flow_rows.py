"""What several runs have in common, as rows that a view can draw: one a step of the flow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis.comparison import comparison
from peaky_peek.analysis.flow import END, START, Flow
from peaky_peek.errors import StoreLocked
from peaky_peek.store import dtypes, query, reader, sessions
from peaky_peek.store.columns import MISSING
from peaky_peek.store.connection import many
from peaky_peek.vocabulary import FAMILIES
from peaky_peek.widgets import _outline, _text, _wire
from peaky_peek.widgets._diff_rows import numbers
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.events import Event
    from peaky_peek.store.database import Database

_KIND_OF = {"answer": "llm_request"}


class FlowRows(Recording):
    """The flow of one or two sets of sessions.

    Raises:
        SessionNotFound: if a reference names no session.
    """

    def __init__(self, db: Database, a: Any = None, b: Any = None) -> None:
        self.db, self.session = db, None
        with contextlib.suppress(StoreLocked):
            db.ingest(wait=0.2)
        self.flow = Flow(db, *([] if ref is None else sessions.resolve_many(ref, db) for ref in (a, b)))
        self.summary = comparison(db, self.flow.a, self.flow.b)
        self.steps = self._steps()
        self._row_of = {known: row for row, node in enumerate(self.flow.nodes) for known in node.events}

    @property
    def event_order(self) -> list[str]:
        """No time runs through several sessions."""
        return []

    def title(self) -> dict[str, Any]:
        """Return the headline: how many runs, and how many of them failed."""
        runs = [*self.flow.a, *self.flow.b]
        if not runs:
            note = "No run was found to compare." if sessions.matching("", self.db) else sessions.NOTHING_RECORDED
            return {"name": "", "status": "empty", "facts": [], "note": note}
        facts = [self._of(name, of) for name, of in (("a", self.flow.a), ("b", self.flow.b)) if of]
        facts += [_text.count(len(self.flow.nodes), "step")]
        return {"name": "What the runs have in common", "status": "", "facts": facts, "note": ""}

    def _of(self, name: str, of: list[str]) -> str:
        failed = self.flow.passed(of)["failed"]
        return f"{name}: {_text.count(len(of), 'run')}" + (f", {failed:,} failed" if failed else "")

    def outline(self) -> list[dict[str, Any]]:
        """Return the steps as ready text."""
        rows = _outline.shown_rows((), (), len(self))
        return _outline.outline(self.steps, rows, self.previews(rows))

    def extras(self) -> _wire.Message:
        """Return the ways between the steps, and the two sets in numbers."""
        place = {START: -1, END: len(self), **{str(at + 1): at for at in range(len(self))}}
        frame = self.flow.frame()
        rate = frame["failure_rate"].to_numpy("f4", na_value=np.nan)
        columns = {
            "source": np.array([place[each] for each in frame["source"]], np.int32),
            "target": np.array([place[each] for each in frame["target"]], np.int32),
            "edge_a": frame["a"].to_numpy(np.uint32),
            "edge_b": frame["b"].to_numpy(np.uint32),
            "edge_rate": rate,
        }
        passed = [self.flow.passed(node.sessions) for node in self.flow.nodes]
        for name in ("a", "b", "failed"):
            columns[name] = np.array([each[name] for each in passed], np.uint32)
        columns["rate"] = np.array(
            [np.nan if each["failure_rate"] is None else each["failure_rate"] for each in passed], "f4"
        )
        facts = {"a": len(self.flow.a), "b": len(self.flow.b), "summary": numbers(self.summary) if self.flow.b else []}
        return _wire.packed("flow", facts, columns)

    def rows_of(self, event_ids: Iterable[str]) -> list[int]:
        """Return the step of the flow that each event opens."""
        return sorted({self._row_of[known] for known in event_ids if known in self._row_of})

    def event_ids(self, rows: Sequence[int]) -> list[list[str]]:
        """Return what opens a step in each run that passes it."""
        return [list(self.flow.nodes[row].events) for row in rows]

    def read(self, rows: Sequence[int]) -> Any:
        """Yield each row with the event that opens it in the first of its runs."""
        first = [self.flow.nodes[row].events[0] for row in rows]
        found = {event.id: event for event in reader.events_by_id(self.db, first)}
        for step, known in zip(_outline.known(self.steps, rows), first, strict=True):
            yield step, [found[known]]

    def previews(self, rows: Sequence[int]) -> list[str]:
        """Return how many runs pass each step, and how many of them failed."""
        return [self._passing(row) for row in rows]

    def detailed(self, row: int, step: dict[str, Any], events: Sequence[Event]) -> dict[str, Any]:
        """Return the `details` message of a step: which runs pass it, and what it was in the first of them."""
        node = self.flow.nodes[row]
        details = super().detailed(row, step, events)
        named = {one.session_id: one for one in reader.read_sessions(self.db, node.sessions)}
        runs = [
            " · ".join(part for part in (one.name or one.session_id, one.version, one.outcome) if part)
            for one in named.values()
        ]
        text = "\n".join(_text.one_line(run) for run in runs[:100])
        facts = [["Runs", self._passing(row)], *([] if not details["facts"] else details["facts"])]
        section = {"title": "Runs that pass here", "kind": "text", "text": text}
        return {**details, "facts": facts, "sections": [section, *details["sections"]]}

    def matching(self, text: str) -> NDArray[np.bool_]:
        """Return the steps that a query finds in one of the runs.

        Raises:
            QueryError: pointing at what cannot be read.
        """
        where = query.over_events(text)
        sql = f"SELECT e.event_id FROM events e JOIN json_each(:known) ON value = e.event_id WHERE {where.sql}"  # noqa: S608
        parameters = {**where.parameters, "known": many(self._row_of)}
        found = [row[0] for row in self.db.connection().execute(sql, parameters)]
        mask = np.zeros(len(self), bool)
        mask[self.rows_of(found)] = True
        return mask

    def _passing(self, row: int) -> str:
        passed = self.flow.passed(self.flow.nodes[row].sessions)
        of = len({*self.flow.a, *self.flow.b})
        rate = passed["failure_rate"]
        return f"{passed['runs']:,} of {_text.count(of, 'run')}" + ("" if not rate else f", {rate:.0%} of them failed")

    def _steps(self) -> pd.DataFrame:
        """Return the rows in the columns that `peaky_peek.steps` has."""
        nodes = self.flow.nodes
        n = len(nodes)
        kinds = [_KIND_OF.get(node.place[0], node.place[0]) for node in nodes]
        passed = [len(set(node.sessions)) for node in nodes]
        none = dtypes.texts(np.full(n, None, object))
        steps = pd.DataFrame(
            {
                "event_id": dtypes.texts(np.array([node.events[0] for node in nodes], object)),
                "close_id": none,
                "parent": np.full(n, -1, np.int32),
                "depth": np.zeros(n, np.int32),
                "event_type": pd.Categorical(kinds, dtype=dtypes.EVENT_TYPE),
                "name": dtypes.texts(np.array([node.place[1] for node in nodes], object)),
                "agent": none,
                "timestamp": dtypes.times(np.full(n, MISSING)),
                "duration_ms": np.full(n, np.nan),
                "cost_usd": np.full(n, np.nan),
                "input_tokens": dtypes.series([None] * n, "Int64"),
                "output_tokens": dtypes.series([None] * n, "Int64"),
                "importance": np.array(passed, float) / max([1, *passed]),
                "failed": np.array([node.place[1].endswith(" ✕") for node in nodes], bool),
                "suspect": none,
                "status": pd.Categorical([None] * n, dtype=dtypes.STATUS),
                "running": np.zeros(n, bool),
                "derived": np.zeros(n, bool),
                "family": [FAMILIES[kind] for kind in kinds],
            }
        )
        steps.attrs["session_ids"] = list(dict.fromkeys([*self.flow.a, *self.flow.b]))
        return steps
