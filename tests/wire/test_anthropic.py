"""What is recorded of Anthropic's model calls equals what its SDK returned."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, real_exchanges
from tests.replies import (
    anthropic_error,
    anthropic_events,
    anthropic_message,
    anthropic_stream,
    host,
    thinking,
    tool_result,
    tool_use,
)
from tests.wire.calls import ASK, attempts, dump, events, kinds, stored_bytes

EXCHANGES = real_exchanges("anthropic_exchanges.jsonl")
MESSAGES = [each for each in EXCHANGES if "/v1/messages" in each["uri"]]
STREAMS = [each for each in MESSAGES if each["stream"]]
TOOLS: list[Any] = [{"name": name, "input_schema": {"type": "object"}} for name in ("weather", "news")]
KEY = "sk-ant-api03-" + "Ab3dEf9h" * 6
ALL_KINDS = [thinking("Paris it is."), "Let ", "me look.", tool_use("call-1", "weather", city="Paris, France")]
old_models = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


@pytest.fixture
def client(server: Loopback) -> Iterator[Anthropic]:
    with Anthropic(base_url=host(server), api_key=KEY, max_retries=0) as client:
        yield client


def ask(client: Any, messages: list[Any] = ASK, **more: Any) -> Any:
    return client.messages.create(**{"model": "claude-haiku-4-5", "max_tokens": 100, "messages": messages, **more})


def again(client: Any, exchange: dict[str, Any], how: str = "create") -> Any:
    """Ask what was asked in a real exchange."""
    body = exchange["request_body"]
    messages = client.beta.messages if "beta=true" in exchange["uri"] else client.messages
    known = {name: body[name] for name in ("model", "messages", "max_tokens")}
    rest = {name: value for name, value in body.items() if name not in known and (how, name) != ("stream", "stream")}
    return getattr(messages, how)(**known, extra_body=rest, **({"stream": True} if rest.get("stream") else {}))


def assert_same_answer(response: Any, theirs: Any) -> None:
    blocks = [block.to_dict() for block in theirs.content]
    assert response.content == ("".join(block["text"] for block in blocks if block["type"] == "text") or None)
    thoughts = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    assert response.thinking == (thoughts or None)
    assert [(call["id"], call["name"], call["arguments"]) for call in response.tool_calls or []] == [
        (block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
    ]
    if any(block["type"] not in ("text", "tool_use") for block in blocks):
        assert [_said(block) for block in response.data["blocks"]] == [_said(block) for block in blocks]
    assert (response.finish_reason, response.model) == (theirs.stop_reason, theirs.model)
    usage = theirs.usage
    cached = (usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    details = usage.output_tokens_details
    assert response.usage == {
        "input": usage.input_tokens + sum(count or 0 for count in cached), "output": usage.output_tokens,
        "cache_read": cached[0], "cache_write": cached[1], "reasoning": details and details.thinking_tokens,
    }  # fmt: skip
    assert _said(response.data["usage"]) == _said(usage.to_dict())


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and name != "parsed_output"}


@old_models
@pytest.mark.parametrize("exchange", MESSAGES, ids=lambda exchange: exchange["id"])
def test_a_real_exchange_is_recorded_as_the_sdk_returned_it(
    store: Database, server: Loopback, client: Anthropic, exchange: dict[str, Any]
) -> None:
    server.replay([exchange])
    body = exchange["request_body"]
    failure = theirs = None
    with pp.trace_session("real"):
        try:
            if body.get("stream"):
                with again(client, exchange, "stream") as stream:
                    theirs = stream.get_final_message()
            else:
                theirs = again(client, exchange)
        except anthropic.APIStatusError as error:
            failure = error
    request, response, *rest = [event for event in events(store) if not event.metadata.get("derived")]
    messages = list(request.messages)
    said = {"system": messages.pop(0)["content"]} if "system" in body else {}
    said |= {"model": request.model, "messages": messages, "tools": request.tools, "stream": request.stream}
    said |= request.settings
    assert {name: said[name] for name in body} == body
    assert (request.provider, response.parent_id) == ("anthropic", request.id)
    if failure:
        (recorded_error,) = rest
        assert response.status == "error"
        assert failure.body["error"] == {"type": recorded_error.error_type, "message": recorded_error.error_message}
    else:
        assert rest == []
        assert (response.status, response.complete) == ("ok", True)
        assert_same_answer(response, theirs)


@old_models
@pytest.mark.parametrize("exchange", STREAMS, ids=lambda exchange: exchange["id"])
async def test_a_real_stream_is_recorded_whole_from_the_async_client_and_its_raw_events(
    store: Database, server: Loopback, exchange: dict[str, Any]
) -> None:
    server.replay([exchange, exchange])
    async with AsyncAnthropic(base_url=host(server), api_key="test", max_retries=0) as client:
        async with again(client, exchange, "stream") as stream:
            theirs = await stream.get_final_message()
        async for _ in await again(client, exchange):
            pass
    first, second = events(store, "llm_response")
    for response in (first, second):
        assert_same_answer(response, theirs)
        assert 0 < response.time_to_first_token_ms <= response.duration_ms


@pytest.mark.parametrize("exchange", [each for each in EXCHANGES if each not in MESSAGES], ids=lambda each: each["id"])
def test_text_completions_are_recorded(
    store: Database, server: Loopback, client: Anthropic, exchange: dict[str, Any]
) -> None:
    server.replay([exchange])
    body = exchange["request_body"]
    if body.get("stream"):
        pieces = client.post(
            "/v1/complete", body=body, cast_to=object, stream=True, stream_cls=anthropic.Stream[object]
        )
        text = "".join(piece["completion"] for piece in pieces)  # type: ignore[index]
    else:
        text = client.post("/v1/complete", body=body, cast_to=object)["completion"]  # type: ignore[index]
    request, response = events(store)
    assert request.messages == [{"role": "user", "content": body["prompt"]}]
    assert {"model": request.model, **request.settings}.items() <= body.items()
    assert (response.content, response.finish_reason, response.complete) == (text, "stop_sequence", True)
    assert response.usage is None


@pytest.mark.parametrize("whole", [True, False])
def test_text_thinking_and_tools_come_together_whole_and_streamed(
    store: Database, server: Loopback, client: Anthropic, whole: bool
) -> None:
    server.answer(anthropic_message(*ALL_KINDS) if whole else anthropic_stream(*ALL_KINDS))
    if whole:
        theirs = ask(client)
    else:
        with client.messages.stream(model="claude-haiku-4-5", max_tokens=100, messages=ASK) as stream:  # type: ignore[arg-type]
            theirs = stream.get_final_message()
    (response,) = events(store, "llm_response")
    assert_same_answer(response, theirs)
    assert (response.content, response.thinking) == ("Let me look.", "Paris it is.")


def test_tools_and_decisions_are_read_off_the_conversation(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    mapped = tool_use("call-3", "map")
    server.answer(
        anthropic_stream(*ALL_KINDS, tool_use("call-2", "news")), anthropic_message(mapped), anthropic_message("Rain.")
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}
    with pp.trace_session("derived"):
        with client.messages.stream(model="claude-haiku-4-5", max_tokens=100, messages=ASK, tools=TOOLS) as stream:  # type: ignore[arg-type]
            said = stream.get_final_message()
        results = tool_result("call-1", [{"type": "text", "text": "rain"}])
        results["content"] += tool_result("call-2", "no line", is_error=True)["content"]
        history = [*ASK, {"role": "assistant", "content": said.content}, results]
        said = ask(client, history, tools=TOOLS)
        ask(client, [*history, {"role": "assistant", "content": said.content}, tool_result("call-3", [image])])
        assert pp.messages().role.tolist().count("assistant") == 3  # what is sent back is not said twice
    assert kinds(store)[:7] == [
        "llm_request", "llm_response", "decision", "tool_call", "tool_result", "tool_call", "tool_result",
    ]  # fmt: skip
    decision, _ = events(store, "decision")
    assert (decision.chosen_action, decision.reasoning) == ("weather, news", "Let me look.")
    call, *_ = events(store, "tool_call")
    assert (call.tool_name, call.arguments, call.call_id) == ("weather", {"city": "Paris, France"}, "call-1")
    rain, failed, drawn = events(store, "tool_result")
    assert (rain.result, rain.error, rain.failed) == ("rain", None, False)
    assert (failed.error, failed.failed, drawn.result) == ("no line", True, [image])
    assert events(store, "llm_request")[1].upstream_event_ids == [rain.id, failed.id]


def test_tools_that_anthropic_ran_itself_are_calls_under_the_request_and_name_their_server(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    hosted: list[Any] = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u"}]},
        {"type": "mcp_tool_use", "id": "m1", "name": "ask", "input": {"q": 1}, "server_name": "deepwiki"},
        {"type": "mcp_tool_result", "tool_use_id": "m1", "is_error": True, "content": [{"type": "text", "text": "no"}]},
        {"type": "server_tool_use", "id": "s2", "name": "web_fetch", "input": {"url": "u"}},
        {"type": "web_fetch_tool_result", "tool_use_id": "s2",
         "content": {"type": "web_fetch_tool_error", "error_code": "unavailable"}},
    ]  # fmt: skip
    server.answer(anthropic_message(*hosted, "It rains.", stop_reason="end_turn"))
    client.beta.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASK)  # type: ignore[arg-type]
    calls, results = events(store, "tool_call"), events(store, "tool_result")
    assert [(call.tool_name, call.arguments, call.data.get("server")) for call in calls] == [
        ("web_search", {"query": "rain"}, None), ("ask", {"q": 1}, "deepwiki"), ("web_fetch", {"url": "u"}, None),
    ]  # fmt: skip
    assert [(result.parent_id, result.error) for result in results] == [
        (calls[0].id, None), (calls[1].id, "no"), (calls[2].id, "unavailable"),
    ]  # fmt: skip
    assert {call.parent_id for call in calls} == {event.id for event in events(store, "llm_request")}
    assert not events(store, "decision")


def test_a_tool_of_anthropics_that_is_still_running_when_the_answer_pauses_has_its_result_in_the_next(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    server.answer(anthropic_message(search, stop_reason="pause_turn"), anthropic_message(found, "It rains."))
    with pp.trace_session("paused"):
        ask(client)
        ask(client, [*ASK, {"role": "assistant", "content": [search]}])
    assert kinds(store) == ["llm_request", "tool_call", "llm_response", "llm_request", "tool_result", "llm_response"]
    (call,), (result,) = events(store, "tool_call"), events(store, "tool_result")
    assert (call.call_id, call.tool_name) == (result.call_id, result.tool_name) == ("s1", "web_search")
    assert events(store, "llm_response")[0].suspect is None


def test_an_overloaded_server_that_recovers_is_one_call_of_several_attempts(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    server.answer(anthropic_error(529, "overloaded_error"), anthropic_error(429), anthropic_message("at last"))
    with pp.trace_session("flaky"):
        ask(client.with_options(max_retries=3))
    assert kinds(store) == ["llm_request", "llm_response"]
    assert attempts(store) == [(1, 529, 0), (2, 429, 0), (3, 200, 1)]


def test_an_overloaded_server_is_one_error_by_its_own_name(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    server.answer(anthropic_error(529, "overloaded_error", "Overloaded"))
    with pp.trace_session("down"), pytest.raises(anthropic.APIStatusError):
        ask(client)
    (failure,) = events(store, "error")
    assert (failure.error_type, failure.error_message) == ("overloaded_error", "Overloaded")


def test_an_error_in_the_middle_of_a_stream_ends_it_and_keeps_what_came(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    reply = anthropic_stream("half", done=False)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply.chunks += anthropic_events(overloaded).chunks
    server.answer(reply)
    with pytest.raises(anthropic.APIStatusError):
        list(ask(client, stream=True))
    _, response, failure = events(store)
    assert (response.content, response.status, response.complete) == ("half", "error", False)
    assert (failure.error_type, failure.error_message) == ("overloaded_error", "Overloaded")


@pytest.mark.parametrize("done", [True, False])
def test_streams_that_are_left_or_break_off_are_marked(
    store: Database, server: Loopback, client: Anthropic, done: bool
) -> None:
    gate = threading.Event()
    reply = anthropic_stream("one", "two", done=done, gate=gate, breaks_off=not done)
    server.answer(reply)
    stream = iter(ask(client, stream=True))
    for event in stream:
        if event.type == "content_block_delta":
            break
    if done:
        del stream
        gc.collect()
        gate.set()
    else:
        gate.set()
        with pytest.raises(httpx2.RemoteProtocolError):  # the SDK lets it through
            list(stream)
    (response,) = events(store, "llm_response")
    assert (response.complete, response.finish_reason) == (False, None)
    assert (response.content, response.status) == (("one", "cancelled") if done else ("onetwo", "error"))
    assert response.usage["input"] == 11


def test_a_refusal_is_a_refusal_with_its_reason(store: Database, server: Loopback, client: Anthropic) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "This could do harm."}
    server.answer(
        anthropic_message(stop_reason="refusal", stop_details=details),
        anthropic_stream("I can't.", fields={"stop_reason": "refusal"}),
        anthropic_message(stop_reason="refusal"),
    )
    ask(client)
    list(ask(client, stream=True))
    ask(client)
    assert [(each.reason, each.policy_name) for each in events(store, "refusal")] == [
        ("This could do harm.", "anthropic"),
        ("I can't.", "anthropic"),
        ("the provider's classifiers stopped the answer", "anthropic"),
    ]


def test_counting_tokens_and_batches_are_no_model_calls(store: Database, server: Loopback, client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="claude-haiku-4-5", messages=ASK)  # type: ignore[arg-type]
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.create(requests=[{"custom_id": "1", "params": {"messages": ASK}}])  # type: ignore[typeddict-item]
    assert attempts(store) == []
    assert events(store) == []


def test_the_price_counts_what_was_cached_once(store: Database, server: Loopback, client: Anthropic) -> None:
    cached = {"cache_read_input_tokens": 1_000_000, "cache_creation_input_tokens": 100_000}
    usage = {"input_tokens": 100_000, "output_tokens": 10_000, **cached}
    for_an_hour = usage | {"cache_creation": {"ephemeral_1h_input_tokens": 100_000}}
    for counted in (usage, for_an_hour, usage | {"service_tier": "priority"}):
        server.answer(anthropic_message("a", usage=counted, model="claude-haiku-4-5-20251001"))
        ask(client)
    response, *others = events(store, "llm_response")
    assert [other.cost_usd for other in others] == [None, None]  # what these cost is not in the table
    assert response.cost_usd == pytest.approx(0.1 * 1 + 1.0 * 0.1 + 0.1 * 1.25 + 0.01 * 5)


def test_no_credential_reaches_the_store_even_cut_into_deltas(
    store: Database, server: Loopback, client: Anthropic
) -> None:
    blocks = [thinking(f"the key {KEY} is his"), *(KEY[at : at + 7] for at in range(0, len(KEY), 7)), "."]
    server.answer(anthropic_stream(*blocks, tool_use("t", "log_in", with_key=KEY)), anthropic_message(KEY))
    list(ask(client, stream=True, extra_headers={"x-api-key": KEY}))
    ask(client, [{"role": "user", "content": f"my key is {KEY}"}], extra_query={"key": "qu3ry-key-of-ours"})
    streamed, _ = events(store, "llm_response")
    assert streamed.content.startswith("[redacted:")
    assert streamed.thinking.startswith("the key [redacted:")
    assert streamed.tool_calls[0]["arguments"]["with_key"].startswith("[redacted:")
    written = dump(store)
    for secret in (KEY, KEY[7:30], KEY[-9:], "qu3ry-key-of-ours"):
        assert secret not in written


def test_a_conversation_grows_by_what_is_new(store: Database, server: Loopback, client: Anthropic) -> None:
    history: list[Any] = []
    raw, sizes = 0, {}
    with pp.trace_session("long"):
        for turn in range(1, 51):
            history.append({"role": "user", "content": f"Question {turn}: " + "and what about this? " * 80})
            server.answer(anthropic_message(f"Answer {turn}: " + "it depends on that. " * 80))
            answer = ask(client, history, system="You are a patient assistant. " * 20, tools=TOOLS)
            raw += len(str(server.requests[-1].body))
            history.append({"role": "assistant", "content": [block.to_dict() for block in answer.content]})
            sizes[turn] = stored_bytes(store) if turn in (25, 50) else 0
    assert sizes[50] / sizes[25] <= 2.1
    assert sizes[50] <= 0.10 * raw
    requests = events(store, "llm_request")
    assert requests[-1].messages[1:] == history[:-1]


def test_claude_through_vertex_is_recorded_with_the_model_that_its_path_names(
    store: Database, server: Loopback
) -> None:
    server.answer(anthropic_message("whole", model="claude-haiku-4-5@20251001"), anthropic_stream("in ", "pieces"))
    vertex = anthropic.AnthropicVertex(
        base_url=f"{host(server)}/v1", region="europe-west1", project_id="ours", access_token="t0ken", max_retries=0
    )
    with vertex as client:
        ask(client, model="claude-haiku-4-5@20251001")
        list(ask(client, model="claude-haiku-4-5@20251001", stream=True))
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="claude-haiku-4-5@20251001", messages=ASK)  # type: ignore[arg-type]
    first, second = events(store, "llm_request")
    assert (first.provider, first.model, first.stream) == ("google", "claude-haiku-4-5@20251001", False)
    assert second.stream
    whole, pieces = events(store, "llm_response")
    assert (whole.content, pieces.content) == ("whole", "in pieces")
    assert whole.cost_usd == pytest.approx(11e-6 * 1 + 7e-6 * 5)
