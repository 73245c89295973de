"""One recorder at work, in a process and an environment of its own: `python peer.py NAME CALLS SINK`.

Prints the CPU microseconds of the calling thread for each call of a recorded tool. The library writes to a file, to a
database or to the HTTP sink that it is told; nothing leaves the machine. It stands alone: the environments of the peers
hold nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

RUN = 50
"""Calls inside one agent run."""
RESULT: dict[str, Any] = {
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
    ]
}
Search = Callable[[str], Any]
Recorder = tuple[Search, Callable[[], AbstractContextManager[Any]], Callable[[], object]]
"""The recorded tool, what opens an agent run, and what waits until everything is written."""


def search(query: str) -> Any:
    """A tool that answers at once."""
    return RESULT


def floor(_: Path, __: str) -> Iterator[Recorder]:
    """No recorder: arguments and result are encoded, and kept in a list."""
    kept: list[str | bytes] = []
    try:
        from orjson import dumps
    except ImportError:
        dumps = lambda value: json.dumps(value).encode()  # noqa: E731

    def recorded(query: str) -> Any:
        kept.append(dumps({"query": query}))
        result = search(query)
        kept.append(dumps(result))
        return result

    yield recorded, nullcontext, lambda: None


def peaky_peek(folder: Path, _: str) -> Iterator[Recorder]:
    """Ours: two events a call, each on record before its call returns."""
    import peaky_peek as pp

    pp.init(db=folder / "peek.db")
    yield pp.tool(search), lambda: pp.trace_session("agent"), pp.uninstall


def opentelemetry(folder: Path, _: str) -> Iterator[Recorder]:
    """The SDK with its batch exporter to a file, and the attributes of the semantic conventions."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    with (folder / "spans.jsonl").open("w") as out:
        provider = TracerProvider()
        exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("peer")

        def recorded(query: str) -> Any:
            with tracer.start_as_current_span("execute_tool search") as span:
                span.set_attribute("gen_ai.operation.name", "execute_tool")
                span.set_attribute("gen_ai.tool.name", "search")
                span.set_attribute("gen_ai.tool.call.arguments", json.dumps({"query": query}))
                result = search(query)
                span.set_attribute("gen_ai.tool.call.result", json.dumps(result))
                return result

        yield recorded, lambda: tracer.start_as_current_span("invoke_agent"), provider.shutdown


def logfire(folder: Path, _: str) -> Iterator[Recorder]:
    """Its decorator with the result recorded, exported in batches to a file."""
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    with (folder / "spans.jsonl").open("w") as out:
        exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")
        processors = [BatchSpanProcessor(exporter)]
        logfire.configure(
            send_to_logfire=False,
            console=False,
            metrics=False,
            additional_span_processors=processors,
            inspect_arguments=False,
        )
        yield logfire.instrument(record_return=True)(search), lambda: logfire.span("agent"), logfire.shutdown


def langfuse(_: Path, sink: str) -> Iterator[Recorder]:
    """Its decorator, sending to a sink on this machine that says yes to everything."""
    from langfuse import Langfuse, observe

    client = Langfuse(public_key="pk-lf-peer", secret_key="sk-lf-" + "peer", base_url=sink)
    observed = observe(as_type="tool")(search)
    yield observed, lambda: client.start_as_current_observation(name="agent", as_type="agent"), client.shutdown


def mlflow(folder: Path, _: str) -> Iterator[Recorder]:
    """Its decorator, writing to a tracking store in SQLite."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("peer")
    flush = getattr(mlflow, "flush_trace_async_logging", lambda: None)
    yield mlflow.trace(span_type="TOOL")(search), lambda: mlflow.start_span("agent"), flush


RECORDERS = {each.__name__: each for each in (floor, peaky_peek, opentelemetry, logfire, langfuse, mlflow)}


def measure(name: str, calls: int, sink: str) -> float:
    """Return the least CPU microseconds of this thread for a recorded call, over agent runs of 50 calls each."""
    least = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for recorded, run, finish in RECORDERS[name](Path(folder), sink):
            for _ in range(calls // RUN):
                start = time.thread_time_ns()
                with run():
                    for _ in range(RUN):
                        recorded("damaged items")
                least = min(least, (time.thread_time_ns() - start) / RUN / 1e3)
            finish()
    return least


if __name__ == "__main__":
    print(f"\n{measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])}", flush=True)
    os._exit(0)  # what a library's threads still have to say is not measured
