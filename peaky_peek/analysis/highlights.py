"""What is worth to stop at in a session, what is dull, and which events each way of replaying it shows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from peaky_peek.analysis.trace import read
from peaky_peek.store import dtypes
from peaky_peek.store.columns import EVENT_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.analysis.moments import Moments

    Mask = NDArray[np.bool_]

Mode = Literal["full", "focus", "failure", "highlights"]
MODES: tuple[Mode, ...] = ("full", "focus", "failure", "highlights")
"""The ways of replaying: all of it, one agent or step, failures with what led to them, what stands out."""

_IMPORTANT = 0.7
_DULL = 8  # events in a row; fewer are sooner looked at than opened
_CAUSES = 3  # of each event, the surest
_BACK = 4  # from a failure to its cause, to the cause of that
_NAMED = 3  # in the summary of a stretch
_CHECKPOINT, _DRIFT = EVENT_TYPES.index("checkpoint"), EVENT_TYPES.index("drift")


def standing_out(moments: Moments) -> Mask:
    """Return which events stand out: failures, suspects, checkpoints, breakpoints, drifts, and what is important.

    A decision that an agent recorded stands out; one that was read from an answer is as dull as the call it tells of.
    Of a step that stands out both ends do. So do the first and the last event.
    """
    found = _remarkable(moments)
    if len(found):
        found[[0, -1]] = True
    return _both_ends(moments, found)


def _remarkable(moments: Moments) -> Mask:
    numbers = moments.columns.numbers
    found = numbers["failed"] | pd.notna(moments.columns.texts["suspect"])
    found |= np.isin(numbers["event_type"], [_CHECKPOINT, _DRIFT])
    found |= (np.nan_to_num(numbers["importance"]) >= _IMPORTANT) & ~numbers["derived"]
    for kind in ("decision", "breakpoint"):
        at = moments.stepper.positions[kind]
        found[at] |= ~numbers["derived"][at]
    return found


def markers(moments: Moments, count: int = 200) -> pd.DataFrame:
    """Return what to mark on the line of time, the most important first: failures, then by importance.

    Args:
        moments: of the session.
        count: how many at most.

    Returns:
        One row per event: position, event_id, event_type, name, agent, importance, and mark: failure, suspect,
        breakpoint, checkpoint, drift, decision or important.
    """
    numbers, texts = moments.columns.numbers, moments.columns.texts
    importance = np.nan_to_num(numbers["importance"])
    mark = np.full(len(moments), None, object)
    is_important = (importance >= _IMPORTANT) & ~numbers["derived"]
    mark[is_important] = "important"
    mark[moments.stepper.positions["decision"]] = "decision"
    mark[numbers["derived"]] = None
    mark[numbers["event_type"] == _DRIFT] = "drift"
    mark[numbers["event_type"] == _CHECKPOINT] = "checkpoint"
    mark[moments.stepper.positions["breakpoint"]] = "breakpoint"
    mark[pd.notna(texts["suspect"])] = "suspect"
    mark[numbers["failed"]] = "failure"
    marked = np.flatnonzero(mark != None)  # noqa: E711 - of each element
    order = np.lexsort((marked, -importance[marked], ~numbers["failed"][marked]))[:count]
    chosen = marked[order]
    return dtypes.frame(
        "markers",
        {
            "position": dtypes.integers(chosen.astype(np.int64)),
            **{name: dtypes.texts(texts[name][chosen]) for name in ("event_id", "name", "agent")},
            "event_type": dtypes.categories(numbers["event_type"][chosen], dtypes.EVENT_TYPE),
            "importance": dtypes.floats(numbers["importance"][chosen]),
            "mark": pd.Categorical(mark[chosen], dtype=dtypes.MARK),
        },
    )


def segments(moments: Moments, at_least: int = _DULL) -> pd.DataFrame:
    """Return the session as stretches, one after the other: dull ones, which a replay passes over, and the rest.

    Where nothing stands out but the ends, nothing is dull either: passed over, all of it would be.

    Args:
        moments: of the session.
        at_least: how many events in a row must be dull to be a stretch of their own.

    Returns:
        One row per stretch: start and stop (positions, the stop excluded), dull, events, and of dull ones a summary:
        what was done there how often.
    """
    dull = ~standing_out(moments) & _remarkable(moments).any()
    edges = np.flatnonzero(np.diff(dull, prepend=False, append=False)).reshape(-1, 2)
    edges = edges[edges[:, 1] - edges[:, 0] >= at_least]
    bounds = [0, *edges.ravel().tolist(), len(moments)]
    rows = [(start, stop, index % 2 == 1) for index, (start, stop) in enumerate(pairwise(bounds)) if start < stop]
    columns: dict[str, Any] = {
        "start": [start for start, _, _ in rows],
        "stop": [stop for _, stop, _ in rows],
        "dull": [is_dull for _, _, is_dull in rows],
        "events": [stop - start for start, stop, _ in rows],
        "summary": [_summary(moments, start, stop) if is_dull else None for start, stop, is_dull in rows],
    }
    return dtypes.frame("segments", columns)


def shown(moments: Moments, mode: Mode = "full", *, agent: str | None = None, event_id: str | None = None) -> Mask:
    """Return which events a way of replaying stops at.

    Args:
        moments: of the session.
        mode: one of `MODES`.
        agent: for focus: the events of this agent.
        event_id: for focus: the step that this event belongs to, and all inside it.

    Raises:
        ValueError: for a mode that does not exist.
    """
    if mode == "full":
        return np.ones(len(moments), bool)
    if mode == "focus":
        return _focused(moments, agent, event_id)
    if mode == "failure":
        return _failing(moments)
    if mode == "highlights":
        return standing_out(moments)
    raise ValueError(f"There is no mode {mode!r}: the modes are {', '.join(MODES)}.")


def _focused(moments: Moments, agent: str | None, event_id: str | None) -> Mask:
    found = np.ones(len(moments), bool)
    if agent is not None:
        found &= moments.columns.texts["agent"] == agent
    if event_id is not None:
        row = moments.stepper.row_at(moments.position_of(event_id))
        depth = moments.steps["depth"].to_numpy()
        after = np.flatnonzero(depth[row + 1 :] <= depth[row])  # in pre-order what is inside a step follows it
        stop = row + 1 + int(after[0]) if len(after) else len(depth)
        found &= np.isin(moments.stepper.rows, np.arange(row, stop))
    return found


def _failing(moments: Moments) -> Mask:
    """Return the failures, what led to each, the surest first, and both ends of all these steps."""
    mask = np.zeros(len(moments), bool)
    failed = [moments.order[at] for at in np.flatnonzero(moments.columns.numbers["failed"])]
    if not failed:
        return mask
    trace = read(moments.db, moments.steps.attrs["session_ids"][0])
    last = [trace.row[event_id] for event_id in failed if event_id in trace.row]
    found = set(last)
    for _ in range(_BACK):
        surest = (sorted(trace.sources(row), key=lambda way: -way[2])[:_CAUSES] for row in last)
        last = [source for source in dict.fromkeys(way[0] for ways in surest for way in ways) if source not in found]
        found.update(last)
    mask[[at for row in found if (at := moments.position_of(trace.events[row].id, -1)) >= 0]] = True
    return _both_ends(moments, mask)


def _both_ends(moments: Moments, mask: Mask) -> Mask:
    """Return a mask in which both ends of a step are set if one of them is."""
    opens, closes = moments.stepper.opens, moments.stepper.closes
    paired = closes >= 0
    either = mask[opens[paired]] | mask[closes[paired]]
    mask = mask.copy()
    mask[opens[paired]] = mask[closes[paired]] = either
    return mask


def _summary(moments: Moments, start: int, stop: int) -> str:
    """Return what was done in a stretch, the most frequent first."""
    is_begin = moments.stepper.opens[moments.stepper.rows[start:stop]] == np.arange(start, stop)
    names = moments.columns.texts["name"][start:stop][is_begin].tolist()
    derived = moments.columns.numbers["derived"][start:stop][is_begin].tolist()
    counted = Counter(name for name, is_derived in zip(names, derived, strict=True) if name and not is_derived)
    told = [f"{count:,} x {name}" if count > 1 else name for name, count in counted.most_common(_NAMED)]
    left = len(counted) - _NAMED
    return ", ".join(told + [f"{left:,} more"] * (left > 0))
