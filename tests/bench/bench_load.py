"""Loading whole public collections of agent runs: nothing missing, and fast.

They are too large to ship: `PEAKY_PEEK_BENCH_DATA` names the folder that holds `<name>.traces.jsonl.gz`.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.interop.conversation import message_of
from peaky_peek.store import reader
from tests.bench.table import Row

SETS = ("tau_airline", "tau_retail_configs", "agentdojo", "swebench_mini_gemini3")


def rows() -> list[Row]:
    """What was measured, the result, the limit, and whether it holds."""
    folder = os.environ.get("PEAKY_PEEK_BENCH_DATA")
    if not folder:
        return [Row("load public collections", "PEAKY_PEEK_BENCH_DATA not set", "-", None)]
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        before = store.current().path
        for name in SETS:
            store.use(Path(scratch) / f"{name}.db")
            found += _measure(name, Path(folder) / f"{name}.traces.jsonl.gz")
            store.current().close()
        store.use(before)
    return found


def _measure(name: str, path: Path) -> list[Row]:
    start = time.perf_counter()
    frame = pp.load(path)
    seconds = time.perf_counter() - start
    messages, calls = _in_source(path)
    events = [reader.read_events(store.current(), session_id) for session_id in frame["session_id"]]
    loaded = sum(message_of(event) is not None for one in events for event in one)
    same = (loaded, int(frame["tool_calls"].sum())) == (messages, calls)
    rows = [
        Row(
            f"load {name}: messages, tool calls", f"{loaded}, {frame['tool_calls'].sum()}", f"{messages}, {calls}", same
        )
    ]
    if name == "agentdojo":
        rows.append(Row(f"load {name}: {len(frame)} runs", f"{seconds:.1f} s", "20 s", seconds <= 20))
    return rows


def _in_source(path: Path) -> tuple[int, int]:
    """Count messages and tool calls in the file itself; a shell agent's call is an answer with one bash block."""
    messages = calls = 0
    with gzip.open(path, "rt") as lines:
        for line in lines:
            run: dict[str, Any] = json.loads(line)["trace"]
            said = run.get("messages") or run.get("traj") or []
            messages += len(said)
            calls += sum(len(message.get("tool_calls") or ()) for message in said)
            if any((message.get("content") or "").startswith("<returncode>") for message in said):
                calls += sum(m["role"] == "assistant" and m["content"].count("```bash\n") == 1 for m in said)
    return messages, calls
