"""What a captured model call adds to one that is not, beside what OpenInference and OpenLLMetry add to the same calls.

They do not share our environment: they have one of their own, in which all four take turns, call by call, in one
process. The others export their spans in batches to a file, so that all of them put what they record on the disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.table import Row, at_most
from tests.loopback import Loopback, Reply, message, stream

CALLS = 150
LIMIT_MS = 0.4
OTHERS = ("OpenInference", "OpenLLMetry")
_ANSWER = message("It will rain in Paris tomorrow; take an umbrella with you. " * 4)


def rows() -> Iterator[Row]:
    """Yield the rows about captured calls."""
    from tests.frameworks import environments

    with _process([sys.executable, "-m", "tests.bench.bench_calls", "serve"]) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for what, mode in (("a captured model call", "whole"), ("the same, streamed in 50 chunks", "stream")):
            command = [str(environments.python("bench")), "-m", "tests.bench.bench_calls", mode, url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            bare, ours, *others = map(float, said.splitlines()[-1].split())
            note = f" ({bare:.2f} bare)"
            yield at_most(f"{what} - the bare SDK, at the median", ours - bare, LIMIT_MS, " ms", note)
            for name, other in zip(OTHERS, others, strict=True):
                note = f" (it adds {other - bare:.2f} ms)"
                yield at_most(f"what that adds / what {name} adds", (ours - bare) / (other - bare), 0.5, note=note)


def measure(url: str, **asked: Any) -> list[float]:
    """Return the median milliseconds of a call: bare, recorded by us, and by each of the others."""
    from openai import OpenAI
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    import peaky_peek as pp
    from peaky_peek.capture import transport

    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "spans.jsonl").open("w") as spans,
        OpenAI(base_url=url, api_key="test", max_retries=0) as client,
    ):
        pp.init(db=Path(folder) / "peek.db")
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=spans)))
        others = [OpenInference(), OpenLLMetry()]

        def on(other: Any) -> Callable[[], object]:
            return lambda: other.instrument(tracer_provider=provider, skip_dep_check=True)

        nothing: Callable[[], object] = lambda: None  # noqa: E731
        switches = [
            (nothing, nothing), (transport.install, transport.uninstall),
            *((on(other), other.uninstrument) for other in others),
        ]  # fmt: skip
        transport.uninstall()
        messages: Any = [{"role": "user", "content": "What is the weather in Paris? " * 20}]
        taken: list[list[float]] = [[] for _ in switches]
        with pp.trace_session("latency"):
            for _ in range(CALLS):
                for times, (switch_on, switch_off) in zip(taken, switches, strict=True):
                    switch_on()
                    start = time.perf_counter()
                    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, **asked)
                    if asked:
                        for _ in answer:
                            pass
                    times.append((time.perf_counter() - start) * 1e3)
                    switch_off()
                    time.sleep(0.02)  # an agent pauses between its calls, and who writes is done by the next
        provider.shutdown()
    return [sorted(times)[CALLS // 2] for times in taken]


class _Tireless(Loopback):
    """A server that answers every request the same."""

    def reply_to(self, seen: Any) -> Reply:
        words = [f"word{number} " for number in range(50)]
        return (
            stream(*words, usage={"prompt_tokens": 9, "completion_tokens": 50}) if seen.body.get("stream") else _ANSWER
        )


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block is left: it ends when its input does."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with _Tireless() as server:
            print(server.url, flush=True)
            sys.stdin.read()
    else:
        print(*measure(sys.argv[2], **({"stream": True} if sys.argv[1] == "stream" else {})), flush=True)
