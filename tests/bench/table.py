"""What a benchmark reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

_WIDTH = 74


class Row(NamedTuple):
    """One line of the table: what was measured, what came out, what is promised, and whether that holds."""

    what: str
    measured: str
    limit: str
    ok: bool | None


def show(rows: Iterable[Row]) -> int:
    """Print rows as they come, and return how many limits were missed."""
    missed = 0
    for row in rows:
        mark = {True: "ok", False: "MISSED", None: ""}[row.ok]
        missed += row.ok is False
        print(f"{row.what:{_WIDTH}} {row.measured:>24} {row.limit:>14} {mark}".rstrip(), flush=True)
    return missed


def at_most(what: str, value: float, limit: float, unit: str = "x", note: str = "") -> Row:
    """Return the row of a figure that must not exceed its limit."""
    return Row(what, f"{value:.3g}{unit}{note}", f"<= {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "x", note: str = "") -> Row:
    """Return the row of a figure that must reach its limit."""
    return Row(what, f"{value:.3g}{unit}{note}", f">= {limit:g}{unit}", value >= limit)


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that the calling thread spends on `work`."""
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / 1e9


def interleaved(*works: Callable[[], object], rounds: int = 7) -> list[float]:
    """Return the least CPU seconds of each work, all of them taking turns."""
    return [min(times) for times in zip(*([cpu(work) for work in works] for _ in range(rounds)), strict=True)]
