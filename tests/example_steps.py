"""A small session with one of everything the tree shows, and the golden files of the wire contract made from it.

After a change of the contract on both sides: `python -m tests.example_steps`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd

from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    Checkpoint,
    Decision,
    Error,
    Event,
    EventType,
    LLMRequest,
    LLMResponse,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.widgets import _details, _outline, _previews, _text, _wire

GOLDEN = Path(__file__).parent / "fixtures" / "wire"
_EXPECTED = ("parent", "event_type", "name", "failed", "running", "derived")
_PACKED: dict[str, Any] = {
    "columns": {"row": [0, 70_000, -1], "share": [0.5, 0.25, 1.0], "shown": [True, False, True]},
    "texts": {"label": ["planner", "", "Prüfer 🙂"]},
}
_START = 1_700_000_000_000_000


def _event(cls: type[Event], number: int, name: str, parent: int | None = None, **fields: Any) -> Event:
    base = {"id": f"event-{number:02}", "session_id": "demo", "position": number, "name": name, "importance": 0.5}
    place = {"parent_id": None if parent is None else f"event-{parent:02}", "time_us": _START + number * 1_234_000}
    return cls(**{**base, **place, "agent": "refunds", **fields})


def example_events() -> list[list[Event]]:
    """The events of each step, in pre-order."""
    messages = [
        {"role": "system", "content": "You handle refunds."},
        {"role": "user", "content": "Refund order 7, please. <script>alert(1)</script>"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find_order", "arguments": '{"order": 7}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"order": 7, "paid": 12.5}'},
    ]
    state = {"step": 3, "limit": float("inf"), "id": 2**60, "key": b"\x00\x01", 7: "seven", "log": "line\n" * 2_000}
    return [
        [
            _event(AgentStart, 0, "refund_agent", input={"order": 7}, code="def refund_agent(order):\n    ..."),
            _event(AgentEnd, 14, "refund_agent", 0, output={"refunded": False}, status="error", duration_ms=61_700.0),
        ],
        [
            _event(
                LLMRequest,
                1,
                "gpt-4o-mini",
                0,
                provider="openai",
                model="gpt-4o-mini",
                messages=messages,
                stream=False,
                tools=[{"type": "function", "function": {"name": "find_order"}}],
                settings={"temperature": 0},
            ),
            _event(
                LLMResponse,
                2,
                "gpt-4o-mini",
                1,
                model="gpt-4o-mini",
                content="I refund it now.",
                thinking="The order is paid.",
                tool_calls=[{"id": "c2", "name": "refund", "arguments": {"order": 7, "amount": 125}}],
                finish_reason="tool_calls",
                usage={"input": 1204, "output": 56, "cache_read": 800, "reasoning": 20},
                cost_usd=0.00123,
                duration_ms=842.0,
            ),
        ],
        [
            _event(
                Decision,
                3,
                "refund",
                1,
                reasoning="The order is paid.",
                chosen_action="refund",
                alternatives=["find_order"],
                metadata={"derived": True},
            )
        ],
        [
            _event(ToolCall, 4, "refund", 0, tool_name="refund", arguments={"order": 7, "amount": 125}, call_id="c2"),
            _event(
                ToolResult,
                5,
                "refund",
                4,
                tool_name="refund",
                error="ValueError: more than was paid\x1b[31m!\x1b[0m",
                call_id="c2",
                duration_ms=0.42,
                importance=0.9,
            ),
        ],
        [
            _event(ToolCall, 6, "find_order", 0, tool_name="find_order", arguments={"order": 7}),
            _event(ToolResult, 7, "find_order", 6, tool_name="find_order", result=[], duration_ms=12.0),
        ],
        [
            _event(
                SafetyCheck,
                8,
                "refund limit",
                0,
                policy_name="refund limit",
                outcome="pass",
                rationale="below the limit",
            )
        ],
        [_event(Checkpoint, 9, "before booking", 0, label="before booking", state=state)],
        [
            _event(
                Error,
                10,
                "ValueError",
                0,
                error_type="ValueError",
                error_message="amount \u202eis wrong\x00",
                stack_trace='Traceback (most recent call last):\n  File "agent.py", line 3\nValueError: wrong',
            )
        ],
        [_event(ToolCall, 11, "notify — Überweisung 退款", 0, tool_name="notify", arguments='{"to": "ann"}')],
    ]


def steps_frame(steps: list[list[Event]], **columns: list[Any]) -> pd.DataFrame:
    """The steps frame of these events; `columns` replaces what cannot be told from a pair of events alone."""
    row_of = {event.id: row for row, events in enumerate(steps) for event in events}
    rows = [_row(events, row_of) for events in steps]
    frame = pd.DataFrame(rows).assign(**columns)
    depths: list[int] = []
    for parent in frame["parent"]:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    frame["depth"] = pd.array(depths, dtype="int32")
    frame["event_type"] = pd.Categorical(frame["event_type"], categories=list(EventType))
    text = ["close_id", "agent", "suspect", "status"]
    return frame.astype(
        {"parent": "int32", "input_tokens": "Int64", "output_tokens": "Int64"} | dict.fromkeys(text, "str")
    )


def _row(events: list[Event], row_of: dict[str, int]) -> dict[str, Any]:
    opener, closer = events[0], events[-1]
    usage = getattr(closer, "usage", None) or {}
    failed = any(event.failed for event in events)
    return {
        "event_id": opener.id,
        "close_id": closer.id if closer is not opener else None,
        "parent": row_of.get(opener.parent_id or "", -1),
        "event_type": opener.event_type.value,
        "name": opener.name,
        "agent": opener.agent,
        "timestamp": pd.Timestamp(opener.timestamp),
        "duration_ms": closer.duration_ms if closer.duration_ms is not None else float("nan"),
        "cost_usd": getattr(closer, "cost_usd", None) or float("nan"),
        "input_tokens": usage.get("input"),
        "output_tokens": usage.get("output"),
        "importance": max(event.importance or 0.0 for event in events),
        "failed": failed,
        "suspect": next((event.suspect for event in events if event.suspect), None),
        "status": closer.status,
        "running": opener.event_type == "tool_call" and closer is opener,
        "derived": bool(opener.metadata.get("derived")),
        "family": "risk" if failed else opener.family,
    }


def golden() -> dict[str, Any]:
    """What each golden file holds."""
    events = example_events()
    steps = steps_frame(events)
    previews = [_previews.preview(step) for step in events]
    title = _outline.title("refund_agent", "failed", 61_700.0, steps)
    columns, packed = _wire.columns(steps)
    mask, bits = _wire.mask(steps["failed"].to_numpy(), "failed")
    packed_message, packed_buffers = _wire.packed(
        "lanes", {"zoom": 2}, _PACKED["columns"], _PACKED["texts"], {"type": "lanes"}
    )
    rows = _outline.shown_rows([], [], len(steps))
    durations = [None, 0, 0.042, 0.42, 9.96, 12, 842, 999.4, 999.5, 12_340, 59_949, 59_950, 192_000, 7_380_000]
    dollars = [None, 0, 0.0000004, 0.000042, 0.0001, 0.01234, 0.5, 0.99999, 1, 1.5, 1234.567]
    return {
        "vocabulary": _wire.vocabulary(),
        "columns": {
            "message": {**columns, "title": title},
            "buffers": _base64(packed),
            "expect": {name: steps[name].tolist() for name in _EXPECTED},
        },
        "mask": {"message": mask, "buffers": _base64(bits), "expect": steps["failed"].tolist()},
        "packed": {"message": packed_message, "buffers": _base64(packed_buffers), "expect": _PACKED},
        "previews": {"type": "previews", "start": 0, "texts": previews},
        "details": [
            _details.details(row, step, of_step)
            for row, (step, of_step) in enumerate(zip(_outline.known(steps, range(len(steps))), events, strict=True))
        ],
        "title": title,
        "outline": _outline.outline(steps, rows, previews),
        "formats": {
            "duration": [[ms, _text.duration(ms)] for ms in durations],
            "cost": [[usd, _text.cost(usd)] for usd in dollars],
            "count": [[n, _text.count(n, "step")] for n in (0, 1, 2, 1_204, 100_000)],
        },
    }


def _base64(buffers: list[bytes]) -> list[str]:
    return [base64.b64encode(buffer).decode() for buffer in buffers]


def as_text(content: Any) -> str:
    """The text of a golden file."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, content in golden().items():
        (GOLDEN / f"{name}.json").write_text(as_text(content))
