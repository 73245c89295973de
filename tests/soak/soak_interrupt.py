"""An agent is interrupted at any moment, inside the recorder too: its session is whole, and its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peaky_peek import encoding
from peaky_peek.store import Database
from tests.soak import Scenario

RUNS = 60

AGENT = """
import asyncio, os, random, signal, sys, threading, time
import peaky_peek as pp

chance = random.Random(int(sys.argv[1]))
done = []


@pp.tool
def look(run, step):
    return [run] * 3


@pp.tool
def pages(run, step):
    yield run
    yield from look(run, step)


@pp.trace
def part(run, step):
    with pp.trace_session("span") as ctx:
        ctx.record_decision("because", chosen_action="look", data={"run": run})
        return look(run, step)


@pp.trace
def agent(run, steps):
    for step in range(steps):
        look(run, step)
        list(pages(run, step))
        part(run, step)
        with pp.trace_session("sub", new_session=step % 3 == 0) as ctx:
            ctx.record_tool_call("look", {"run": run})
        done.append(step)


@pp.trace
async def async_agent(run, steps):
    for step in range(steps):
        await asyncio.gather(asyncio.to_thread(look, run, step), nothing(run, step))
        done.append(step)


async def armed(timer, run, steps):
    timer.start()  # asyncio itself does not survive an interrupt while its loop is made
    await async_agent(run, steps)


@pp.tool
async def nothing(run, step):
    await asyncio.sleep(0)


pp.on_event(lambda event: None)
look(-1, -1)
for run in range(int(sys.argv[2])):
    done.clear()
    is_whole = False
    after = chance.choice((0.0005, 0.005, 0.02)) * chance.random()
    timer = threading.Timer(after, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    is_async = chance.random() < 0.3
    try:
        if is_async:
            asyncio.run(armed(timer, run, chance.randrange(1, 8)))
        else:
            timer.start()
            agent(run, chance.randrange(1, 8))
        is_whole = True
        timer.join()
    except KeyboardInterrupt:
        pass
    except RuntimeError:  # asyncio, when its loop is interrupted while it is closed
        if not is_async:
            raise
    timer.join()
    os.write(1, f"{run} {len(done)} {is_whole:d}\\n".encode())
    look(-1, run)
"""
"""Each run is interrupted once, at last when it has ended. Outside runs, `look` belongs to the script's own session."""


def interrupts(seed: int) -> None:
    """An agent is interrupted at random moments, and goes on to its next run."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "peek.db")
        ran = subprocess.run(
            [sys.executable, "-c", AGENT, str(seed), str(RUNS)],
            capture_output=True, text=True, check=False, env=os.environ | {"PEAKY_PEEK_DB": str(database.path)},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-4000:]
        assert "peaky_peek" not in ran.stderr, ran.stderr[-4000:]
        said = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
        database.ingest()
        _check(database, {run: (done, bool(is_whole)) for run, done, is_whole in said})
        database.close()


def _check(database: Database, said: dict[int, tuple[int, bool]]) -> None:
    rows = database.connection().execute("SELECT session_id, root_session_id, name, status FROM sessions").fetchall()
    assert {status for *_, status in rows} <= {"completed", "interrupted"}, rows
    roots: dict[int, list[tuple[str, int]]] = {}
    for session, root, name, status in rows:
        runs = {run for _, run in _events(database, session)}
        assert len(runs) <= 1, f"the session {name!r} holds events of the runs {sorted(runs)}"
        if session != root or not runs or runs == {-1}:
            assert session != root or name not in ("agent", "async_agent") or not runs
            continue
        types = [kind for kind, _ in _events(database, session)]
        assert name in ("agent", "async_agent"), (name, runs)
        roots.setdefault(runs.pop(), []).append((status, types.count("tool_call")))
    for run, (done, is_whole) in said.items():
        found = roots.pop(run, [])
        assert len(found) <= 1, f"run {run} is {len(found)} sessions"
        status, calls = found[0] if found else ("interrupted", 0)
        assert calls >= done, f"run {run} did {done} steps, and {calls} calls are recorded"
        assert status == "completed" or not is_whole, f"run {run} ended by itself, and is {status}"
    assert not roots


def _events(database: Database, session: str) -> Iterator[tuple[str, int]]:
    """The types of a session's events, and the run that each says it belongs to."""
    sql = "SELECT event_type, payload FROM events WHERE session_id = ? ORDER BY position, rowid"
    for kind, payload in database.connection().execute(sql, (session,)):
        said: dict[str, Any] = encoding.decode(payload)
        given = said.get("arguments") or said.get("data") or {}
        if "run" in given:
            yield kind, given["run"]


def scenarios() -> list[Scenario]:
    """The scenarios of this module."""
    return [Scenario("an agent is interrupted at any moment", interrupts)]
