"""Steps: what the widgets draw. An opener and its closer are one step; steps form the tree of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.store import dtypes
from peaky_peek.store import query as query_language
from peaky_peek.store.columns import EVENT_TYPES, MISSING, Columns, join, parent_rows, read
from peaky_peek.store.connection import many
from peaky_peek.vocabulary import CLOSES, FAMILIES, FAMILY_COLORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.store.database import Database

    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_OPENER_OF = np.full(len(EVENT_TYPES) + 1, -2)  # the last for types we do not know, whose code is -1
for _closer, _opener in CLOSES.items():
    _OPENER_OF[EVENT_TYPES.index(_closer)] = EVENT_TYPES.index(_opener)
_OPENERS = np.array([EVENT_TYPES.index(kind) for kind in CLOSES.values()])
_FEW = 1_000
_FAMILY_NAMES = list(FAMILY_COLORS)
_FAMILY = pd.CategoricalDtype(_FAMILY_NAMES)
_FAMILY_OF = np.array([*(_FAMILY_NAMES.index(FAMILIES[kind]) for kind in EVENT_TYPES), -1], np.int8)


def steps(db: Database, session_id: str) -> pd.DataFrame:
    """Return the steps of a session and of the sessions nested in it, in pre-order of the tree.

    A step is a single event, or an opener (agent_start, llm_request, tool_call) with the closer that has it as parent.
    An event whose parent is not recorded hangs under the root of its session; where there are several roots, none is
    made up. A nested session hangs under the event it was opened in, else under the root of the session around it.

    Args:
        db: the store.
        session_id: the session.

    Returns:
        One row per step, a parent before its children: event_id, close_id (str, NA without a closer), parent (int32,
        row of the parent step, -1 for roots), depth (int32), event_type (category, the opener's), name, agent (str),
        timestamp (UTC), duration_ms (float64: the closer's own, else the time between the two, NaN unknown), cost_usd
        (float64), input_tokens, output_tokens (Int64), importance (float64, the larger of the two), failed (bool,
        either of them), suspect (str), status (category), running (bool: opened, not closed, in a running session),
        derived (bool), family (category). `attrs["session_ids"]` names the sessions of the tree.
    """
    session_ids, outer, is_open = with_nested(db, session_id)
    parts = read(db, session_ids)
    events = join(parts)
    session_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    parent = _parents(events, parts)
    if len(parts) > 1:
        in_order = np.argsort(events.numbers["position"], kind="stable")
        events, session_of = events.take(in_order), session_of[in_order]
        parent = np.where(parent < 0, -1, np.argsort(in_order)[parent])[in_order]
    is_lost = (parent < 0) & pd.notna(events.texts["parent_id"])
    closer = _closers(events.numbers["event_type"], parent)
    parent = _adopt(parent, is_lost, session_of, outer)

    step_of = np.arange(len(events))
    opener = np.flatnonzero(closer >= 0)
    step_of[closer[opener]] = opener
    rows = np.flatnonzero(step_of == np.arange(len(events)))
    number = np.zeros(len(events), np.int64)
    number[rows] = np.arange(len(rows))
    order, parent, depth = _preorder(np.where(parent < 0, -1, number[step_of[parent]])[rows])
    rows = rows[order]
    frame = _frame(events, rows, closer[rows], parent, depth)
    frame["running"] &= is_open[session_of[rows]]
    frame.attrs["session_ids"] = session_ids
    return frame


def matching(db: Database, frame: pd.DataFrame, query: str) -> Mask:
    """Return which rows of a frame from `steps` match a query: those whose events together meet every condition.

    Args:
        db: the store.
        frame: what `steps` returned, whole or in part.
        query: text in the query language.

    Returns:
        One bool per row.

    Raises:
        QueryError: pointing at what cannot be read.
    """
    matches = np.ones(len(frame), bool)
    in_tree = "e.session_id IN (SELECT value FROM json_each(:sessions))"
    if len(frame) < _FEW:  # as a part of a large one
        in_tree = "e.event_id IN (SELECT value FROM json_each(:events))"
    events = [*frame["event_id"], *frame["close_id"].dropna()] if len(frame) < _FEW else ()
    for term in query_language.parse(query):
        where = query_language.event_condition(term, "v")
        sql = f"SELECT event_id FROM events e WHERE {in_tree} AND ({where.sql})"  # noqa: S608
        parameters = where.parameters | {"sessions": many(frame.attrs["session_ids"]), "events": many(events)}
        found = [row[0] for row in db.connection().execute(sql, parameters)]
        hits = frame["event_id"].isin(found) | frame["close_id"].isin(found)
        matches &= hits.to_numpy(bool) ^ term.negated
    return matches


def event_order(db: Database, frame: pd.DataFrame) -> list[str]:
    """Return the ids of the events that a frame from `steps` is made of, in the order in which they happened."""
    events = join(read(db, frame.attrs["session_ids"]))
    in_order = np.argsort(events.numbers["position"], kind="stable")
    known = set(frame["event_id"]) | set(frame["close_id"].dropna())
    return [event_id for event_id in events.texts["event_id"][in_order].tolist() if event_id in known]


def with_nested(db: Database, session_id: str) -> tuple[list[str], Rows, Mask]:
    """Return a session and those nested in it: ids, the place of the one around each (-1 for the first), who runs."""
    sql = """
        WITH RECURSIVE tree (session_id, around, is_open) AS (
            SELECT session_id, NULL, status = 'running' FROM sessions WHERE session_id = ?
            UNION SELECT s.session_id, s.parent_session_id, s.status = 'running'
            FROM sessions s JOIN tree ON s.parent_session_id = tree.session_id
        ) SELECT * FROM tree"""
    found: dict[str, tuple[int, bool]] = {}
    places: dict[str | None, int] = {None: -1}
    for nested, around, is_open in db.connection().execute(sql, (session_id,)):
        if nested not in places:  # sessions nested in a circle would come back
            places[nested] = len(found)
            found[nested] = places[around], bool(is_open)
    outer, is_open = zip(*found.values(), strict=True) if found else ((), ())
    return list(found), np.array(outer, np.int64), np.array(is_open, bool)


def _parents(events: Columns, parts: list[Columns]) -> Rows:
    """Return the row of each event's parent, -1 without; it may be in the session around."""
    parent = np.full(len(events), -1)
    first = 0
    for part in parts:
        rows = parent_rows(part)
        parent[first : first + len(part)] = np.where(rows < 0, -1, rows + first)
        first += len(part)
    elsewhere = np.flatnonzero((parent < 0) & pd.notna(events.texts["parent_id"]))
    if len(elsewhere):
        row_of = {event_id: row for row, event_id in enumerate(events.texts["event_id"])}
        parent[elsewhere] = [row_of.get(parent_id, -1) for parent_id in events.texts["parent_id"][elsewhere]]
    return parent


def _closers(event_type: NDArray[np.int8], parent: Rows) -> Rows:
    """Return the row of the event that closes each event, -1 for none; where several would, the first."""
    closes = np.flatnonzero((parent >= 0) & (_OPENER_OF[event_type] == event_type[parent]))[::-1]
    closer = np.full(len(parent), -1)
    closer[parent[closes]] = closes
    return closer


def _adopt(parent: Rows, is_lost: Mask, session_of: Rows, outer: Rows) -> Rows:
    """Return the parents with lost events under their session's root, and nested sessions under the one around."""
    is_entry = np.where(parent < 0, ~is_lost, session_of[parent] != session_of)
    entries, lost = np.flatnonzero(is_entry)[::-1], np.flatnonzero(is_lost)[::-1]
    root = np.full(len(outer), -1)
    root[session_of[lost]] = lost
    root[session_of[entries]] = entries
    root[np.bincount(session_of[entries], minlength=len(outer)) > 1] = -1
    parent = np.where(is_lost, root[session_of], parent)
    parent[parent == np.arange(len(parent))] = -1
    around = outer[session_of]
    return np.where((parent < 0) & (around >= 0), root[around], parent)


def _preorder(parent: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the nodes in pre-order, and for each place in it the place of the parent and the depth."""
    nodes = np.arange(len(parent))
    order = _walk(parent)
    if len(order) < len(nodes):  # parents in a circle, as only foreign data has them: cut where a parent comes later
        is_reached = np.zeros(len(nodes), bool)
        is_reached[order] = True
        parent = np.where(~is_reached & (parent >= nodes), -1, parent)
        order = _walk(parent)
    place = np.empty_like(nodes)
    place[order] = nodes
    parent = np.where(parent < 0, -1, place[parent])[order]
    depth: list[int] = []
    for row in parent.tolist():
        depth.append(depth[row] + 1 if row >= 0 else 0)
    return order, parent, np.array(depth, np.int64)


def _walk(parent: Rows) -> Rows:
    """Return the nodes that the roots lead to, in pre-order; siblings keep their order."""
    by_parent = np.lexsort((-np.arange(len(parent)), parent))
    starts = np.searchsorted(parent[by_parent], np.arange(-1, len(parent) + 1)).tolist()
    children = by_parent.tolist()
    order = []
    stack = children[: starts[1]]
    while stack:
        node = stack.pop()
        order.append(node)
        stack += children[starts[node + 1] : starts[node + 2]]
    return np.array(order, np.int64)


def _frame(events: Columns, rows: Rows, close: Rows, parent: Rows, depth: Rows) -> pd.DataFrame:
    numbers, texts = events.numbers, events.texts
    is_pair = close >= 0

    def either(name: str) -> NDArray[Any]:
        """The closer's value where it is known, else the opener's."""
        own, closing = numbers[name][rows], numbers[name][close]
        unknown = np.isnan(closing) if closing.dtype.kind == "f" else closing == (-1 if name == "status" else MISSING)
        return np.where(is_pair & ~unknown, closing, own)

    event_type = numbers["event_type"][rows]
    start, end = numbers["timestamp"][rows], numbers["timestamp"][close]
    duration = either("duration_ms")
    # Of what the provider did itself it tells at once, when all is over.
    is_timed = is_pair & np.isnan(duration) & (start != MISSING) & (end > start)
    failed = numbers["failed"][rows] | (is_pair & numbers["failed"][close])
    suspect = texts["suspect"]
    family = np.where(failed, _FAMILY_NAMES.index("risk"), _FAMILY_OF[event_type])
    close_id = texts["event_id"][close]
    close_id[~is_pair] = None
    return pd.DataFrame(
        {
            "event_id": dtypes.texts(texts["event_id"][rows]),
            "close_id": dtypes.texts(close_id),
            "parent": parent.astype(np.int32),
            "depth": depth.astype(np.int32),
            "event_type": dtypes.categories(event_type, dtypes.EVENT_TYPE),
            "name": dtypes.texts(texts["name"][rows]),
            "agent": dtypes.texts(texts["agent"][rows]),
            "timestamp": dtypes.times(start),
            "duration_ms": np.where(is_timed, (end - start) / 1000, duration),
            "cost_usd": either("cost_usd"),
            "input_tokens": dtypes.integers(either("input_tokens")),
            "output_tokens": dtypes.integers(either("output_tokens")),
            "importance": np.fmax(numbers["importance"][rows], np.where(is_pair, numbers["importance"][close], np.nan)),
            "failed": failed,
            "suspect": dtypes.texts(np.where(is_pair & pd.notna(suspect[close]), suspect[close], suspect[rows])),
            "status": dtypes.categories(either("status"), dtypes.STATUS),
            "running": np.isin(event_type, _OPENERS) & ~is_pair,
            "derived": numbers["derived"][rows],
            "family": dtypes.categories(family, _FAMILY),
        }
    )
