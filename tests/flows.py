"""Steps that any process can take, and the tree that was recorded of them, as text to compare."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import peaky_peek as pp

OPENERS = {"agent_start": "agent_end", "tool_call": "tool_result", "llm_request": "llm_response"}


@pp.tool
def step(name: str) -> str:
    return name


@pp.tool
async def astep(name: str) -> str:
    await asyncio.sleep(0)
    return name


def around(name: str, function: Callable[..., Any] = step) -> None:
    """Take a step inside a span."""
    with pp.trace_session(name):
        function(f"{name}'s step")


def die(name: str, death: str) -> None:
    """Take a step, and end the process at once."""
    step(name)
    if death == "exit":
        os._exit(0)
    os.kill(os.getpid(), getattr(signal, death))


def tree() -> str:
    """Return what was recorded in all sessions, as `root(a b(c))`; siblings in alphabetical order.

    Tool calls are called after their argument. Whatever was opened must have been closed exactly once.
    """
    frame = pp.events(pp.ALL, data=True)
    assert frame.event_id.is_unique
    closers = frame[frame.event_type.isin(list(OPENERS.values()))]
    below: dict[Any, list[str]] = {}
    names = {}
    for row in frame.itertuples():
        if row.event_type in OPENERS:
            given = row.data.get("arguments") or {}
            names[row.event_id] = given.get("name", row.name)
            parent = row.parent_id if isinstance(row.parent_id, str) else None
            below.setdefault(parent, []).append(row.event_id)
            closed = closers.event_type[closers.parent_id == row.event_id].tolist()
            assert closed == [OPENERS[row.event_type]], f"{names[row.event_id]} was closed by {closed}"
    assert below.keys() <= {None, *names}, "a parent is missing"

    def drawn(parent: Any) -> str:
        return " ".join(
            sorted(names[child] + (f"({inner})" if (inner := drawn(child)) else "") for child in below.get(parent, ()))
        )

    return drawn(None)
