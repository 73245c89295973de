"""Every failed event as a row: what failed, where, how badly, and which of them show the same fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from peaky_peek import store
from peaky_peek.analysis import fingerprints
from peaky_peek.analysis.infrastructure import is_infrastructure
from peaky_peek.encoding import decode
from peaky_peek.store import dtypes
from peaky_peek.store.columns import MISSING
from peaky_peek.store.connection import many
from peaky_peek.store.query import Where
from peaky_peek.store.sessions import resolve_many
from peaky_peek.vocabulary import SEVERITIES

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

_SAID = ("error_message", "error", "reason", "rationale", "signal", "details")
_TYPE = ("outcome", "violation_type", "alert_type")
_GRADE = ("severity", "risk_level")
_TEXTS = (*_SAID, *_TYPE, *_GRADE, "policy_name", "stack_trace")
_SELECT = f"""
    SELECT e.event_id, e.session_id, e.parent_id, e.event_type, e.name, e.agent, e.timestamp, e.tool_name,
        e.error_type, e.position, p.event_type, coalesce(p.tool_name, p.name), p.model, p.name, p.parent_id,
        s.status = 'failed', s.llm_calls + s.tool_calls > 0,
        {", ".join(f"e.payload -> '{name}'" for name in _TEXTS)}
    FROM events e JOIN sessions s USING (session_id) LEFT JOIN events p ON p.event_id = e.parent_id
    WHERE e.failed AND """  # noqa: S608
_MODULES = re.compile(r"^(?:\w+\.)+(?=\w+$)")
_MOST_LEVELS = 200
"""An exception that crosses more spans than these is told twice."""


class _Row(NamedTuple):
    """What the store says about a failed event, the call around it and its session."""

    event_id: str
    session_id: str
    parent_id: str | None
    event_type: str
    name: str | None
    agent: str | None
    timestamp: int | None
    tool_name: str | None
    error_type: str | None
    position: int
    around: str | None
    """The type of the event inside which it failed; the next two are its tool and its model."""
    around_tool: str | None
    around_model: str | None
    around_name: str | None
    around_parent: str | None
    session_failed: bool
    acted: bool
    said: dict[str, str]


def failures(session: Any = None) -> pd.DataFrame:
    """Return one row per event that failed, in order.

    One fault may show as several failed events: a tool raises, its result has the error, and the agent fails with it.
    They all have the first of them as `root_id`, and `is_root` marks it. The tree decides: events that failed in one
    call of a tool or model are one fault, and so is an error that comes up, with the same words, in a span around it.

    `error_type`, `place` and `template` (the message without ids, numbers, paths and quotes) make the `fingerprint`.
    `kind` is "infrastructure" for what no decision of the agent could have prevented, such as a timeout, else "agent".
    `severity` is the recorded one; else "high" for an error that ended its run, "medium" for others.

    Args:
        session: a reference to one or several sessions (a list, frame, mask or query), or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("trip") as ctx:
        ...     event = ctx.record_tool_result("hotels", error="TimeoutError: no answer for H-17 within 30 s")
        >>> failures("trip")[["error_type", "place", "template", "kind"]].iloc[0].tolist()
        ['TimeoutError', 'hotels', 'no answer for … within … s', 'infrastructure']
    """
    db = store.current()
    db.ingest()
    return of_sessions(db, resolve_many(session, db))


def of_sessions(db: Database, session_ids: list[str]) -> pd.DataFrame:
    """Return the failures of these sessions, in their order."""
    where = "e.session_id IN (SELECT value FROM json_each(:sessions))"
    found = matching(db, Where(where, {"sessions": many(session_ids)}))
    place = {session_id: at for at, session_id in enumerate(session_ids)}
    order = found["session_id"].map(place).argsort(kind="stable").to_numpy()
    return found.take(order).reset_index(drop=True)


def matching(db: Database, where: Where) -> pd.DataFrame:
    """Return the failures that meet a condition over `events e`, the oldest sessions first."""
    sql = f"{_SELECT} ({where.sql}) ORDER BY s.position, s.rowid, e.position, e.rowid"
    rows = [_row(values) for values in db.connection().execute(sql, where.parameters)]
    columns: dict[str, list[Any]] = {name: [] for name in dtypes.SCHEMA["failures"]}
    roots = _roots(db, rows)
    worst = _worst(rows, roots)
    for row in rows:
        root_id = roots[row.event_id]
        told = {"root_id": root_id, "is_root": root_id == row.event_id, "severity": worst[row.event_id]}
        told |= _described(row)
        for name, column in columns.items():
            column.append(told[name] if name in told else getattr(row, name))
    times = np.array([MISSING if time is None else time for time in columns["timestamp"]], np.int64)
    return dtypes.frame("failures", {**columns, "timestamp": dtypes.times(times)})


def _row(values: tuple[Any, ...]) -> _Row:
    fixed = len(_Row._fields) - 1
    said = {name: text for name, text in zip(_TEXTS, map(_text, values[fixed:]), strict=True) if text}
    return _Row._make((*values[:fixed], said))


def _text(encoded: str | None) -> str | None:
    """Return what a field of the payload says; what is no text as it is written."""
    if encoded is None or encoded == "null":
        return None
    value = decode(encoded)
    return value if isinstance(value, str) else encoded


def _described(row: _Row) -> dict[str, Any]:
    """Return the columns that have to be worked out."""
    message = next((row.said[name] for name in _SAID if name in row.said), None)
    error_type, words = row.error_type or None, message or ""
    if row.event_type in ("tool_result", "error"):
        read, words = fingerprints.typed(words)
        error_type = _MODULES.sub("", error_type or read or "") or None
    else:
        error_type = next((row.said[name] for name in _TYPE if name in row.said), row.event_type)
    in_tool = row.event_type == "tool_result" or row.around == "tool_call"
    in_model = row.around == "llm_request"
    infrastructure = is_infrastructure(
        row.event_type, error_type, words, in_tool=in_tool, in_model=in_model, acted=bool(row.acted)
    )
    kind = "infrastructure" if infrastructure else "agent"
    place, template = _place(row, in_tool=in_tool, in_model=in_model), fingerprints.mask(words)
    return {
        "tool_name": row.tool_name or (row.around_tool if in_tool else None),
        "error_type": error_type,
        "message": message,
        "kind": kind,
        "place": place,
        "template": template,
        "fingerprint": fingerprints.fingerprint(kind, error_type or "", place, template),
    }


def _place(row: _Row, *, in_tool: bool, in_model: bool) -> str:
    """Return where it failed: the tool, the model, the policy, the function that raised, or the agent."""
    if "policy_name" in row.said:
        return row.said["policy_name"]
    if in_tool:
        return row.tool_name or row.around_tool or "tool"
    if in_model:
        return row.around_model or "model"
    frame = fingerprints.frame_of(row.said.get("stack_trace", ""))
    return fingerprints.mask(frame or row.agent or row.around_name or row.name or "run")


def _severity(row: _Row) -> str:
    for name in _GRADE:
        if row.said.get(name) in SEVERITIES:
            return row.said[name]
    ended_its_run = row.event_type == "error" and row.session_failed and row.around_parent is None
    return "high" if ended_its_run else "medium"


def _worst(rows: list[_Row], roots: dict[str, str]) -> dict[str, str]:
    """Return the severity of each failure; of the first that shows a fault, the worst of all that show it."""
    worst = {row.event_id: _severity(row) for row in rows}
    for row in rows:
        root = roots[row.event_id]
        worst[root] = max(worst[root], worst[row.event_id], key=SEVERITIES.index)
    return worst


def _roots(db: Database, rows: list[_Row]) -> dict[str, str]:
    """Return, for each failure, the first one that showed the same fault."""
    parents = _Parents(db)
    roots: dict[str, str] = {}
    in_call: dict[str, str] = {}
    coming_up: dict[tuple[str, str], str] = {}
    before: _Row | None = None
    for row in sorted(rows, key=lambda row: row.position):
        root = None
        words = fingerprints.typed(row.said.get("error_message") or row.said.get("error") or "")[1]
        if row.parent_id is not None and row.around in ("tool_call", "llm_request"):
            root = in_call.setdefault(row.parent_id, row.event_id)
        elif row.parent_id is not None and words:
            root = coming_up.pop((row.parent_id, words), None)
        elif before is not None and _declines(before, row):
            root = roots[before.event_id]
        roots[row.event_id] = root or row.event_id
        if words and row.parent_id is not None:
            parents.known[row.parent_id] = row.around_parent
            for span in parents.of(row.parent_id):
                coming_up[span, words] = roots[row.event_id]
        before = row
    return roots


def _declines(before: _Row, row: _Row) -> bool:
    """Tell whether a refusal is what the safety check just before it led to."""
    same = (before.session_id, before.parent_id) == (row.session_id, row.parent_id)
    policies = {one.said.get("policy_name") for one in (before, row)}
    return same and (before.event_type, row.event_type) == ("safety_check", "refusal") and len(policies) == 1


class _Parents:
    """What is around a span, read from the store when it is asked for."""

    _SQL = "SELECT parent_id FROM events WHERE event_id = ?"

    def __init__(self, db: Database) -> None:
        self._db = db
        self.known: dict[str, str | None] = {}

    def of(self, span: str) -> Iterator[str]:
        """Yield the spans around a span, from the inside out; not itself."""
        current: str | None = span
        for _ in range(_MOST_LEVELS):
            if current not in self.known:
                row = self._db.connection().execute(self._SQL, (current,)).fetchone()
                self.known[str(current)] = row[0] if row else None
            current = self.known[str(current)]
            if current is None:
                return
            yield current
