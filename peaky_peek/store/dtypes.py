"""The columns and dtypes of the frames, and how recorded values become such columns.

Like `columns`, only what reads the store imports this module.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.encoding import as_text
from peaky_peek.store.columns import EVENT_TYPES, MISSING
from peaky_peek.vocabulary import SESSION_STATUSES, SEVERITIES, STATUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Schema(dict[str, dict[str, Any]]):
    """The dtype of each column of each frame: `pp.SCHEMA["events"]["cost_usd"]`. `version` grows when one changes."""

    version = 1


EVENT_TYPE = pd.CategoricalDtype(EVENT_TYPES)
STATUS = pd.CategoricalDtype(list(STATUSES))
SEVERITY = pd.CategoricalDtype(list(SEVERITIES), ordered=True)
TREND = pd.CategoricalDtype(["new", "rising", "steady", "falling"])
FAILURE_KIND = pd.CategoricalDtype(["agent", "infrastructure"])
MARK = pd.CategoricalDtype(["failure", "suspect", "breakpoint", "checkpoint", "drift", "decision", "important"])
SESSION_STATUS = pd.CategoricalDtype(list(SESSION_STATUSES))
TIME = "datetime64[us, UTC]"
DURATION = "timedelta64[us]"
_PLACE = {"event_id": "str", "session_id": "str", "parent_id": "str", "name": "str", "agent": "str", "timestamp": TIME}

SCHEMA = Schema(
    sessions={
        "session_id": "str",
        "name": "str",
        "framework": "str",
        "status": SESSION_STATUS,
        "started_at": TIME,
        "ended_at": TIME,
        "duration": DURATION,
        **dict.fromkeys("events llm_calls tool_calls errors suspects input_tokens output_tokens".split(), "Int64"),
        "cost_usd": "Float64",
        "agents": "object",
        **dict.fromkeys("task version".split(), "str"),
        **dict.fromkeys("tags input output".split(), "object"),
        "outcome": "str",
        "score": "Float64",
        **dict.fromkeys("note parent_session_id root_session_id thread notebook cell code_hash".split(), "str"),
        **dict.fromkeys("git_commit forked_from".split(), "str"),
        "replay_value": "Float64",
    },
    events={
        "event_id": "str",
        "session_id": "str",
        "seq": "Int64",
        "parent_id": "str",
        "event_type": EVENT_TYPE,
        "name": "str",
        "agent": "str",
        "timestamp": TIME,
        "duration": DURATION,
        "status": STATUS,
        "importance": "Float64",
        "failed": "boolean",
        **dict.fromkeys("suspect model tool_name".split(), "str"),
        **dict.fromkeys("input_tokens output_tokens".split(), "Int64"),
        "cost_usd": "Float64",
        "error_type": "str",
        "data": "object",
    },
    llm_calls={
        **_PLACE,
        "response_id": "str",
        "duration": DURATION,
        "status": STATUS,
        "failed": "boolean",
        **dict.fromkeys("suspect provider model finish_reason".split(), "str"),
        **dict.fromkeys("input_tokens output_tokens".split(), "Int64"),
        **dict.fromkeys("cost_usd time_to_first_token_ms".split(), "Float64"),
        **dict.fromkeys("error_type error".split(), "str"),
        **dict.fromkeys("messages tools settings content thinking tool_calls usage".split(), "object"),
    },
    tool_calls={
        **_PLACE,
        "result_id": "str",
        **dict.fromkeys("tool_name server".split(), "str"),
        **dict.fromkeys("arguments result".split(), "object"),
        "error": "str",
        "status": STATUS,
        "duration": DURATION,
        "failed": "boolean",
        **dict.fromkeys("suspect call_id llm_call_id".split(), "str"),
    },
    clusters={
        **dict.fromkeys("cluster_id name".split(), "str"),
        "kind": FAILURE_KIND,
        "severity": SEVERITY,
        **dict.fromkeys("size sessions".split(), "Int64"),
        "trend": TREND,
        **dict.fromkeys("first_seen last_seen".split(), TIME),
        **dict.fromkeys("error_type place template why representative".split(), "str"),
        **dict.fromkeys("history event_ids session_ids".split(), "object"),
    },
    checkpoints={
        **_PLACE,
        "label": "str",
        "implicit": "boolean",
        **dict.fromkeys("position state_size messages".split(), "Int64"),
        "restorable": "boolean",
        "lost": "object",
        "cost_before_usd": "Float64",
        "duration_before": DURATION,
        "saves": "Float64",
        "rank": "Int64",
        "irreversible": "object",
    },
    decisions={
        **_PLACE,
        "derived": "boolean",
        "chosen_action": "object",
        "reasoning": "str",
        "confidence": "Float64",
        **dict.fromkeys("alternatives evidence evidence_event_ids".split(), "object"),
    },
    alerts={
        **_PLACE,
        **dict.fromkeys("alert_type severity signal".split(), "str"),
        "failed": "boolean",
        "recorded": "boolean",
        "related_event_ids": "object",
    },
    failures={
        **_PLACE,
        "event_type": EVENT_TYPE,
        **dict.fromkeys("tool_name error_type message".split(), "str"),
        "severity": SEVERITY,
        "kind": FAILURE_KIND,
        **dict.fromkeys("place template fingerprint root_id".split(), "str"),
        "is_root": "boolean",
    },
    lint={
        **dict.fromkeys("event_id session_id".split(), "str"),
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name problem where code hint".split(), "str"),
    },
    causes={
        "rank": "Int64",
        "event_id": "str",
        **dict.fromkeys("seq message_index".split(), "Int64"),
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name agent mechanism".split(), "str"),
        "score": "Float64",
        **dict.fromkeys("confidence against next_step symptom_id".split(), "str"),
        **dict.fromkeys("because path".split(), "object"),
    },
    edges={**dict.fromkeys("source target kind".split(), "str"), "weight": "Float64", "evidence": "str"},
    chain={
        "order": "Int64",
        "event_id": "str",
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name kind".split(), "str"),
        "weight": "Float64",
        "evidence": "str",
    },
    dialogue={
        **dict.fromkeys("event_id session_id agent".split(), "str"),
        "timestamp": TIME,
        **dict.fromkeys("role speaker".split(), "str"),
        "turn_index": "Int64",
        "text": "str",
        "output_tokens": "Int64",
        **dict.fromkeys("responsiveness non_repetition".split(), "Float64"),
        "failed": "boolean",
        "suspect": "str",
    },
    comparison={"measure": "str", **dict.fromkeys("a b delta".split(), "Float64"), "meaning": "str"},
    diff={
        "op": pd.CategoricalDtype(["=", "~", "+", "-", "move"]),
        **dict.fromkeys("a_step b_step".split(), "Int64"),
        **dict.fromkeys("a_id b_id".split(), "str"),
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name agent".split(), "str"),
        "similarity": "Float64",
        "diverges": "boolean",
        **dict.fromkeys("changed note".split(), "str"),
    },
    flow={
        **dict.fromkeys("source target source_name target_name".split(), "str"),
        **dict.fromkeys("runs a b".split(), "Int64"),
        **dict.fromkeys("share share_a share_b".split(), "Float64"),
        "failed": "Int64",
        "failure_rate": "Float64",
        "session_ids": "object",
    },
    handoffs={
        **dict.fromkeys("event_id session_id".split(), "str"),
        "timestamp": TIME,
        **dict.fromkeys("from_agent to_agent".split(), "str"),
        "kind": pd.CategoricalDtype(["handoff", "passes on", "calls", "turn"]),
        "content": "object",
        "weight": "Float64",
    },
    safety={
        **dict.fromkeys("event_id session_id agent".split(), "str"),
        "timestamp": TIME,
        "action": "str",
        "effect": pd.CategoricalDtype(["send", "pay", "delete", "book", "write", "execute", "read"]),
        "arguments": "object",
        "policy": "str",
        "check": pd.CategoricalDtype(["pass", "warn", "fail", "block"]),
        "risk": "str",
        "outcome": pd.CategoricalDtype(["done", "failed", "denied", "not called", "open"]),
        **dict.fromkeys("block refusal violation executed_after after".split(), "str"),
        "verdict": pd.CategoricalDtype(["guarded", "unchecked", "refused", "bypassed", "violated"]),
        "evidence_event_ids": "object",
    },
    search={
        **dict.fromkeys("event_id session_id session".split(), "str"),
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name agent".split(), "str"),
        "timestamp": TIME,
        "status": STATUS,
        "failed": "boolean",
        **dict.fromkeys("suspect model tool_name error_type snippet".split(), "str"),
    },
    drift={
        **dict.fromkeys("event_id original_event_id".split(), "str"),
        "event_type": EVENT_TYPE,
        "name": "str",
        "severity": SEVERITY,
        "description": "str",
        **dict.fromkeys("original_value restored_value".split(), "object"),
    },
    markers={
        "position": "Int64",
        "event_id": "str",
        "event_type": EVENT_TYPE,
        **dict.fromkeys("name agent".split(), "str"),
        "importance": "Float64",
        "mark": MARK,
    },
    segments={"start": "Int64", "stop": "Int64", "dull": "boolean", "events": "Int64", "summary": "str"},
    messages={**_PLACE, "role": "str", "content": "object", "tool_calls": "object", "tool_call_id": "str"},
)


def frame(kind: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame of `SCHEMA` from its columns: each a list of what callers gave, or an array that is ready."""
    dtypes = SCHEMA[kind]
    return pd.DataFrame({name: series(columns[name], dtypes[name]) for name in dtypes if name in columns})


