"""What survives the death of processes, and what a lock held by somebody else costs."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import peaky_peek as pp
from peaky_peek.store import Database
from tests.bench.bench_record import RESULT
from tests.bench.table import Row, at_least, at_most
from tests.soak.soak_kill import MANY_SEGMENTS, ONE_SEGMENT, run_and_kill, together


def rows() -> Iterator[Row]:
    """Yield the contract's rows about durability."""
    with tempfile.TemporaryDirectory() as folder:
        yield _under_a_foreign_lock(Path(folder))
        yield _eight_processes(Path(folder))
        yield _survival(Path(folder))


def _under_a_foreign_lock(folder: Path) -> Row:
    pp.init(db=folder / "locked.db")
    seconds = 10.0

    def p99(ctx: pp.TraceContext) -> float:
        times, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.perf_counter_ns()
            ctx.record_tool_result("search", RESULT)
            times.append(time.perf_counter_ns() - start)
            time.sleep(0.001)
        return sorted(times)[int(len(times) * 0.99)]

    with pp.trace_session("locked") as ctx:
        free = p99(ctx)
        other = sqlite3.connect(folder / "locked.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held = p99(ctx)
        other.execute("ROLLBACK")
        other.close()
    pp.uninstall()
    return at_most(f"p99 of recording under a foreign write lock ({seconds:g} s) / without", held / free, 1.5)


def _eight_processes(folder: Path) -> Row:
    """Events a second until they are committed; `together` checks that none is lost and none doubled."""
    events = 16_000

    def rate(processes: int, number: int) -> float:
        database = Database(folder / f"{processes}-{number}.db")
        took = together(database, processes, events // processes)
        database.close()
        return events / took

    one, eight = (
        max(rates) for rates in zip(*((rate(1, number), rate(8, number)) for number in range(3)), strict=True)
    )
    what = f"8 processes on one store, {events:,} events, none lost or doubled / the rate of one"
    return at_least(what, eight / one, 0.5, note=f" ({eight:,.0f}/s)")


def _survival(folder: Path) -> Row:
    kills = int(os.environ.get("PEAKY_PEEK_BENCH_KILLS", "300"))
    lost = doubled = acknowledged = 0
    moments = random.Random(7)
    for number in range(kills):
        database = Database(folder / "killed.db")
        pace = "flat out" if number % 2 else "paced"
        last = run_and_kill(database, pace, moments.choice((ONE_SEGMENT, MANY_SEGMENTS)), moments.uniform(0, 0.4))
        database.ingest()
        query = (
            "SELECT payload ->> 'result' FROM events WHERE event_type = 'tool_result'"
            " AND session_id = (SELECT session_id FROM sessions ORDER BY position DESC LIMIT 1) ORDER BY position"
        )
        found = [row[0] for row in database.connection().execute(query)]
        database.close()
        acknowledged += last + 1
        lost += len(set(range(last + 1)) - set(found))
        doubled += len(found) - len(set(found))
    what = f"events lost or doubled after {kills} SIGKILLs ({acknowledged:,} recorded)"
    return at_most(what, lost + doubled, 0, unit="")
