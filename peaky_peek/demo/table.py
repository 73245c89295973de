"""How the demo's sessions ended: as a frame, and as lines of text under the title of each story."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pandas as pd

from peaky_peek.demo.recording import REAL_KEY, TAG
from peaky_peek.demo.stories import STORIES
from peaky_peek.frames import sessions
from peaky_peek.steps import steps
from peaky_peek.store import Database

TITLES = {story.key: story.title for story in STORIES} | {REAL_KEY: "four recorded runs of one tau-bench task"}
LOOK = {story.session: story.look for story in STORIES} | {
    "return a tablet": "it never opens the order with the other tablet"
}
HEADINGS = {
    "session": "session",
    "version": "version",
    "status": "status",
    "outcome": "outcome",
    "steps": "steps",
    "tool_calls": "tools",
    "errors": "failures",
    "suspects": "suspects",
    "tokens": "tokens",
    "cost_usd": "cost",
    "look": "look at",
}
_NUMBERS = {"steps", "tool_calls", "errors", "suspects", "tokens", "cost_usd"}


def frame(db: Database) -> pd.DataFrame:
    """One row per demo session, in the order of the stories: what happened, how it ended and where to look first."""
    found = sessions(f"tag:{TAG}")
    is_newest = ~found["name"].duplicated(keep="last")
    return pd.DataFrame(
        {
            "story": [next(TITLES[tag] for tag in tags if tag in TITLES) for tags in found["tags"]],
            "session": found["name"],
            "version": found["version"],
            "status": found["status"],
            "outcome": found["outcome"],
            "steps": [len(steps(db, session_id)) for session_id in found["session_id"]],
            "tool_calls": found["tool_calls"],
            "errors": found["errors"],
            "suspects": found["suspects"],
            "tokens": found["input_tokens"] + found["output_tokens"],
            "cost_usd": found["cost_usd"],
            "look": found["name"].map(LOOK).where(is_newest).fillna(found["note"]),
        }
    )


def text(rows: pd.DataFrame) -> str:
    """The frame as aligned lines, as wide as their content needs."""
    cells = [{name: _cell(name, row[name]) for name in HEADINGS} for row in rows.to_dict("records")]
    widths = {name: max(len(row[name]) for row in [HEADINGS, *cells]) for name in HEADINGS}
    lines = [_line(HEADINGS, widths)]
    for title, group in groupby(zip(rows["story"], cells, strict=True), key=lambda pair: pair[0]):
        lines += ["", title, *(_line(row, widths) for _, row in group)]
    return "\n".join(lines)


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    cells = (row[name].rjust(width) if name in _NUMBERS else row[name].ljust(width) for name, width in widths.items())
    return ("  " + "  ".join(cells)).rstrip()


def _cell(name: str, value: Any) -> str:
    if pd.isna(value):
        return "-" if name in _NUMBERS else ""
    if name == "cost_usd":
        return f"${value:.4f}"
    return f"{value:,}" if name in _NUMBERS else str(value)
