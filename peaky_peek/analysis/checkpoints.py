"""Where a session can be taken up again, and what a restart there would save."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek import store
from peaky_peek.analysis.causes import diagnose
from peaky_peek.analysis.conversations import conversations
from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.moments import Moments, saved_in
from peaky_peek.analysis.restorable import lost
from peaky_peek.encoding import encode
from peaky_peek.events import Checkpoint, Event, ToolCall, ToolResult
from peaky_peek.steps import steps
from peaky_peek.store import dtypes
from peaky_peek.store.bulk import without_collection
from peaky_peek.store.columns import MISSING
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.store.database import Database

_IRREVERSIBLE = ("send", "pay", "delete", "book")
_AGAIN = 0.5  # of what a restart saves is left for each such action that it would do again


def checkpoints(session: Any = None) -> pd.DataFrame:
    """Return one row per place from which a session can be restored, in order: see `pp.restore`.

    These are the checkpoints that were recorded and, as `implicit` ones, the conversation before each model call.

    `lost` names what was recorded as something else than it was: the `repr` of an object, a value that was cut, a
    secret that was redacted; `restorable` is whether there is nothing of that kind. `saves` is which share of the run a
    restart there is expected to save: how likely it is that what went wrong comes later, times the share of the run
    that came before (of its cost where all of it is known, else of its time, else of its events), and less by half for
    each action in between that cannot be undone and would be done again (`irreversible`, ids). It is NA where nothing
    went wrong. `rank` 1 saves the most; what saves nothing has none.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("shop") as ctx:
        ...     event = ctx.checkpoint({"cart": ["lamp"]}, label="cart is full")
        >>> checkpoints("shop")[["label", "implicit", "restorable"]].values.tolist()
        [['cart is full', False, True]]
    """
    db = store.current()
    db.ingest()
    with without_collection():
        rows = [row for session_id in resolve_many(session, db) for row in _rows(db, session_id)]
    return dtypes.frame("checkpoints", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["checkpoints"]})


@dataclass(slots=True)
class _Run:
    """What ranking needs to know of a session."""

    share: NDArray[np.float64]
    """Of the run that had been done after each event."""
    fault: NDArray[np.float64] | None
    """How likely it is that what went wrong happened at each event or later; None when nothing did."""
    last: int
    """Where it showed."""
    actions: list[tuple[int, str]]
    """What was done that cannot be undone."""

    def irreversible(self, position: int) -> list[str]:
        """Return the actions between a checkpoint and where the fault showed."""
        return [event_id for at, event_id in self.actions if position < at <= self.last]

    def saves(self, position: int) -> float | None:
        """Return what a restart there saves."""
        if self.fault is None:
            return None
        done = float(self.share[position - 1]) if position else 0.0
        return float(self.fault[position]) * done * _AGAIN ** len(self.irreversible(position))


def _rows(db: Database, session_id: str) -> list[dict[str, Any]]:
    moments = Moments(db, steps(db, session_id))
    run = _run(moments, session_id)
    sent = conversations(db, session_id)
    rows = []
    for position, event in sorted(moments.events("checkpoint", "llm_request"), key=lambda one: one[0]):
        if event.session_id != session_id:
            continue
        if isinstance(event, Checkpoint):
            saved = saved_in(event)
            found = [str(each) for name, value in saved.items() for each in lost(value, name)]
            about = {"label": event.label, "implicit": False, "messages": None, "state_size": len(encode(saved))}
        else:
            asked = sent[event.id]
            found = [str(each) for _, each in asked.lost]
            label = f"before {event.name}"
            about = {"label": label, "implicit": True, "messages": asked.messages, "state_size": asked.bytes}
            if not asked.messages:
                continue
        rows.append({**_place(event), **about, "lost": found, **_worth(moments, run, position)})
    return _ranked(rows)


def _place(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.id, "session_id": event.session_id, "parent_id": event.parent_id, "name": event.name,
        "agent": event.agent, "timestamp": event.timestamp,
    }  # fmt: skip


def _worth(moments: Moments, run: _Run, position: int) -> dict[str, Any]:
    before, first = moments.at(max(position - 1, 0)), moments.at(0)
    took = None
    if first.timestamp is not None and (now := moments.at(position).timestamp) is not None and now >= first.timestamp:
        took = now - first.timestamp
    return {
        "position": position, "cost_before_usd": before.cost_usd, "duration_before": took,
        "saves": run.saves(position), "irreversible": run.irreversible(position) if run.fault is not None else [],
    }  # fmt: skip


def _ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with `restorable` and `rank`: of those that save the same, what can be restored whole first."""
    for row in rows:
        row["restorable"], row["rank"] = not row["lost"], None
    known = [row for row in rows if row["saves"]]
    known.sort(key=lambda row: (-row["saves"], not row["restorable"], row["implicit"], -row["position"]))
    for rank, row in enumerate(known, 1):
        row["rank"] = rank
    return rows


def _run(moments: Moments, session_id: str) -> _Run:
    count = len(moments)
    found = diagnose(moments.db, session_id)
    if found.symptom is None or not count:
        return _Run(np.zeros(count), None, -1, [])
    last = moments.position_of(found.symptom.event.id)
    weight = np.zeros(count)
    for cause in found.causes:
        weight[moments.position_of(cause.event.id)] += cause.score
    if not weight.any():
        weight[last] = 1.0
    later = np.cumsum(weight[::-1])[::-1] / weight.sum()
    return _Run(_shares(moments), later, last, list(_irreversible(moments)))


def _shares(moments: Moments) -> NDArray[np.float64]:
    """Return how much of the run had been done after each event."""
    last = moments.at(len(moments) - 1)
    if last.cost_usd and not last.unpriced:
        return np.asarray(moments.cost.sums / moments.cost.sums[-1])
    when = moments.columns.numbers["timestamp"]
    if (when != MISSING).all() and (passed := np.maximum.accumulate(when) - when[0])[-1] > 0:
        return np.asarray(passed / passed[-1])
    return np.arange(1, len(moments) + 1) / len(moments)


def _irreversible(moments: Moments) -> Iterator[tuple[int, str]]:
    """Yield the calls that did something to the world that cannot be undone, with their positions."""
    done = {one.parent_id for _, one in moments.events("tool_result") if isinstance(one, ToolResult) and not one.failed}
    for position, call in moments.events("tool_call"):
        if isinstance(call, ToolCall) and call.id in done and effect_of(call) in _IRREVERSIBLE:
            yield position, call.id
