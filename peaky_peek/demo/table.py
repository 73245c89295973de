"""The demo's sessions as a plain text table: one line a session, under the title of its story."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pandas as pd

COLUMNS = {
    "session": "session",
    "version": "version",
    "status": "status",
    "outcome": "outcome",
    "steps": "steps",
    "tool_calls": "tools",
    "errors": "failed",
    "suspects": "suspect",
    "tokens": "tokens",
    "cost_usd": "cost",
    "look": "look at",
}
"""Column of the frame to heading of the table."""
_NUMBERS = {"steps", "tool_calls", "errors", "suspects", "tokens", "cost_usd"}


def render(frame: pd.DataFrame) -> str:
    """The table, with a heading, in lines as wide as their content needs."""
    rows = [{name: _text(name, row[name]) for name in COLUMNS} for row in frame.to_dict("records")]
    widths = {name: max(len(row[name]) for row in [COLUMNS, *rows]) for name in COLUMNS}
    lines = ["  " + _line(COLUMNS, widths)]
    for title, group in groupby(zip(frame["story"], rows, strict=True), key=lambda pair: pair[0]):
        lines += ["", title, *("  " + _line(row, widths) for _, row in group)]
    return "\n".join(line.rstrip() for line in lines)


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    cells = (row[name].rjust(width) if name in _NUMBERS else row[name].ljust(width) for name, width in widths.items())
    return "  ".join(cells)


def _text(name: str, value: Any) -> str:
    if pd.isna(value):
        return "-" if name in _NUMBERS or name == "outcome" else ""
    if name == "cost_usd":
        return f"${value:.4f}"
    return f"{value:,}" if name in _NUMBERS else str(value)
