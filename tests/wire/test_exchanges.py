"""What is recorded of a model call equals what the real SDK returned."""

from __future__ import annotations

import json
import zlib
from typing import Any

import httpx
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

import peaky_peek as pp
from peaky_peek.events import Event
from peaky_peek.store import Database, exchanges
from tests.loopback import Loopback, message, real_exchanges, recorded, stream
from tests.wire.calls import ASK, TOOLS, again, ask, assert_same_answer, dump, events, stored_bytes

STREAMS = [each for each in real_exchanges() if each["stream"]]


@pytest.mark.parametrize("exchange", real_exchanges(), ids=lambda exchange: exchange["id"])
def test_a_real_exchange_is_recorded_as_the_sdk_returned_it(
    store: Database, server: Loopback, client: OpenAI, exchange: dict[str, Any]
) -> None:
    server.replay([exchange])
    body = exchange["request_body"]
    failure = theirs = None
    with pp.trace_session("real"):
        try:
            theirs = again(client, body)
            if body.get("stream"):
                state = ChatCompletionStreamState()
                for chunk in theirs:
                    if chunk.choices or chunk.usage:
                        state.handle_chunk(chunk)
                theirs = state.current_completion_snapshot
        except openai.APIError as error:
            failure = error
    request, response, *rest = [event for event in events(store) if not event.metadata.get("derived")]
    said = {"model": request.model, "messages": request.messages, "stream": request.stream, **request.settings}
    said["functions" if "functions" in body else "tools"] = [
        tool["function"] if "functions" in body else tool for tool in request.tools or []
    ]
    assert {name: said[name] for name in body} == body
    assert response.parent_id == request.id
    if failure:
        (recorded_error,) = rest
        assert (response.status, recorded_error.parent_id) == ("error", request.id)
        assert failure.body["message"] == recorded_error.error_message
    else:
        assert rest == []
        assert response.status == "ok"
        assert_same_answer(response, theirs)


@pytest.mark.parametrize("exchange", STREAMS, ids=lambda exchange: exchange["id"])
async def test_a_real_stream_is_recorded_whole_from_the_async_client_too(
    store: Database, server: Loopback, exchange: dict[str, Any]
) -> None:
    server.replay([exchange])
    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        try:
            seen = [chunk async for chunk in await again(client, exchange["request_body"])]
        except openai.APIError:
            seen = []
    (response,) = events(store, "llm_response")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices)
    assert (response.content or "") == text
    assert response.time_to_first_token_ms <= response.duration_ms
    (exchange_id,) = store.connection().execute("SELECT exchange_id FROM exchanges").fetchone()
    kept = exchanges.load(store.connection(), exchange_id)
    sent = b"".join(recorded(exchange).chunks)
    assert sent.startswith(kept.response)
    assert kept.response == sent or response.status == "error"  # the SDK reads no further than an error
    assert sum(kept.chunk_sizes) == len(kept.response)
    assert json.loads(kept.request) == exchange["request_body"]


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_plain_clients_of_both_libraries_are_recorded(store: Database, server: Loopback, library: Any) -> None:
    server.answer(message("sync"), message("async"))
    body = {"model": "our-model", "messages": ASK}
    with library.Client() as client:
        client.post(f"{server.url}/chat/completions", json=body)
    async with library.AsyncClient() as client:
        await client.post(f"{server.url}/chat/completions", json=body)
    assert [response.content for response in events(store, "llm_response")] == ["sync", "async"]


def test_a_response_that_needs_no_network_is_recorded(store: Database) -> None:
    canned = json.loads(message("canned").chunks[0])
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, json=canned))
    with OpenAI(api_key="test", http_client=httpx2.Client(transport=answer)) as client:
        ask(client)
        assert list(ask(client, stream=True)) == []
    assert [event.content for event in events(store, "llm_response")] == ["canned", "canned"]


def test_an_encoded_stream_is_recorded_decoded(store: Database, server: Loopback, client: OpenAI) -> None:
    packer = zlib.compressobj(wbits=31)
    reply = stream("packed", " text")
    pieces = [packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH) for chunk in reply.chunks]
    reply.chunks = [*pieces, packer.flush()]
    reply.headers["content-encoding"] = "gzip"
    server.answer(reply)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True)) == "packed text"
    (response,) = events(store, "llm_response")
    assert response.content == "packed text"


def test_the_price_of_a_call_is_known_when_model_and_usage_are(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    server.answer(message("a", usage=usage), message("b", usage=usage, model="homemade"), stream("c"))
    ask(client)
    ask(client)
    list(ask(client, stream=True))
    assert [response.cost_usd for response in events(store, "llm_response")] == [0.15, None, None]


def test_credentials_are_in_no_exchange_and_no_event(store: Database, server: Loopback, client: OpenAI) -> None:
    key = "sk-proj-" + "Ab3dEf9h" * 5
    server.answer(message(f"it is {key}"), stream("it is ", key[:9], key[9:]))
    ask(client, [{"role": "user", "content": f"my key is {key}"}], extra_headers={"x-team": key})
    list(ask(client, [{"role": "user", "content": "and now?"}], stream=True, extra_query={"token": "t0ken-of-ours"}))
    assert len(events(store, "llm_response")) == 2
    written = dump(store)
    assert key not in written
    assert key[9:] not in written
    assert "t0ken-of-ours" not in written
    assert "[redacted:openai:" in written


def test_events_of_a_call_outside_any_session_say_that_their_place_is_a_guess(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("hello"))
    ask(client)
    request: Event = events(store, "llm_request")[0]
    assert request.metadata == {"context": "inferred"}


def test_a_conversation_grows_by_what_is_new(store: Database, server: Loopback, client: OpenAI) -> None:
    raw = []
    history: list[Any] = [{"role": "system", "content": "You are a patient assistant. " * 20}]
    sizes = {}
    with pp.trace_session("long"):
        for turn in range(1, 51):
            history.append({"role": "user", "content": f"Question {turn}: " + "and what about this? " * 80})
            server.answer(message(f"Answer {turn}: " + "it depends on that. " * 80))
            answer = ask(client, history, tools=TOOLS).choices[0].message
            raw.append(len(json.dumps(server.requests[-1].body)))
            history.append({"role": "assistant", "content": answer.content})
            sizes[turn] = stored_bytes(store) if turn in (25, 50) else 0
    assert sizes[50] <= 0.10 * sum(raw)
    assert sizes[50] / sizes[25] <= 2.1
    requests = events(store, "llm_request")
    assert [len(request.messages) for request in requests] == [2 * turn for turn in range(1, 51)]
    assert requests[-1].messages == history[:-1]
    (last,) = store.connection().execute("SELECT exchange_id FROM exchanges ORDER BY position DESC LIMIT 1").fetchone()
    exchanges._recent.clear()  # as in a process that comes later
    assert json.loads(exchanges.load(store.connection(), last).request) == server.requests[-1].body
