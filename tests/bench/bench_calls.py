"""What a captured model call adds to one that is not, beside what OpenInference and OpenLLMetry add to the same calls.

They do not share our environment: they have one of their own, in which each recorder has a process, and the processes
take turns, a few calls each. The others export their spans in batches to a file, so that all of them put what they
record on the disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.bench.table import Row, at_most
from tests.loopback import Loopback, Reply, message, stream

ROUNDS = 40
CALLS = 5
"""Of one recorder in a row."""
LIMIT_MS = 0.4
RECORDERS = ("none", "Peaky Peek", "OpenInference", "OpenLLMetry")
_ANSWER = message("It will rain in Paris tomorrow; take an umbrella with you. " * 4)


def rows() -> Iterator[Row]:
    """Yield the rows about captured calls."""
    with _process(sys.executable, "serve") as server:
        url = _line(server)
        for what, kind in (("a captured model call", "whole"), ("the same, streamed in 50 chunks", "stream")):
            bare, ours, *others = _medians(kind, url)
            yield at_most(f"{what} - the bare SDK, at the median", ours - bare, LIMIT_MS, " ms", f" ({bare:.2f} bare)")
            for name, other in zip(RECORDERS[2:], others, strict=True):
                note = f" (it adds {other - bare:.2f} ms)"
                yield at_most(f"what that adds / what {name} adds", (ours - bare) / (other - bare), 0.5, note=note)


def _medians(kind: str, url: str) -> list[float]:
    """Return the median milliseconds of a call under each recorder, the first round left out."""
    from tests.frameworks import environments

    python = str(environments.python("bench"))
    taken: dict[str, list[float]] = {name: [] for name in RECORDERS}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_process(python, "work", name, kind, url)) for name in RECORDERS}
        for number in range(ROUNDS + 1):
            for name, worker in workers.items():
                assert worker.stdin is not None
                print("go", file=worker.stdin, flush=True)
                times = [float(word) for word in _line(worker).split()]
                taken[name] += times if number else []
    return [sorted(times)[len(times) // 2] for times in taken.values()]


def work(recorder: str, kind: str, url: str) -> None:
    """Make some calls for each line that is read, and print the milliseconds of each."""
    from openai import OpenAI

    streamed: Any = {"stream": True} if kind == "stream" else {}
    messages: Any = [{"role": "user", "content": "What is the weather in Paris? " * 20}]
    with (
        tempfile.TemporaryDirectory() as folder,
        OpenAI(base_url=url, api_key="test", max_retries=0) as client,
        _recording(recorder, Path(folder)) as settle,
    ):
        for _ in sys.stdin:
            times = []
            for _ in range(CALLS):
                start = time.perf_counter()
                answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, **streamed)
                if streamed:
                    for _ in answer:
                        pass
                times.append((time.perf_counter() - start) * 1e3)
                time.sleep(0.02)  # an agent pauses between its calls
            settle()  # or it would write while others are measured
            print(*times, flush=True)


@contextmanager
def _recording(recorder: str, folder: Path) -> Iterator[Callable[[], object]]:
    """Record what happens in the block, and yield what waits until all of it is written."""
    if recorder == "none":
        yield lambda: None
        return
    if recorder == "Peaky Peek":
        import peaky_peek as pp

        pp.init(db=folder / "peek.db")
        with pp.trace_session("latency"):
            yield lambda: time.sleep(0.1)
        return
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    with (folder / "spans.jsonl").open("w") as spans:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=spans)))
        instrumentor: Any = {"OpenInference": OpenInference, "OpenLLMetry": OpenLLMetry}[recorder]()
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        yield provider.force_flush
        provider.shutdown()


class _Tireless(Loopback):
    """A server that answers every request the same."""

    def reply_to(self, seen: Any) -> Reply:
        words = [f"word{number} " for number in range(50)]
        return (
            stream(*words, usage={"prompt_tokens": 9, "completion_tokens": 50}) if seen.body.get("stream") else _ANSWER
        )


@contextmanager
def _process(python: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run this module until the block is left: it ends when its input does."""
    command = [python, "-m", "tests.bench.bench_calls", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with _Tireless() as server:
            print(server.url, flush=True)
            sys.stdin.read()
    else:
        work(*sys.argv[2:])
