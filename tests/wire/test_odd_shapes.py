"""Bodies come from the network: whatever their shape, reading them raises nothing and recording them goes on."""

from __future__ import annotations

import copy
import json
from importlib import import_module
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.capture.providers import module_for
from peaky_peek.capture.providers.fields import Provider
from peaky_peek.store import Database
from tests.loopback import Reply, real_exchanges, recorded, response, response_stream
from tests.loopback import function_call as openai_call
from tests.replies import anthropic_stream, function_call, gemini, gemini_stream, thinking, tool_result, tool_use
from tests.wire.calls import ASK, events

OPENAI = "https://api.openai.com/v1/"
CALL = openai_call("c1", "weather", city="Paris")
ITEMS = [*ASK, CALL, {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]}]
OUTPUT = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "g"},
    {"type": "mcp_call", "id": "m_1", "name": "f", "server_label": "s", "arguments": "{}", "error": {"message": "x"}},
    "Hi there", CALL,
]  # fmt: skip
COMPLETED = Reply([b'{"id": "c", "model": "m", "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]}'])
EMBEDDED = Reply([b'{"model": "m", "data": [{"embedding": [0.5, 1]}, {"embedding": "AAAAAA=="}], "usage": {}}'])
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:"
HISTORY = [*ASK, {"role": "assistant", "content": [tool_use("c", "weather")]}, tool_result("c", [{"type": "text"}])]
SEARCHED = {"groundingMetadata": {"webSearchQueries": ["rain"], "groundingChunks": [{"web": {"uri": "u"}}]}}
CONTENTS = [
    {"role": "user", "parts": [{"text": "hi"}]},
    {"role": "model", "parts": [function_call("weather", city="Paris"), function_call("news", "id-1")]},
    {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "rain"}}}]},
]
ASKED = {
    "contents": CONTENTS, "systemInstruction": {"parts": [{"text": "Be brief."}]}, "generationConfig": {"topK": 1},
    "tools": [{"functionDeclarations": [{"name": "weather"}]}, {"googleSearch": {}}],
}  # fmt: skip
RAN = [{"executableCode": {"code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "x"}}]
PARTS = [{"text": "hm", "thought": True}, "Hi", " there", function_call("weather", city="Paris"), *RAN]
VECTORS = Reply([json.dumps({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 3}}).encode()])
SHORT = [each for each in real_exchanges("anthropic_exchanges.jsonl") if len(json.dumps(each)) < 5000]
SEEDS: list[tuple[str, Any, Reply]] = [
    *((each["uri"], each["request_body"], recorded(each)) for each in SHORT[::4]),
    (f"{OPENAI}responses", {"input": ITEMS, "tools": [{"type": "mcp", "server_label": "s"}]}, response(*OUTPUT)),
    (f"{OPENAI}responses", {"input": ITEMS, "instructions": "Be kind."}, response_stream(*OUTPUT)),
    (f"{OPENAI}completions", {"prompt": ["a", "b"]}, COMPLETED),
    (f"{OPENAI}embeddings", {"input": "a"}, EMBEDDED),
    (ANTHROPIC, {"messages": HISTORY, "tools": []}, anthropic_stream(thinking("hm"), "Hi", tool_use("c", "f", x=1))),
    (f"{GEMINI}generateContent", ASKED, gemini(*PARTS, promptFeedback={"blockReason": "OTHER"}, **SEARCHED)),
    (f"{GEMINI}streamGenerateContent?alt=sse", ASKED, gemini_stream(*PARTS, fields=SEARCHED)),
    (f"{GEMINI}streamGenerateContent", ASKED, gemini_stream(*PARTS, sse=False)),
    (f"{GEMINI}batchEmbedContents", {"requests": [{"content": CONTENTS[0], "taskType": "X"}]}, VECTORS),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["text", "tool_use"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with one or two places changed to anything, or taken out."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(value))
        if not places:
            return draw(values)
        holder, place = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[place] = draw(values)
        else:
            del holder[place]
    return value


def _places(value: Any) -> Any:
    for place in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, place
        yield from _places(value[place])


@st.composite
def replies(draw: st.DrawFn, reply: Reply) -> bytes:
    """The body of a reply, one of its JSON texts mutated; or cut off somewhere."""
    body = b"".join(reply.chunks)
    if draw(st.booleans()):
        return body[: draw(st.integers(0, len(body)))]
    lines = body.split(b"\n")
    texts = [number for number, line in enumerate(lines) if b"{" in line]
    number = draw(st.sampled_from(texts))
    head, brace, rest = lines[number].partition(b"{")
    try:
        changed = json.dumps(draw(mutated(json.loads(brace + rest)))).encode()
    except ValueError:  # the pieces of an array
        changed = brace + rest[: draw(st.integers(0, len(rest)))]
    lines[number] = head + changed
    return b"\n".join(lines)


def provider(url: str) -> Provider:
    return import_module(module_for(url) or "")  # type: ignore[return-value]


seeds = pytest.mark.parametrize(
    "seed", SEEDS, ids=[f"{n}-{url.rpartition('/')[2]}" for n, (url, *_) in enumerate(SEEDS)]
)


@settings(max_examples=30, deadline=None)
@seeds
@given(data=st.data())
def test_no_body_however_odd_its_shape_breaks_a_reader(data: st.DataObject, seed: tuple[str, Any, Reply]) -> None:
    url, asked, reply = seed
    reader = provider(url)
    body = data.draw(mutated(asked))
    prompt = reader.prompt(url, body) if isinstance(body, dict) else None
    if prompt:
        reader.calls(prompt.messages)
        reader.returns(prompt.messages)
        reader.tool_names(prompt.tools or [])
    answered = data.draw(replies(reply))
    for stream in (True, False):
        for status in (200, 429):
            reader.answer(status, answered, stream=stream)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@seeds
@given(data=st.data())
def test_every_call_however_odd_is_recorded_with_an_end(
    store: Database, data: st.DataObject, seed: tuple[str, Any, Reply]
) -> None:
    url, asked, reply = seed
    body, answered = data.draw(mutated(asked)), data.draw(replies(reply))
    canned = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=reply.headers, content=answered))
    before = len(events(store, "llm_request"))
    with pp.trace_session("odd"), httpx2.Client(transport=canned) as client:
        client.post(url, content=json.dumps(body))
    requests, responses = events(store, "llm_request"), events(store, "llm_response")
    assert len(requests) == len(responses) in (before, before + 1)
