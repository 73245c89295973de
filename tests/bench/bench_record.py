"""What recording costs the agent, and what survives the death of its process."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

import peaky_peek as pp
from tests.bench.table import Row, at_least, at_most, cpu, interleaved

RESULT: dict[str, Any] = {
    "call_id": "call_Ab3dEf6hIj9kLm2nOp5q",
    "hits": [
        {
            "id": f"3f2b8c1e-9d4a-7c21-8f00-a1b2c3d4e5f{number}",
            "url": f"https://api.example.com/v1/items?offset={number}&sort=asc",
            "title": "How to return an item that arrived damaged",
            "score": 0.75 + number / 16,
            "in_stock": number % 2 == 0,
            "tags": ["returns", "refunds"],
        }
        for number in range(4)
    ],
}
PAYLOAD = {"tool_name": "search", "result": RESULT}
ROUND = 10_000
WORDS = ("the ", "agent ", 'said "no" ', "because\n", "order #W12 ", "was ", "late, ", "café ", "refund ", "then ")


def rows() -> Iterator[Row]:
    """Yield the contract's rows about recording."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _cost(Path(folder))
        yield from _growth(Path(folder))
        yield _import()
        yield from _history(Path(folder))
        yield _throughput(Path(folder))


_kept: list[bytes] = []


def _floor() -> None:
    """The list keeps growing: memory that is used again and again would cost less than any recorder's can."""
    for _ in range(ROUND):
        _kept.append(orjson.dumps(PAYLOAD))  # noqa: PERF401 - what is measured


def _record(ctx: pp.TraceContext, count: int = ROUND) -> None:
    for _ in range(count):
        ctx.record_tool_result("search", RESULT)


def _cost(folder: Path) -> Iterator[Row]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    from opentelemetry.trace import StatusCode

    with (folder / "spans.jsonl").open("w") as out:
        provider = TracerProvider()
        exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("bench")

        def otel() -> None:
            """What the semantic conventions ask of a tool call; an attribute holds no nested value."""
            for _ in range(ROUND):
                with tracer.start_as_current_span("execute_tool search") as span:
                    span.set_attribute("gen_ai.operation.name", "execute_tool")
                    span.set_attribute("gen_ai.conversation.id", "01a203a6-bdf5-7e9b-aeca-00000db2664e")
                    span.set_attribute("gen_ai.agent.name", "cost")
                    span.set_attribute("gen_ai.tool.name", "search")
                    span.set_attribute("gen_ai.tool.call.id", RESULT["call_id"])
                    span.set_attribute("gen_ai.tool.call.result", json.dumps(RESULT))
                    span.set_status(StatusCode.OK)

        pp.init(db=folder / "cost.db")
        with pp.trace_session("cost") as ctx:
            _record(ctx)
            floor, record, peer = interleaved(_floor, lambda: _record(ctx), otel, rounds=5)
        provider.shutdown()
    size = len(orjson.dumps(PAYLOAD))
    per_event = f" ({record / ROUND * 1e6:.1f} us)"
    yield at_most(f"record an event of {size} B / orjson.dumps + list.append", record / floor, 4, note=per_event)
    yield at_most("the same / OpenTelemetry SDK, batch exporter to a file", record / peer, 0.25)


