"""The decision tree of a session as text: one line a step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek.cli.layout import fit, left, right
from peaky_peek.widgets import _text
from peaky_peek.widgets._recording import Recording
from peaky_peek.widgets._wire import ICONS

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_NAME, _TIME, _COST = 80, 9, 10
_DEEPEST = 60
"""Places that the lines of the tree may take at the left."""
_BATCH = 500


def lines(db: Database, ref: Any) -> Iterator[str]:
    """Yield a headline and a line for each step, as wide as the terminal; `ref` is a session reference."""
    recording = Recording(db, ref)
    title = recording.title()
    if title["note"]:
        yield title["note"]
        return
    yield f"{title['name']}  {' · '.join([title['status'], *title['facts']])}"
    room = max(shutil.get_terminal_size((120, 24)).columns, 60) - _TIME - _COST - 2
    branches = _branches(recording.steps["parent"].tolist())
    for start in range(0, len(recording), _BATCH):
        rows = range(len(recording))[start : start + _BATCH]
        steps = recording.steps.iloc[start : rows.stop].to_dict("records")
        for branch, step, preview in zip(branches[start : rows.stop], steps, recording.previews(rows), strict=True):
            name = _text.one_line(str(step["name"]), _NAME)
            text = fit(f"{_mark(step)} {branch}{ICONS[step['family']]} {name}  {preview}".rstrip(), room)
            cells = f"{left(text, room)} {right(_text.duration(step['duration_ms']), _TIME)}"
            yield f"{cells} {right(_text.cost(step['cost_usd']), _COST)}".rstrip()


def _mark(step: dict[Any, Any]) -> str:
    """Return what a step shows at the very left: failed, suspect or running."""
    if step["failed"]:
        return "✕"
    return "?" if isinstance(step["suspect"], str) else "…" if step["running"] else " "


def _branches(parents: list[int]) -> list[str]:
    """Return for each step of a tree in pre-order the lines that lead to it."""
    last_child = {parent: row for row, parent in enumerate(parents)}
    before: list[str] = []
    lines = []
    for row, parent in enumerate(parents):
        is_last = last_child[parent] == row
        lines.append("" if parent < 0 else before[parent] + ("└─ " if is_last else "├─ "))
        before.append("" if parent < 0 else (before[parent] + ("   " if is_last else "│  "))[:_DEEPEST])
    return lines
