"""What it costs to get recordings back: frames, the graph, the steps that widgets draw."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import networkx as nx
import pandas as pd

import peaky_peek as pp
from peaky_peek import ids, store
from peaky_peek.events import AgentStart, Decision, Event, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.steps import steps
from peaky_peek.store import Database, schema
from tests.bench.table import Row, at_most, interleaved
from tests.recordings import Run

EVENTS = 100_000
SELECT = f"SELECT {', '.join(schema.EVENT_COLUMNS[:-1])} FROM events WHERE session_id = ? ORDER BY position, rowid"


def rows() -> Iterator[Row]:
    """Yield the contract's rows about reading one session, and the cost of `pp.sessions`."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.use(Path(folder) / "frames.db")
        for name, count, status in [
            ("closed", EVENTS, "completed"),
            ("open", EVENTS, "running"),
            ("tenth", EVENTS // 10, "completed"),
        ]:
            _record(db, name, count, status)
            pp.events(name)
        yield from _frames(db)
        yield _graph(db)
        tenth, whole = interleaved(partial(steps, db, "tenth"), partial(steps, db, "closed"), rounds=5)
        yield at_most("steps of 100,000 events / of 10,000", whole / tenth, 12)
        yield _sessions(Database(Path(folder) / "sessions.db"))
    store.use(None)


def _record(db: Database, name: str, count: int, status: str) -> None:
    """Write an agent that asks a model, calls a tool and decides, over and over."""
    run = Run(name)
    agent = run.add(AgentStart, "agent", agent="planner", id=ids.new_id())
    while len(run.events) < count:
        asked = _add(
            run, LLMRequest, "chat", agent, model="gpt-4.1", messages=[{"role": "user", "content": "weather?"}]
        )
        usage = {"input": 120, "output": 20}
        _add(
            run,
            LLMResponse,
            "chat",
            asked,
            model="gpt-4.1",
            content="Let me look.",
            usage=usage,
            cost_usd=0.001,
            duration_ms=800.0,
        )
        call = _add(run, ToolCall, "weather", agent, tool_name="weather", arguments={"city": "Oslo"})
        _add(
            run, ToolResult, "weather", call, tool_name="weather", result={"celsius": 21}, duration_ms=12.5, status="ok"
        )
        _add(run, Decision, "answer", agent, chosen_action="answer", confidence=0.8)
    del run.events[count:]
    run.save(db, status=status)


def _add(run: Run, cls: type[Event], name: str, parent: Event, **fields: object) -> Event:
    return run.add(cls, name, parent, id=ids.new_id(), agent="planner", **fields)


def _frames(db: Database) -> Iterator[Row]:
    for name, limit in (("closed", 0.3), ("open", 1.5)):
        read_sql = partial(pd.read_sql, SELECT, db.connection(), params=(name,))
        base, ours = interleaved(read_sql, partial(pp.events, name), rounds=5)
        yield at_most(f"pp.events() of 100,000 events, {name} session / pd.read_sql", ours / base, limit)


def _graph(db: Database) -> Row:
    def bare() -> nx.DiGraph:
        cursor = db.connection().execute(SELECT, ("closed",))
        names = [column[0] for column in cursor.description]
        events = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        graph = nx.DiGraph()
        graph.add_nodes_from(event["event_id"] for event in events)
        graph.add_edges_from((event["parent_id"], event["event_id"]) for event in events if event["parent_id"])
        return graph

    base, ours = interleaved(bare, partial(pp.graph, "closed"), rounds=5)
    return at_most("pp.graph() of 100,000 events / fetchall into dicts + bare networkx", ours / base, 1.3)


def _sessions(db: Database) -> Row:
    known = ("session_id", "position", "name", "status", "started_at", "ended_at", "output")
    values = [(ids.new_id(), n, "agent", "completed", n, n + 1000, '{"answer": "sunny"}') for n in range(5000)]
    with db.write() as connection:
        connection.executemany(
            f"INSERT INTO sessions ({', '.join(known)}) VALUES ({', '.join('?' * len(known))})", values
        )
    store.use(db.path)
    names = [name for name in pp.SCHEMA["sessions"] if name != "duration"]
    select = f"SELECT {', '.join(names)} FROM sessions ORDER BY position"
    base, ours = interleaved(lambda: db.connection().execute(select).fetchall(), pp.sessions, rounds=5)
    return at_most("pp.sessions() of 5,000 sessions / its SQL bare", ours / base, 10)