def _growth(folder: Path) -> Iterator[Row]:
    pp.init(db=folder / "growth.db")
    total = int(os.environ.get("PEAKY_PEEK_BENCH_EVENTS", "1000000"))

    def cost(ctx: pp.TraceContext) -> float:
        pp.store.current().ingest()  # or it would depend on how busy the writer is with what came before
        return min(cpu(lambda: _record(ctx, 1000)) for _ in range(7))

    with pp.trace_session("growth") as ctx:
        _record(ctx, 1000)
        early = cost(ctx)
        for _ in range(total // 10_000):
            _record(ctx, 10_000)
        late = cost(ctx)
    yield at_most(f"an event after {total:,} others / after 1,000", late / early, 1.2)


_FIRST_EVENT = """
import peaky_peek as pp
with pp.trace_session("first") as ctx:
    ctx.record_decision("because")
"""
_PEER = """
from opentelemetry.sdk.trace import TracerProvider
with TracerProvider().get_tracer("first").start_as_current_span("first"): pass
"""


def _import() -> Row:
    """CPU seconds of fresh interpreters, less those of an empty one; from compiled modules, as after a first run."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PEAKY_PEEK_DB": str(Path(folder) / "first.db")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def seconds(code: str) -> float:
            report = (
                "import resource as r, os; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime); os._exit(0)"
            )
            command = [sys.executable, "-c", f"{code}\n{report}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            return float(done.stdout.splitlines()[-1])

        _, *runs = [(seconds(""), seconds(_FIRST_EVENT), seconds(_PEER)) for _ in range(10)]
    empty, ours, peer = (min(values) for values in zip(*runs, strict=True))
    note = f" ({(ours - empty) * 1e3:.0f} ms)"
    return at_most("import through the first event / OpenTelemetry SDK", (ours - empty) / (peer - empty), 1, note=note)


def _history(folder: Path) -> Iterator[Row]:
    """A conversation that is sent again with every turn, through `record_llm_request`."""

    def turns(count: int, path: Path) -> tuple[int, int, float]:
        pp.init(db=path)
        messages: list[dict[str, Any]] = []
        raw, last = 0, []
        noise = random.Random(count)
        with pp.trace_session("chat") as ctx:
            for _ in range(count):
                for role, words in (("user", 80), ("assistant", 160)):
                    text = "".join(noise.choice(WORDS) for _ in range(words))
                    messages.append({"role": role, "content": text})
                raw += len(orjson.dumps(messages))
                now = [*messages]
                last.append(cpu(lambda now=now: ctx.record_llm_request("m", now)))
            pp.sessions()
        database = pp.store.current()
        database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        encoding = min(cpu(lambda: orjson.dumps(messages)) for _ in range(9))
        return path.stat().st_size, raw, sorted(last[-21:])[10] / encoding if last else 0.0

    empty, _, _ = turns(0, folder / "0.db")
    size, raw, _ = turns(50, folder / "50.db")
    yield at_most("50 resent turns on disk / their raw JSON (less an empty store)", (size - empty) / raw, 0.05)
    hundred, _, _ = turns(100, folder / "100.db")
    twice, _, cost = turns(200, folder / "200.db")
    yield at_most("bytes of 200 turns / of 100", (twice - empty) / (hundred - empty), 2.1)
    yield at_most("the 200th call / encoding its history", cost, 0.5)


def _throughput(folder: Path) -> Row:
    """Events a second until they are committed, against one `executemany` of encoded rows with the same pragmas."""
    count = 20_000

    def ours() -> float:
        path = folder / f"ours-{time.monotonic_ns()}.db"
        pp.init(db=path)
        start = time.perf_counter()
        with pp.trace_session("flood") as ctx:
            _record(ctx, count)
        pp.store.current().ingest()
        return time.perf_counter() - start

    def bare() -> float:
        connection = sqlite3.connect(folder / f"bare-{time.monotonic_ns()}.db", isolation_level=None)
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 16000")
        connection.execute("CREATE TABLE events (id TEXT, name TEXT, payload TEXT)")
        start = time.perf_counter()
        encoded = ((str(number), "search", orjson.dumps(PAYLOAD).decode()) for number in range(count))
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?)", encoded)
        connection.execute("COMMIT")
        seconds = time.perf_counter() - start
        connection.close()
        return seconds

    best_ours, best_bare = (min(times) for times in zip(*((ours(), bare()) for _ in range(3)), strict=True))
    note = f" ({count / best_ours:,.0f}/s)"
    return at_least("durable throughput / one executemany", best_bare / best_ours, 0.4, note=note)
