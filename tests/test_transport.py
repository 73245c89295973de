"""The hook on the wire: real SDK calls against a server on loopback are recorded as they were, and stay as they are."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

import peaky_peek as pp
from peaky_peek.capture import transport
from peaky_peek.events import Event
from peaky_peek.store import Database, exchanges
from peaky_peek.store.reader import read_events
from tests.loopback import Loopback, error, message, real_exchanges, recorded, stream, tool_call

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "news")]
STREAMS = [each for each in real_exchanges() if each["stream"]]


@pytest.fixture(autouse=True)
def hook(store: Database) -> Iterator[None]:
    transport.install()
    yield
    transport.uninstall()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def client(server: Loopback) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client


def ask(client: Any, messages: list[Any] = ASK, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)


def again(client: Any, body: dict[str, Any]) -> Any:
    """Ask what was asked in a real exchange."""
    known = {name: body[name] for name in ("model", "messages", "stream") if name in body}
    rest = {name: value for name, value in body.items() if name not in known}
    return client.chat.completions.create(**known, extra_body=rest)


def events(store: Database, *types: str) -> list[Any]:
    """What is recorded of model calls in all sessions, in order."""
    store.ingest()
    assert store.connection().execute("SELECT reason FROM unreadable").fetchall() == []
    sessions = store.connection().execute("SELECT session_id FROM sessions ORDER BY position").fetchall()
    found = [event for (session,) in sessions for event in read_events(store, session)]
    return [event for event in found if event.event_type in (types or SEEN)]


SEEN = ("llm_request", "llm_response", "tool_call", "tool_result", "decision", "refusal", "error")


def kinds(store: Database) -> list[str]:
    return [event.event_type.value for event in events(store)]


def attempts(store: Database) -> list[tuple[Any, ...]]:
    store.ingest()
    sql = "SELECT attempt, status, complete FROM exchanges ORDER BY position"
    return store.connection().execute(sql).fetchall()


def assert_same_answer(response: Any, theirs: Any) -> None:
    choice = theirs.choices[0]
    assert response.content == choice.message.content
    assert response.finish_reason == choice.finish_reason
    assert [(call["id"], call["name"], call["arguments"]) for call in response.tool_calls or [] if call["id"]] == [
        (call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []
    ]
    if theirs.usage:
        assert (response.usage["input"], response.usage["output"]) == (
            theirs.usage.prompt_tokens, theirs.usage.completion_tokens,
        )  # fmt: skip
    else:
        assert response.usage is None


# What is recorded


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


def test_clients_made_before_and_after_the_hook_are_recorded_alike(store: Database, server: Loopback) -> None:
    transport.uninstall()
    with OpenAI(base_url=server.url, api_key="test") as before:
        bound = before.chat.completions.create
        transport.install()
        transport.install()
        with OpenAI(base_url=server.url, api_key="test") as after:
            server.answer(message("one"), message("two"))
            bound(model="gpt-4o-mini", messages=ASK)
            ask(after)
    assert [response.content for response in events(store, "llm_response")] == ["one", "two"]


def test_a_library_imported_after_the_hook_is_patched_when_it_comes() -> None:
    code = """
import sys
import peaky_peek as pp
from peaky_peek.capture import transport

pp.init()
assert not {"httpx", "httpx2"} & sys.modules.keys()
import httpx, httpx2

before = httpx.Client.send
assert all(client in transport._patches for m in (httpx, httpx2) for client in (m.Client, m.AsyncClient))
pp.uninstall()
assert httpx.Client.send is not before and not transport._patches
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


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
    import zlib

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
    rows = [
        exchanges.load(store.connection(), row[0])
        for row in store.connection().execute("SELECT exchange_id FROM exchanges")
    ]
    dump = repr(rows) + "\n".join(store.connection().iterdump())
    assert key not in dump
    assert key[9:] not in dump
    assert "t0ken-of-ours" not in dump
    assert "[redacted:openai:" in dump


# Tools and decisions that nobody recorded


