"""What is recorded of Gemini's model calls equals what Google's SDK returned."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

import peaky_peek as pp
from peaky_peek.capture.providers import gemini as reader
from peaky_peek.store import Database
from tests.loopback import Loopback, Reply
from tests.replies import function_call, gemini, gemini_error, gemini_stream, host
from tests.wire.calls import attempts, dump, events, kinds, stored_bytes

MODEL = "gemini-2.5-flash"
KEY = "AIzaSy" + "Ab3dEf9hK" * 3 + "Ab3dEf"
COUNTS = {
    "promptTokenCount": 120, "candidatesTokenCount": 30, "thoughtsTokenCount": 50, "cachedContentTokenCount": 100,
    "toolUsePromptTokenCount": 5, "totalTokenCount": 205,
}  # fmt: skip
THOUGHT = {"text": "Paris it is.", "thought": True}
SAID = [THOUGHT, "Let ", "me look.", function_call("weather", city="Paris")]


@pytest.fixture
def client(server: Loopback) -> Iterator[genai.Client]:
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0)
    with genai.Client(
        api_key=KEY, http_options=types.HttpOptions(base_url=host(server), retry_options=retry)
    ) as client:
        yield client


def ask(client: genai.Client, contents: Any = "Is it raining in Paris?", **config: Any) -> Any:
    return client.models.generate_content(
        model=MODEL, contents=contents, config=types.GenerateContentConfig(**config) if config else None
    )


def weather(city: str) -> str:
    """What the weather is like."""
    if city == "Atlantis":
        raise LookupError("no such city")
    return f"rain in {city}"


def test_what_is_asked_is_recorded_as_the_sdk_sends_it(store: Database, server: Loopback, client: genai.Client) -> None:
    server.answer(gemini("Yes."))
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])
    search = types.Tool(google_search=types.GoogleSearch())
    ask(client, system_instruction="Be brief.", temperature=0.5, max_output_tokens=9, tools=[tool, search])
    request, response = events(store)
    sent = server.requests[0].body
    assert (request.provider, request.model, request.stream) == ("google", MODEL, False)
    assert request.messages == [sent["systemInstruction"] | {"role": "system"}, *sent["contents"]]
    assert request.messages[0]["parts"] == [{"text": "Be brief."}]
    assert request.tools == sent["tools"]
    assert request.settings == {"generationConfig": {"temperature": 0.5, "maxOutputTokens": 9}}
    assert (response.content, response.finish_reason, response.model) == ("Yes.", "STOP", MODEL)
    assert (response.complete, response.data["response_id"]) == (True, "resp-1")


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_recorded_whole_and_streamed_sync_and_async(
    store: Database, server: Loopback, client: genai.Client, streamed: bool
) -> None:
    fields = {"usageMetadata": COUNTS}
    replies = [gemini_stream(*SAID, fields=fields) if streamed else gemini(*SAID, **fields) for _ in range(2)]
    server.answer(*replies)
    asked: Any = {"model": MODEL, "contents": "Is it raining in Paris?"}
    if streamed:
        chunks = list(client.models.generate_content_stream(**asked))
        async with client.aio as aio:
            chunks += [chunk async for chunk in await aio.models.generate_content_stream(**asked)]
    else:
        chunks = [client.models.generate_content(**asked)]
        async with client.aio as aio:
            chunks.append(await aio.models.generate_content(**asked))
    parts = [part for chunk in chunks[: len(chunks) // 2] for part in chunk.candidates[0].content.parts]
    usage = chunks[-1].usage_metadata
    responses = events(store, "llm_response")
    assert len(responses) == 2
    for response in responses:
        assert response.content == "".join(part.text for part in parts if part.text and not part.thought)
        assert response.thinking == "Paris it is."
        assert response.tool_calls == [{"id": None, "name": "weather", "arguments": parts[-1].function_call.args}]
        assert response.usage == {
            "input": usage.prompt_token_count + usage.tool_use_prompt_token_count,
            "output": usage.candidates_token_count + usage.thoughts_token_count,
            "cache_read": usage.cached_content_token_count,
            "reasoning": usage.thoughts_token_count,
        }
        assert response.data["usage"] == COUNTS
        assert response.cost_usd == pytest.approx((25 * 0.3 + 100 * 0.03 + 80 * 2.5) / 1e6)
        assert (response.time_to_first_token_ms is not None) == streamed


@pytest.mark.parametrize("cut", [0, 5])
def test_a_stream_that_is_one_json_array_is_put_together_from_its_pieces(store: Database, cut: int) -> None:
    reply = gemini_stream("Let ", "me ", "look.", sse=False)
    body = b"".join(reply.chunks)
    kept = body[: len(body) - cut]
    network = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=reply.headers, content=kept))
    url = f"https://generativelanguage.googleapis.com/v1beta/models/{MODEL}:streamGenerateContent?key={KEY}"
    with httpx2.Client(transport=network) as client:
        client.post(url, json={"contents": [{"parts": [{"text": "hi"}]}]})
    request, response = events(store)
    assert request.stream
    assert response.content == ("Let me " if cut else "Let me look.")
    assert response.complete is not bool(cut)
    assert KEY not in dump(store)


def test_the_first_token_of_an_array_is_told_by_where_its_item_ends() -> None:
    reply = gemini_stream("é", "b", sse=False)
    answer = reader.answer(200, b"".join(reply.chunks), stream=False)
    assert answer.first_token == len(reply.chunks[0])


def test_functions_that_the_sdk_calls_by_itself_are_tools_with_decisions(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    server.answer(
        gemini("Let me look.", function_call("weather", city="Paris"), function_call("weather", city="Atlantis")),
        gemini(function_call("weather", city="Paris")),
        gemini("It rains."),
    )
    with pp.trace_session("chat"):
        chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[weather]))
        assert chat.send_message("Is it raining?").text == "It rains."
        said = pp.messages()
    assert said.role.tolist() == ["user", "assistant", "user", "assistant", "user", "assistant"]  # each once
    assert kinds(store) == [
        "llm_request", "llm_response", "decision", "tool_call", "tool_result", "tool_call", "tool_result",
        "llm_request", "llm_response", "decision", "tool_call", "tool_result", "llm_request", "llm_response",
    ]  # fmt: skip
    calls, results = events(store, "tool_call"), events(store, "tool_result")
    assert [(call.tool_name, call.arguments, call.call_id) for call in calls] == [
        ("weather", {"city": "Paris"}, None), ("weather", {"city": "Atlantis"}, None),
        ("weather", {"city": "Paris"}, None),
    ]  # fmt: skip
    assert [(result.result, result.failed, result.parent_id) for result in results] == [
        ("rain in Paris", False, calls[0].id), (None, True, calls[1].id), ("rain in Paris", False, calls[2].id),
    ]  # fmt: skip
    assert "no such city" in results[1].error
    first, second = events(store, "decision")
    assert (first.chosen_action, first.reasoning) == ("weather, weather", "Let me look.")
    assert second.evidence_event_ids == [results[0].id, results[1].id]
    assert [call.upstream_event_ids for call in calls] == [
        [response.id] for response in events(store, "llm_response")[:1] * 2 + events(store, "llm_response")[1:2]
    ]


def test_parallel_calls_with_ids_are_told_apart_by_them(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    calls = [function_call("weather", name, city=name) for name in ("a", "b")]
    server.answer(gemini(*calls), gemini("done"))
    with pp.trace_session("ids"):
        ask(client)
        answers = [{"functionResponse": {"id": name, "name": "weather", "response": {"result": f"of {name}"}}}
                   for name in ("b", "a")]  # fmt: skip
        history = [{"role": "model", "parts": calls}, {"role": "user", "parts": answers}]
        network = {"contents": [{"role": "user", "parts": [{"text": "Is it raining in Paris?"}]}, *history]}
        httpx2.post(f"{host(server)}/v1beta/models/{MODEL}:generateContent", json=network)
    results = events(store, "tool_result")
    assert {result.call_id: result.result for result in results} == {"a": "of a", "b": "of b"}


def test_tools_that_google_ran_itself_are_calls_under_the_request(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}}
    good = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}
    bad = {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "SyntaxError"}}
    sources = {"webSearchQueries": ["rain"], "groundingChunks": [{"web": {"uri": "https://example.com"}}]}
    reply = json.loads(gemini(code, good, code, bad, "42").chunks[0])
    reply["candidates"][0]["groundingMetadata"] = sources
    server.answer(Reply([json.dumps(reply).encode()]))
    ask(client)
    calls, results = events(store, "tool_call"), events(store, "tool_result")
    assert [(call.tool_name, call.arguments) for call in calls] == [
        ("code_execution", code["executableCode"]), ("code_execution", code["executableCode"]),
        ("google_search", {"queries": ["rain"]}),
    ]  # fmt: skip
    assert [(result.result, result.error) for result in results] == [
        ("42\n", None), ("SyntaxError", "OUTCOME_FAILED"), (sources["groundingChunks"], None),
    ]  # fmt: skip
    (response,) = events(store, "llm_response")
    assert response.content == "42"
    assert response.data["parts"] == reply["candidates"][0]["content"]["parts"]


def test_images_are_told_by_type_and_size_in_what_is_asked_and_answered(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    server.answer(gemini({"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}))
    ask(client, ["Draw this", types.Part.from_bytes(data=b"hello", mime_type="image/png")])
    request, response = events(store)
    image = {"kind": "image", "media_type": "image/png", "bytes": 5}
    assert (request.data["attachments"], response.content, response.suspect) == ([image], [image], None)


def test_a_quota_that_is_refilled_is_one_call_of_several_attempts(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    server.answer(gemini_error(429, "RESOURCE_EXHAUSTED"), gemini_error(503, "UNAVAILABLE"), gemini("at last"))
    with pp.trace_session("flaky"):
        ask(client)
    assert kinds(store) == ["llm_request", "llm_response"]
    assert attempts(store) == [(1, 429, 0), (2, 503, 0), (3, 200, 1)]


def test_a_quota_that_stays_exhausted_is_one_error_by_its_own_name(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    server.answer(*[gemini_error(429, "RESOURCE_EXHAUSTED", "slow down", delay) for _ in range(3)])
    with pp.trace_session("limited"), pytest.raises(errors.ClientError):
        ask(client)
    _, response, failure = events(store)
    assert (failure.error_type, failure.error_message) == ("RESOURCE_EXHAUSTED", "slow down")
    assert response.data["error"]["details"] == [delay]


def test_what_google_blocks_is_a_refusal(store: Database, server: Loopback, client: genai.Client) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
    stopped = json.loads(gemini("Well, ", finishReason="SAFETY").chunks[0])
    stopped["candidates"][0]["safetyRatings"] = ratings
    server.answer(
        Reply([json.dumps(blocked).encode()]),
        Reply([json.dumps(stopped).encode()]),
        gemini_stream("We", "ll", fields={"finishReason": "RECITATION"}),
    )
    ask(client)
    ask(client)
    list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert [each.reason for each in events(store, "refusal")] == [
        "the provider blocked the prompt: PROHIBITED_CONTENT",
        "the provider stopped the answer: SAFETY",
        "the provider stopped the answer: RECITATION",
    ]
    blocked_at_once, stopped_later, _ = events(store, "llm_response")
    assert (blocked_at_once.content, blocked_at_once.status, blocked_at_once.suspect) == (None, "ok", None)
    assert stopped_later.data["safetyRatings"] == ratings


def test_a_stream_that_is_left_early_is_cancelled_and_one_that_breaks_off_an_error(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    gate = threading.Event()
    server.answer(gemini_stream("one", "two", gate=gate), gemini_stream("half", "way", "x", breaks_off=True))
    stream = client.models.generate_content_stream(model=MODEL, contents="hi")
    assert next(stream).text == "one"
    stream.close()
    gate.set()
    server._queue[0].chunks.pop()
    with pytest.raises(httpx2.RemoteProtocolError):
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    left, broken = events(store, "llm_response")
    assert (left.content, left.complete, left.status) == ("one", False, "cancelled")
    assert (broken.content, broken.complete, broken.status) == ("halfway", False, "error")


async def test_embeddings_are_calls_whose_vectors_are_told_by_their_size(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    vectors = Reply([json.dumps({"embeddings": [{"values": [0.5, 0.25]}] * 2}).encode()])
    server.answer(vectors, vectors)
    config = types.EmbedContentConfig(output_dimensionality=2)
    client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    async with client.aio as aio:
        await aio.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    for request, response in zip(events(store, "llm_request"), events(store, "llm_response"), strict=True):
        assert (request.model, [message["parts"] for message in request.messages]) == (
            "gemini-embedding-001", [[{"text": "a"}], [{"text": "b"}]],
        )  # fmt: skip
        assert request.settings == {"outputDimensionality": 2}
        assert response.data == {"embeddings": {"count": 2, "dimensions": 2}}
        assert (response.complete, response.suspect) == (True, None)


def test_no_credential_reaches_the_store_even_cut_into_chunks(
    store: Database, server: Loopback, client: genai.Client
) -> None:
    pieces = [KEY[at : at + 6] for at in range(0, len(KEY), 6)]
    server.answer(gemini_stream("it is ", *pieces), gemini(f"it is {KEY}"))
    list(client.models.generate_content_stream(model=MODEL, contents=f"my key is {KEY}"))
    ask(client)
    array = gemini_stream("it is ", *pieces, sse=False)
    network = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=array.headers, content=iter(array.chunks)))
    with httpx2.Client(transport=network) as plain:
        url = f"https://ours/v1beta/models/{MODEL}:streamGenerateContent?key={KEY}"
        plain.post(url, json={"contents": []}, headers={"x-goog-api-key": KEY})
    for response in events(store, "llm_response"):
        assert response.content.startswith("it is [redacted:")
    written = dump(store)
    for secret in (KEY, *pieces[1:]):
        assert secret not in written


def test_a_conversation_grows_by_what_is_new(store: Database, server: Loopback, client: genai.Client) -> None:
    sizes, raw = {}, 0
    with pp.trace_session("long"):
        chat = client.chats.create(model=MODEL)
        for turn in range(1, 51):
            server.answer(gemini(f"Answer {turn}: " + "it depends on that. " * 80))
            chat.send_message(f"Question {turn}: " + "and what about this? " * 80)
            raw += len(str(server.requests[-1].body))
            sizes[turn] = stored_bytes(store) if turn in (25, 50) else 0
    assert sizes[50] / sizes[25] <= 2.1
    assert sizes[50] <= 0.10 * raw
    assert events(store, "llm_request")[-1].messages == server.requests[-1].body["contents"]


def test_gemini_through_vertex_is_recorded(store: Database, server: Loopback) -> None:
    server.answer(gemini("hi"), gemini_stream("in ", "pieces"))
    with genai.Client(vertexai=True, api_key="t0ken-of-ours", http_options={"base_url": host(server)}) as client:
        ask(client)
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert "publishers/google" in server.requests[0].path
    assert [(each.provider, each.model) for each in events(store, "llm_request")] == [("google", MODEL)] * 2
    assert [each.content for each in events(store, "llm_response")] == ["hi", "in pieces"]
    assert "t0ken-of-ours" not in dump(store)
