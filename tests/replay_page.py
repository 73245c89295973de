"""A replay in a page of its own, of a session of any size: the real bundle, real columns, a kernel that is played."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis.stepping import Stepper
from peaky_peek.widgets import _moment, _wire
from tests import tree_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUND = ("llm_request", "llm_response", "decision", "tool_call", "tool_result")
CLOSES = {"llm_response": "llm_request", "tool_result": "tool_call"}


def session(n: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """A session of `n` events as agents make them, and the ids in order: calls and answers, tools, some at once."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [{"event_type": "agent_start", "name": "agent", "event_id": "e0", "close_id": None}]
    order = ["e0"]
    open_tools: list[int] = []
    inside = 0
    while len(order) < n:
        at = len(order)
        kind = ROUND[at % 5]
        if kind in CLOSES and open_tools:
            row = open_tools.pop(int(rng.integers(len(open_tools))))
            rows[row]["close_id"] = f"e{at}"
        else:
            opens = kind in CLOSES.values()
            kind = "agent_turn" if kind in CLOSES else kind
            rows.append({"event_type": kind, "event_id": f"e{at}", "parent": inside, "name": f"{kind}_{at % 40}"})
            if opens and rng.random() < 0.97:
                open_tools.append(len(rows) - 1)
            if opens and rng.random() < 0.1:
                inside = len(rows) - 1
        if rng.random() < 0.1:
            inside = 0
        order.append(f"e{at}")
    frame = tree_page.steps(rows).assign(
        failed=rng.random(len(rows)) < 0.002, importance=rng.beta(2, 4, len(rows)), agent="agent"
    )
    frame["suspect"] = pd.Series(np.where(rng.random(len(rows)) < 0.004, "empty", None), dtype="str")
    frame["close_id"] = pd.Series([row.get("close_id") for row in rows], dtype="str")
    frame["event_id"] = pd.Series([row["event_id"] for row in rows], dtype="str")
    called = frame["event_type"] == "llm_request"
    frame.loc[called, "cost_usd"] = rng.lognormal(-7, 1, int(called.sum()))
    return _in_preorder(frame), order


def extras(frame: pd.DataFrame, order: list[str], folded: int = 0) -> list[_wire.Message]:
    """What a replay sends beyond the steps; `folded` stretches of 40 events each."""
    moments: Any = SimpleNamespace(
        stepper=Stepper(frame, order),
        columns=SimpleNamespace(
            numbers={"timestamp": np.arange(len(order), dtype=np.int64) * 20_000},
            texts={"agent": np.where(np.arange(len(order)) // 500 % 2, "critic", "planner").astype(object)},
        ),
    )
    start = np.arange(folded, dtype=np.int32) * (len(order) // max(folded, 1))
    stretches = {"start": start, "stop": start + 40}
    return [
        _moment.events(moments),
        _wire.packed("stretches", {"mode": "full"}, stretches, {"said": ["as always"] * folded}),
        _wire.packed("breakpoints", {"list": []}, {"at": np.array([], np.int32)}),
    ]


def show(page: Page, frame: pd.DataFrame, sent: list[_wire.Message], folder: Path) -> None:
    """Show it, and wait until it is drawn."""
    path = folder / "replay.html"
    path.write_bytes(tree_page.html(frame, bundle="replay", extras=sent).encode())
    page.goto(path.as_uri())
    page.wait_for_function("window.tree && tree.__peek.firstPaintMs !== null && tree.querySelector('.pp-answered')")


def _in_preorder(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose rows come after their parents, as steps do: depth first."""
    children: dict[int, list[int]] = {}
    for row, parent in enumerate(frame["parent"].tolist()):
        children.setdefault(parent, []).append(row)
    order: list[int] = []
    stack = children.get(-1, [])[::-1]
    while stack:
        row = stack.pop()
        order.append(row)
        stack += children.get(row, [])[::-1]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ordered = frame.iloc[order].reset_index(drop=True)
    known = ordered["parent"].to_numpy()
    ordered["parent"] = np.where(known < 0, -1, place[known]).astype(np.int32)
    return ordered