def test_tools_and_decisions_are_read_off_the_conversation(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(
        message("Let me look.", tool_calls=[tool_call("call-1", "weather", city="Paris")]), message("It rains.")
    )
    with pp.trace_session("derived"):
        answer = ask(client, tools=TOOLS).choices[0].message
        history = [*ASK, answer.model_dump(exclude_none=True)]
        ask(client, [*history, {"role": "tool", "tool_call_id": "call-1", "content": "rain"}], tools=TOOLS)
    request, _, decision, call, result, second, last = events(store)
    assert kinds(store) == [
        "llm_request", "llm_response", "decision", "tool_call", "tool_result", "llm_request", "llm_response",
    ]  # fmt: skip
    assert (call.tool_name, call.arguments, call.call_id) == ("weather", {"city": "Paris"}, "call-1")
    assert (result.result, result.parent_id, result.duration_ms, result.timestamp) == ("rain", call.id, None, None)
    assert (decision.chosen_action, decision.reasoning, decision.alternatives) == ("weather", "Let me look.", ["news"])
    assert decision.confidence is None
    assert call.parent_id == decision.parent_id == request.parent_id
    assert second.upstream_event_ids == [result.id]
    assert all(event.metadata == {"derived": True} for event in (decision, call, result))
    assert last.content == "It rains."


def test_the_evidence_of_a_decision_is_what_was_new_in_its_prompt(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    calls = [tool_call("a", "weather"), tool_call("b", "news")]
    server.answer(message(tool_calls=calls), message(tool_calls=[tool_call("c", "weather")]), message("done"))
    history: list[Any] = list(ASK)
    with pp.trace_session("evidence"):
        for results in (["a", "b"], ["c"], []):
            answer = ask(client, history, tools=TOOLS).choices[0].message
            history.append(answer.model_dump(exclude_none=True))
            history += [{"role": "tool", "tool_call_id": name, "content": f"of {name}"} for name in results]
    first, second = events(store, "decision")
    a, b, _ = events(store, "tool_result")
    assert (first.chosen_action, first.evidence_event_ids) == ("weather, news", [])
    assert (second.chosen_action, second.evidence_event_ids) == ("weather", [a.id, b.id])


def test_what_the_agent_records_itself_is_not_derived_again(store: Database, server: Loopback, client: OpenAI) -> None:
    asked = tool_call("call-1", "weather", city="Paris")
    server.answer(message(tool_calls=[asked]), message("It rains."))

    @pp.tool
    def weather(city: str) -> str:
        return f"rain in {city}"

    with pp.trace_session("explicit") as ctx:
        answer = ask(client, tools=TOOLS).choices[0].message
        decision = ctx.record_decision("rain matters", confidence=0.8, chosen_action="look outside")
        result = weather(city="Paris")
        history = [*ASK, answer.model_dump(exclude_none=True)]
        ask(client, [*history, {"role": "tool", "tool_call_id": "call-1", "content": result}], tools=TOOLS)
    assert [event.id for event in events(store, "decision")] == [decision.id]
    (call,) = events(store, "tool_call")
    (returned,) = events(store, "tool_result")
    assert not call.metadata
    assert events(store, "llm_request")[1].upstream_event_ids == [returned.id]


def test_tool_results_from_before_the_session_are_not_taken_for_its_own(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("Still raining."))
    asked = {"role": "assistant", "tool_calls": [tool_call("old", "weather")]}
    with pp.trace_session("resumed"):
        ask(client, [*ASK, asked, {"role": "tool", "tool_call_id": "old", "content": "rain"}])
    assert kinds(store) == ["llm_request", "llm_response"]


def test_the_last_decision_is_there_when_the_session_is_over(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message(tool_calls=[tool_call("c", "weather")]))
    with pp.trace_session("one call"):
        ask(client, tools=TOOLS)
    assert kinds(store) == ["llm_request", "llm_response", "decision"]


def test_a_refusal_of_the_provider_is_a_refusal(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message(refusal="I can't help with that."), message("cut", finish_reason="content_filter"))
    ask(client)
    ask(client)
    refusals = events(store, "refusal")
    assert [(each.reason, each.policy_name) for each in refusals] == [
        ("I can't help with that.", "openai"),
        ("the provider's content filter stopped the answer", "content_filter"),
    ]
    assert [each.parent_id for each in refusals] == [each.id for each in events(store, "llm_request")]


# Failures, retries, broken streams


def test_a_failed_call_is_an_answer_with_status_error_and_an_error(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(error(400, "context_length_exceeded", "too long"))
    with pytest.raises(openai.BadRequestError):
        ask(client)
    request, response, failure = events(store)
    assert (response.status, response.complete, response.parent_id) == ("error", False, request.id)
    assert (failure.error_type, failure.error_message) == ("context_length_exceeded", "too long")
    assert failure.parent_id == request.id


def test_retries_that_succeed_are_attempts_of_one_request_without_an_error(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(error(500), error(500), message("at last"))
    with pp.trace_session("flaky"):
        ask(client.with_options(max_retries=3))
    assert kinds(store) == ["llm_request", "llm_response"]
    assert attempts(store) == [(1, 500, 0), (2, 500, 0), (3, 200, 1)]
    assert events(store, "llm_response")[0].content == "at last"


def test_retries_that_run_out_are_one_error_at_the_place_of_the_last_attempt(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(error(429), error(429), error(429, text="slow down"))
    with pp.trace_session("limited") as ctx:
        with pytest.raises(openai.RateLimitError):
            ask(client.with_options(max_retries=2))
        after = ctx.record_decision("give up")
        assert kinds(store) == ["llm_request", "decision"]  # more attempts could follow
    assert kinds(store) == ["llm_request", "llm_response", "error", "decision"]
    assert attempts(store) == [(1, 429, 0), (2, 429, 0), (3, 429, 0)]
    (failure,) = events(store, "error")
    assert failure.error_message == "slow down"
    assert failure.position < after.position


def test_a_failure_is_known_as_soon_as_the_same_context_asks_something_else(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(error(503), message("other"))
    with pp.trace_session("moves on"):
        with pytest.raises(openai.InternalServerError):
            ask(client)
        ask(client, [{"role": "user", "content": "something else"}])
        assert kinds(store) == ["llm_request", "llm_response", "error", "llm_request", "llm_response"]


def test_the_failure_that_a_killed_process_left_behind_is_told_by_the_next_reader(
    store: Database, server: Loopback
) -> None:
    code = f"""
import os, signal
import openai
import peaky_peek as pp

pp.init({str(store.path)!r})
with pp.trace_session("killed"):
    try:
        openai.OpenAI(base_url={server.url!r}, api_key="test", max_retries=0).chat.completions.create(
            model="m", messages=[{{"role": "user", "content": "hello"}}]
        )
    except openai.RateLimitError:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    server.answer(error(429, text="slow down"))
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -9
    assert kinds(store) == ["llm_request", "llm_response", "error"]
    assert store.connection().execute("SELECT status FROM sessions").fetchall() == [("interrupted",)]


def test_a_call_in_flight_when_its_process_is_killed_stays_an_open_request(store: Database, server: Loopback) -> None:
    code = f"""
import os, signal
import openai
import peaky_peek as pp

pp.init({str(store.path)!r})
client = openai.OpenAI(base_url={server.url!r}, api_key="test")
for chunk in client.chat.completions.create(model="m", messages=[{{"role": "user", "content": "hi"}}], stream=True):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    gate = threading.Event()
    server.answer(stream("never", "read", gate=gate))
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -9
    gate.set()
    assert kinds(store) == ["llm_request"]


def test_a_server_that_is_not_there_is_an_error_that_names_the_exception(store: Database) -> None:
    client = OpenAI(base_url="http://127.0.0.1:1/v1", api_key="test", max_retries=0)
    with client, pp.trace_session("down"), pytest.raises(openai.APIConnectionError):
        ask(client)
    assert events(store, "error")[0].error_type == "ConnectError"
    assert attempts(store) == [(1, None, 0)]


def test_a_stream_that_breaks_off_keeps_what_came_and_says_why(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(stream("half", " an", done=False, breaks_off=True))
    with pytest.raises(openai.APIConnectionError):
        list(ask(client, stream=True))
    request, response, failure = events(store)
    assert (response.content, response.complete, response.status) == ("half an", False, "error")
    assert response.usage is None
    assert (failure.error_type, failure.parent_id) == ("RemoteProtocolError", request.id)


def test_a_stream_that_is_closed_early_is_cancelled_and_no_error(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    gate = threading.Event()
    server.answer(stream("one", "two", "three", gate=gate))
    with ask(client, stream=True) as answer:
        assert next(answer).choices[0].delta.content == "one"
    gate.set()
    (response,) = events(store, "llm_response")
    assert (response.content, response.complete, response.status) == ("one", False, "cancelled")
    assert not events(store, "error")


def test_a_stream_that_is_dropped_without_a_word_is_recorded_too(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    gate = threading.Event()
    server.answer(stream("one", "two", gate=gate))
    answer = iter(ask(client, stream=True))
    next(answer)
    del answer
    gc.collect()
    gate.set()
    (response,) = events(store, "llm_response")
    assert (response.content, response.status) == ("one", "cancelled")


async def test_a_cancelled_call_is_cancelled_and_no_error(store: Database, server: Loopback) -> None:
    gate = threading.Event()
    server.answer(stream("one", "two", gate=gate))
    started = asyncio.Event()

    async def listen(client: AsyncOpenAI) -> None:
        async for _ in await ask(client, stream=True):
            started.set()

    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        task = asyncio.create_task(listen(client))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.set()
    (response,) = events(store, "llm_response")
    assert (response.content, response.status) == ("one", "cancelled")
    assert not events(store, "error")


async def test_parallel_calls_each_keep_their_own_answer_retries_and_place(store: Database, server: Loopback) -> None:
    bodies = [{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"call {n}"}]} for n in range(6)]
    rows = [
        {"request_body": body, "response_body": message(f"answer {n}").chunks[0].decode(), "stream": False,
         "status": 200, "content_type": None, "response_headers": {}}
        for n, body in enumerate(bodies)
    ]  # fmt: skip
    server.answer(*[error(500) for _ in bodies])
    failing = server.reply_to
    seen: set[str] = set()

    def first_fails(request: Any) -> Any:
        text = json.dumps(request.body)
        if text in seen:
            return failing(request)
        seen.add(text)
        return error(500)

    server.reply_to = first_fails  # type: ignore[method-assign]
    server.replay(rows)
    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=2) as client:
        with pp.trace_session("parallel"):
            await asyncio.gather(*(client.chat.completions.create(**body) for body in bodies))
    asked = {request.id: request.messages[0]["content"] for request in events(store, "llm_request")}
    answered = {asked[response.parent_id]: response.content for response in events(store, "llm_response")}
    assert answered == {f"call {n}": f"answer {n}" for n in range(6)}
    assert sorted(attempts(store)) == [(1, 500, 0)] * 6 + [(2, 200, 1)] * 6
    assert not events(store, "error")


# What the application sees


def test_chunks_come_one_by_one_as_the_server_sends_them(store: Database, server: Loopback, client: OpenAI) -> None:
    gate = threading.Event()
    server.answer(stream("now", "later", gate=gate))
    answer = iter(ask(client, stream=True))
    assert next(answer).choices[0].delta.content == "now"  # while the server holds back the rest
    gate.set()
    assert [chunk.choices[0].delta.content for chunk in answer] == ["later", None]


def test_raw_and_streaming_responses_are_what_they_were(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(*[message("same") for _ in range(4)])

    def look() -> tuple[Any, ...]:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=ASK)
        with client.chat.completions.with_streaming_response.create(model="gpt-4o-mini", messages=ASK) as streaming:
            body = streaming.read()
            assert streaming.http_response.elapsed is not None
        return raw.status_code, raw.text, raw.parse(), body

    watched = look()
    transport.uninstall()
    assert look() == watched
    assert [response.content for response in events(store, "llm_response")] == ["same", "same"]


def test_requests_that_are_no_model_calls_pass_untouched(store: Database, server: Loopback) -> None:
    server.answer(*[message("x") for _ in range(4)])
    with httpx2.Client() as client, client.stream("POST", f"{server.url}/files", json={"messages": []}) as response:
        assert type(response.stream).__module__.startswith("httpx2")
        response.read()
    with httpx2.Client() as client:
        client.get(f"{server.url}/chat/completions")
        client.post(f"{server.url}/chat/completions", content=b"not json, but messages")
        client.post(f"{server.url}/chat/completions", content=iter([b'{"messages": []}']))
    assert attempts(store) == []
    assert store.connection().execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_nothing_is_recorded_while_recording_is_paused(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("unheard"))
    with pp.pause():
        assert ask(client).choices[0].message.content == "unheard"
    assert attempts(store) == []


def test_uninstalling_puts_every_method_back() -> None:
    transport.uninstall()
    classes = [module_class for module in (httpx, httpx2) for module_class in (module.Client, module.AsyncClient)]
    before = [each.__dict__["send"] for each in classes]
    finders = list(sys.meta_path)
    transport.install()
    assert [each.__dict__["send"] for each in classes] != before
    transport.uninstall()
    assert [each.__dict__["send"] for each in classes] == before
    assert sys.meta_path == finders


def test_a_patch_of_another_tool_on_top_of_ours_survives_uninstalling(
    store: Database, server: Loopback, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, seen = httpx2.Client.send, []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(httpx2.Client, "send", theirs)
    transport.uninstall()
    server.answer(message("unrecorded"), message("recorded"))
    ask(client)
    transport.install()
    ask(client)
    assert len(seen) == 2
    assert [response.content for response in events(store, "llm_response")] == ["recorded"]


# A conversation


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


def stored_bytes(store: Database) -> int:
    """The bytes of every value in the tables of model calls."""
    store.ingest()
    total = 0
    for table in ("events", "exchanges"):
        for row in store.connection().execute(f"SELECT * FROM {table}"):
            total += sum(
                len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 8
                for value in row
            )
    return total


def test_events_of_a_call_outside_any_session_say_that_their_place_is_a_guess(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("hello"))
    ask(client)
    request: Event = events(store, "llm_request")[0]
    assert request.metadata == {"context": "inferred"}