def series(values: Any, dtype: Any) -> pd.Series[Any]:
    """Return values as a column. What the dtype cannot hold is unknown: callers may have recorded anything."""
    if isinstance(values, list):
        as_dtype = _READ_AS.get(str(dtype))
        if isinstance(dtype, pd.CategoricalDtype):
            values = [value if isinstance(value, str) and value in dtype.categories else None for value in values]
        elif as_dtype is not None:
            values = [None if value is None else as_dtype(value) for value in values]
    column: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return column


def span(ms: float | None) -> dt.timedelta | None:
    """Return milliseconds as a duration, None for what is none."""
    return dt.timedelta(milliseconds=ms) if ms is not None and abs(ms) < _LONGEST_MS else None


def texts(values: NDArray[np.object_]) -> pd.Series[str]:
    """Return texts, None where unknown, as a column."""
    return pd.Series(values, dtype="str")


def categories(codes: NDArray[np.integer[Any]], dtype: pd.CategoricalDtype[Any]) -> pd.Categorical[Any]:
    """Return codes, -1 where unknown, as a column."""
    return pd.Categorical.from_codes(codes, dtype=dtype)


def integers(values: NDArray[np.int64]) -> pd.arrays.IntegerArray:
    """Return integers as a nullable column."""
    return pd.arrays.IntegerArray(values, values == MISSING)


