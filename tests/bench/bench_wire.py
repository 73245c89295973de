"""What a captured model call costs the agent, and what a conversation takes on disk with its exchanges."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
from openai import OpenAI

import peaky_peek as pp
from peaky_peek.capture import transport
from tests.bench.table import Row, at_most, cpu
from tests.loopback import Loopback, Reply, message, stream

WORDS = ("the ", "agent ", 'said "no" ', "because\n", "order #W12 ", "was ", "late, ", "café ", "refund ", "then ")
CALLS = 120
URL = "http://127.0.0.1:9/v1/chat/completions"


class _Tireless(Loopback):
    """A server of its own process that answers every request the same."""

    def reply_to(self, seen: Any) -> Reply:
        words = [f"word{number} " for number in range(50)]
        return (
            stream(*words, usage={"prompt_tokens": 9, "completion_tokens": 50}) if seen.body.get("stream") else _ANSWER
        )


_ANSWER = message("It will rain in Paris tomorrow; take an umbrella with you. " * 4)


def rows() -> Iterator[Row]:
    """Yield the contract's rows about the wire."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _conversation(Path(folder))
        with _server() as url, OpenAI(base_url=url, api_key="test", max_retries=0) as client:
            pp.init(db=Path(folder) / "latency.db")
            yield _added("a captured model call - the bare SDK, at the median", lambda: _ask(client))
            yield _added("the same, streamed in 50 chunks", lambda: list(_ask(client, stream=True)))


def _ask(client: OpenAI, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)


def _added(what: str, call: Callable[[], Any]) -> Row:
    """Milliseconds that the hook adds: bare and captured calls take turns, and the medians are compared."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    with pp.trace_session("latency"):
        for _ in range(CALLS):
            for hooked in (False, True):
                if hooked:
                    transport.install()
                else:
                    transport.uninstall()
                start = time.perf_counter()
                call()
                taken[hooked].append((time.perf_counter() - start) * 1e3)
                time.sleep(0.03)  # an agent pauses between its calls, and the writer is done by the next
    bare, captured = (sorted(taken[hooked])[CALLS // 2] for hooked in (False, True))
    return at_most(what, captured - bare, 0.4, " ms", f" ({bare:.2f} bare)")


@contextmanager
def _server() -> Iterator[str]:
    server = subprocess.Popen([sys.executable, "-m", "tests.bench.bench_wire"], stdin=-1, stdout=-1, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.stdout.close()
        server.wait()


def _conversation(folder: Path) -> Iterator[Row]:
    def turns(count: int, path: Path) -> tuple[int, int, float]:
        pp.init(db=path)
        noise = random.Random(count)
        messages: list[dict[str, Any]] = []
        raw, added = 0, []
        answer = ""
        mock = httpx.MockTransport(lambda _: httpx.Response(200, json=_completion(answer)))
        with httpx.Client(transport=mock) as client, pp.trace_session("chat"):
            for _ in range(count):
                messages.append({"role": "user", "content": "".join(noise.choice(WORDS) for _ in range(80))})
                answer = "".join(noise.choice(WORDS) for _ in range(160))
                body = json.dumps({"model": "m", "messages": messages}).encode()
                send = partial(client.send, client.build_request("POST", URL, content=body))
                raw += len(orjson.dumps({"model": "m", "messages": messages}))
                ours = cpu(send)
                transport.uninstall()
                added.append(ours - cpu(partial(client.send, client.build_request("POST", URL, content=body))))
                transport.install()
                messages.append({"role": "assistant", "content": answer})
            pp.sessions()
        pp.store.current().connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        encoding = min(cpu(lambda: orjson.dumps({"model": "m", "messages": messages})) for _ in range(9))
        return path.stat().st_size, raw, sorted(added[-21:])[10] / encoding if added else 0.0

    empty, _, _ = turns(0, folder / "0.db")
    size, raw, _ = turns(50, folder / "50.db")
    yield at_most("50 resent turns through the hook on disk / their raw JSON", (size - empty) / raw, 0.1)
    hundred, _, _ = turns(100, folder / "100.db")
    twice, _, cost = turns(200, folder / "200.db")
    yield at_most("bytes of 200 turns through the hook / of 100", (twice - empty) / (hundred - empty), 2.1)
    yield at_most("the 200th call through the hook / orjson.dumps of its body", cost, 3)


def _completion(content: str) -> dict[str, Any]:
    return json.loads(message(content).chunks[0])  # type: ignore[no-any-return]


if __name__ == "__main__":
    with _Tireless() as server:
        print(server.url, flush=True)
        sys.stdin.read()
