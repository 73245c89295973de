"""Plain completions and embeddings, by the real SDK."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from openai import OpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, Reply, error
from tests.wire.calls import events, kinds

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
VECTOR = base64.b64encode(struct.pack("<3f", 0.5, 1, 2)).decode()


def completion(*texts: str, **fields: Any) -> dict[str, Any]:
    choices = [{"index": n, "text": text, "finish_reason": "stop", "logprobs": None} for n, text in enumerate(texts)]
    frame = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "davinci-002"}
    return {**frame, "choices": choices, **fields}


def whole(body: Any) -> Reply:
    return Reply([json.dumps(body).encode()])


def embedded(*vectors: Any) -> Reply:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return whole({"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage})


@pytest.mark.parametrize(
    ("prompt", "contents"),
    [("one", ["one"]), (["one", "two"], ["one", "two"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]])],
)
def test_each_prompt_is_a_message_and_the_first_choice_the_answer(
    store: Database, server: Loopback, client: OpenAI, prompt: Any, contents: list[Any]
) -> None:
    server.answer(whole(completion("first", "second", usage=USAGE)))
    client.completions.create(model="davinci-002", prompt=prompt, n=2, echo=True)
    asked, answered = events(store)
    assert asked.messages == [{"role": "user", "content": content} for content in contents]
    assert asked.settings == {"n": 2, "echo": True}
    assert (answered.content, answered.finish_reason, answered.usage["output"]) == ("first", "stop", 2)
    assert [choice["text"] for choice in answered.data["choices"]] == ["second"]


def test_a_stream_is_put_together_choice_by_choice(store: Database, server: Loopback, client: OpenAI) -> None:
    pieces = [(0, "one ", None), (1, "other", "stop"), (0, "two", "length")]
    chunks = [
        completion() | {"choices": [{"index": at, "text": text, "finish_reason": reason}]}
        for at, text, reason in pieces
    ]
    chunks.append(completion(usage=USAGE))
    lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    server.answer(Reply([*lines, b"data: [DONE]\n\n"], headers={"content-type": "text/event-stream"}))
    server.answer(Reply(lines[:1], headers={"content-type": "text/event-stream"}))
    for _ in range(2):
        list(client.completions.create(model="davinci-002", prompt="count", n=2, stream=True))
    first, second = events(store, "llm_response")
    assert (first.content, first.finish_reason, first.usage["input"]) == ("one two", "length", 5)
    assert first.time_to_first_token_ms > 0
    assert first.suspect == "cut off at the token limit"
    assert (second.content, second.complete, second.usage) == ("one ", False, None)


def test_an_embedding_is_told_by_its_size_and_costs_what_its_tokens_cost(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(embedded(VECTOR, VECTOR), embedded([0.5, 1]))
    client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float", dimensions=2)
    first, second = events(store, "llm_response")
    assert events(store, "llm_request")[0].messages == [{"role": "user", "content": each} for each in ("one", "two")]
    assert (first.content, first.data["embeddings"]) == (None, {"count": 2, "dimensions": 3})
    assert second.data["embeddings"] == {"count": 1, "dimensions": 2}
    assert (first.usage["input"], first.usage["output"], first.suspect) == (8, None, None)
    assert first.cost_usd == pytest.approx(8 * 0.02 / 1e6)
    assert VECTOR not in str(first.to_dict())


def test_a_failure_is_an_error(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(error(400, "too_long"), error(400, "too_long"))
    with pp.trace_session("fails"):
        for create in (client.completions.create, client.embeddings.create):
            what = "prompt" if create == client.completions.create else "input"
            with pytest.raises(Exception, match="scripted"):
                create(model="m", **{what: "x"})  # type: ignore[operator]
    assert kinds(store) == ["llm_request", "llm_response", "error"] * 2