def floats(values: NDArray[np.float64]) -> pd.arrays.FloatingArray:
    """Return floats as a nullable column."""
    return pd.arrays.FloatingArray(values, np.isnan(values))


def booleans(values: NDArray[np.bool_]) -> pd.arrays.BooleanArray:
    """Return bools, none of them unknown, as a nullable column."""
    return pd.arrays.BooleanArray(values, np.zeros(len(values), bool))


def times(microseconds: NDArray[np.int64]) -> pd.DatetimeIndex:
    """Return microseconds since the epoch as times."""
    return pd.DatetimeIndex(microseconds.view("M8[us]")).tz_localize("UTC")


def spans(ms: NDArray[np.float64]) -> pd.TimedeltaIndex:
    """Return milliseconds as durations."""
    is_known = np.abs(ms) < _LONGEST_MS
    microseconds = np.full(len(ms), MISSING)
    microseconds[is_known] = np.rint(ms[is_known] * 1000)
    return pd.TimedeltaIndex(microseconds.view("m8[us]"))


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < 1 << 63 else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, float) else _integer(value)


_LONGEST_MS = 1e13  # 300 years: what is longer was no duration
_READ_AS: dict[str, Callable[[Any], Any]] = {"str": as_text, "Int64": _integer, "Float64": _number}
