"""What a conversation takes on disk with its exchanges, and what its calls cost."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson

import peaky_peek as pp
from peaky_peek.capture import transport
from tests.bench.table import Row, at_most, cpu
from tests.loopback import message

WORDS = ("the ", "agent ", 'said "no" ', "because\n", "order #W12 ", "was ", "late, ", "café ", "refund ", "then ")
CALLS = 120
URL = "http://127.0.0.1:9/v1/chat/completions"


def rows() -> Iterator[Row]:
    """Yield the contract's rows about the wire."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _conversation(Path(folder))


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
