"""A session in at most 40 rows and one line of facts: what viewers show when no kernel answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peaky_peek.widgets import _text

if TYPE_CHECKING:
    import pandas as pd

ROWS = 40
_LABEL, _PREVIEW, _OUTCOME = 80, 60, 20


def shown_rows(failed: Iterable[int], suspect: Iterable[int], total: int) -> list[int]:
    """Return the rows worth one of the 40 lines, in order: all, or the first, the failed, the suspect, then the others.

    A line is kept for each gap between them, so rows and gaps together are at most 40.
    """
    if total <= ROWS:
        return list(range(total))
    chosen: set[int] = set()
    for row in itertools.chain([0], failed, suspect, range(ROWS)):
        if _lines(chosen | {row}, total) <= ROWS:
            chosen.add(row)
        if len(chosen) >= ROWS - 1:
            break
    return sorted(chosen)


def _lines(rows: set[int], total: int) -> int:
    """Return how many lines rows take, gaps included."""
    edges = [-1, *sorted(rows), total]
    return len(rows) + sum(after > before + 1 for before, after in itertools.pairwise(edges))


def outline(steps: pd.DataFrame, rows: list[int], previews: list[str]) -> list[dict[str, Any]]:
    """Return the chosen rows of a frame of steps as ready text, and `{"gap": n, "failed": m}` for what is left out."""
    failed = steps["failed"].to_numpy(bool, na_value=False)
    lines: list[dict[str, Any]] = []
    before = -1
    for row, step, preview in zip([*rows, len(steps)], [*known(steps, rows), None], [*previews, ""], strict=True):
        if row > before + 1:
            lines.append({"gap": row - before - 1, "failed": int(failed[before + 1 : row].sum())})
        if step is not None:
            lines.append(_line(step, preview))
        before = row
    return lines


def known(steps: pd.DataFrame, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows of a frame as plain values, unknown ones as None."""
    chosen = steps.iloc[list(rows)].astype(object)
    return [
        {str(name): value for name, value in row.items()}
        for row in chosen.where(chosen.notna(), None).to_dict("records")
    ]


def _line(step: dict[str, Any], preview: str) -> dict[str, Any]:
    return {
        "depth": int(step["depth"]),
        "family": str(step["family"]),
        "type": str(step["event_type"]),
        "label": _text.one_line(str(step["name"] or step["event_type"]), _LABEL),
        "text": _text.one_line(preview, _PREVIEW),
        "duration": _text.duration(step["duration_ms"]),
        "cost": _text.cost(step["cost_usd"]),
        "failed": bool(step["failed"]),
        "suspect": _text.one_line(step["suspect"] or ""),
    }


@dataclass(slots=True)
class Counts:
    """How many of each the steps of a session are."""

    steps: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    failed: int = 0
    suspect: int = 0
    tokens: int = 0
    cost: str = ""
    """What they cost, as people say it."""


def counts(steps: pd.DataFrame) -> Counts:
    """Return what a headline says of a frame of steps."""
    kinds = steps["event_type"].astype(str).value_counts()
    return Counts(
        steps=len(steps),
        llm_calls=int(kinds.get("llm_request", 0)),
        tool_calls=int(kinds.get("tool_call", 0)),
        failed=int(steps["failed"].sum()),
        suspect=int(steps["suspect"].notna().sum()),
        tokens=int(steps["input_tokens"].sum() + steps["output_tokens"].sum()),
        cost=_total_cost(steps),
    )


def title(
    name: str, status: str, duration_ms: float | None, steps: pd.DataFrame | Counts, outcome: str | None = None
) -> dict[str, Any]:  # fmt: skip
    """Return the headline of a session as ready text: its name, its status, and the facts that are known."""
    known = steps if isinstance(steps, Counts) else counts(steps)
    facts = [
        f"outcome: {_text.one_line(outcome, _OUTCOME)}" if outcome else "",
        _text.count(known.steps, "step"),
        _text.count(known.llm_calls, "LLM call") if known.llm_calls else "",
        _text.count(known.tool_calls, "tool call") if known.tool_calls else "",
        f"{known.failed:,} failed" if known.failed else "",
        f"{known.suspect:,} suspect" if known.suspect else "",
        _text.duration(duration_ms),
        _text.count(known.tokens, "token") if known.tokens else "",
        known.cost,
    ]
    said = [fact for fact in facts if fact]
    about = {"name": _text.one_line(name, _LABEL), "status": status, "facts": said, "note": ""}
    return {**about, "outcome": _text.one_line(outcome or "", _OUTCOME)}


def _total_cost(steps: pd.DataFrame) -> str:
    """Return what is known of the cost; a call without a price makes it a lower bound."""
    costs = steps["cost_usd"]
    if not costs.notna().any():
        return ""
    unpriced = (costs.isna() & steps["event_type"].isin(["llm_request"])).any()
    return f"{'at least ' if unpriced else ''}{_text.cost(float(costs.sum()))}"
