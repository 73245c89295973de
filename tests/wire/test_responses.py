"""Calls of OpenAI's Responses API, by the real SDK: whole and streamed, with the agent's tools and the provider's."""

from __future__ import annotations

import json
import threading
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.responses._responses import ResponseStreamState

import peaky_peek as pp
from peaky_peek.capture.providers import openai_responses, sse
from peaky_peek.capture.redaction import Redactor
from peaky_peek.events import LLMResponse
from peaky_peek.store import Database
from tests.loopback import (
    Loopback,
    error,
    function_call,
    output_text,
    real_exchanges,
    recorded,
    response,
    response_stream,
)
from tests.wire.calls import attempts, events, kinds

TOOLS = [{"type": "function", "name": name, "parameters": {}} for name in ("weather", "news")]
STREAMS = [
    each
    for each in real_exchanges("openai_exchanges.jsonl")
    if each["stream"] and each["method"] == "POST" and each["uri"].endswith("/responses")
]
KEY = "sk-proj-" + "Ab3dEf9h" * 5
REDACTOR = Redactor(key=lambda: b"key")


def ask(client: Any, given: Any = "What is the weather in Paris?", **more: Any) -> Any:
    return client.responses.create(model="gpt-4o-mini", input=given, **more)


def answer(store: Database) -> LLMResponse:
    (found,) = events(store, "llm_response")
    return found  # type: ignore[no-any-return]


def test_an_agents_tools_and_decisions_are_read_off_its_items(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response("Let me look.", function_call("c1", "weather", city="Paris")), response("Sunny."))
    with pp.trace_session("agent"):
        items: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
        items += [item.to_dict() for item in ask(client, items, tools=TOOLS, instructions="Be brief.").output]
        items.append({"type": "function_call_output", "call_id": "c1", "output": "22 degrees"})
        ask(client, items, tools=TOOLS, instructions="Be brief.")
    first, _, decision, called, result, second, last = events(store)
    assert kinds(store) == [
        "llm_request", "llm_response", "decision", "tool_call", "tool_result", "llm_request", "llm_response",
    ]  # fmt: skip
    assert (decision.chosen_action, decision.alternatives, decision.reasoning) == ("weather", ["news"], "Let me look.")
    assert (called.tool_name, called.arguments, result.result) == ("weather", {"city": "Paris"}, "22 degrees")
    assert second.upstream_event_ids == [result.id]
    assert first.messages == [{"role": "system", "content": "Be brief."}, items[0]]
    assert second.messages == [{"role": "system", "content": "Be brief."}, *items]
    assert (last.content, last.finish_reason) == ("Sunny.", "completed")


def test_its_items_are_messages_each_once_in_the_frame(store: Database, server: Loopback, client: OpenAI) -> None:
    asked = function_call("c1", "weather", city="Paris"), function_call("c2", "news")
    server.answer(response("Let me look.", *asked), response(function_call("c3", "news")), response("Sunny."))
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    with pp.trace_session("agent"):
        items: list[Any] = [{"role": "user", "content": "Paris?"}]
        for outputs in ({"c1": "22 degrees", "c2": "none"}, {"c3": "still none"}, {}):
            items += [thought, *(item.to_dict() for item in ask(client, items, tools=TOOLS).output)]
            items += [{"type": "function_call_output", "call_id": key, "output": said} for key, said in outputs.items()]
    frame = pp.messages()
    assert frame[["role", "content", "tool_call_id"]].fillna("").to_numpy().tolist() == [
        ["user", "Paris?", ""],
        ["assistant", "Let me look.", ""],
        ["tool", "22 degrees", "c1"],
        ["tool", "none", "c2"],
        ["assistant", "", ""],
        ["tool", "still none", "c3"],
        ["assistant", "Sunny.", ""],
    ]
    assert [call["id"] for calls in frame["tool_calls"].dropna() for call in calls] == ["c1", "c2", "c3"]


def test_calls_in_a_history_that_was_not_seen_are_in_the_same_form(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response("Sunny."))
    with pp.trace_session("agent"):
        ask(client, [{"role": "user", "content": "Paris?"}, function_call("c1", "weather", city="Paris")])
    assert pp.messages()["tool_calls"].iloc[1] == [{"id": "c1", "name": "weather", "arguments": {"city": "Paris"}}]


def test_where_the_provider_keeps_the_history_a_call_is_known_from_the_answer_that_asked(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response(function_call("c1", "weather", city="Paris")), response("Sunny."))
    output = [{"type": "function_call_output", "call_id": "c1", "output": "22 degrees"}]
    with pp.trace_session("remembered"):
        ask(client, tools=TOOLS)
        ask(client, output, tools=TOOLS, previous_response_id="resp_1")
    (called,), (result,) = events(store, "tool_call"), events(store, "tool_result")
    assert (called.arguments, result.result, result.parent_id) == ({"city": "Paris"}, "22 degrees", called.id)
    assert events(store, "llm_request")[1].settings == {"previous_response_id": "resp_1"}


def test_tools_that_ran_at_the_provider_are_events_inside_the_call(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    mcp = {"type": "mcp_call", "id": "mcp_1", "name": "search", "server_label": "calendar", "arguments": '{"q": 1}'}
    ran = {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "status": "completed", "container_id": "c"}
    action = {"type": "search", "query": "x"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action}
    server.answer(
        response(
            mcp | {"output": "two events", "error": None},
            mcp | {"id": "mcp_2", "output": None, "error": {"type": "http_error", "code": 500, "message": "down"}},
            ran | {"outputs": [{"type": "logs", "logs": "2"}]},
            search,
            "Done.",
        )
    )
    ask(client)
    (request,) = events(store, "llm_request")
    called, results = events(store, "tool_call"), events(store, "tool_result")
    assert [(each.tool_name, each.arguments, each.data) for each in called] == [
        ("search", {"q": 1}, {"server": "calendar"}),
        ("search", {"q": 1}, {"server": "calendar"}),
        ("code_interpreter", {"code": "1+1"}, {}),
        ("web_search", action, {}),
    ]
    assert [(each.result, each.error, each.failed) for each in results] == [
        ("two events", None, False),
        (None, "down", True),
        ([{"type": "logs", "logs": "2"}], None, False),
        ({"status": "completed"}, None, False),
    ]
    assert {each.parent_id for each in called} == {request.id}
    assert [each.parent_id for each in results] == [each.id for each in called]
    assert all(each.metadata == {"derived": True} and each.suspect is None for each in called + results)
    assert kinds(store)[-1] == "llm_response"
    assert answer(store).tool_calls is None


def test_custom_tools_and_those_of_the_agents_own_machine_are_calls_that_it_is_to_run(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    custom = {"type": "custom_tool_call", "id": "ct_1", "call_id": "c1", "name": "sql", "input": "SELECT 1"}
    shell = {"type": "local_shell_call", "id": "ls_1", "call_id": "c2", "status": "completed"}
    action = {"type": "exec", "command": ["ls"], "env": {}}
    server.answer(response(custom, shell | {"action": action}), response("Done."))
    with pp.trace_session("own machine"):
        ask(client)
        ask(
            client,
            [
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
                {"type": "local_shell_call_output", "id": "ls_1", "call_id": "c2", "output": "a.txt"},
            ],
            previous_response_id="resp_1",
        )
    assert [(each.tool_name, each.arguments) for each in events(store, "tool_call")] == [
        ("sql", "SELECT 1"), ("local_shell", action),
    ]  # fmt: skip
    assert [each.result for each in events(store, "tool_result")] == ["1", "a.txt"]


def test_thinking_is_the_reasoning_that_is_shown_and_ciphertext_is_kept_beside_it(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    shown = [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}]
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": shown, "encrypted_content": "gAAA"}
    server.answer(response(reasoning, "42"))
    ask(client)
    assert answer(store).thinking == "First.\n\nThen."
    assert answer(store).data["reasoning"] == [reasoning]


@pytest.mark.parametrize(
    ("reason", "suspect"), [("max_output_tokens", "cut off at the token limit"), ("content_filter", None)]
)
def test_an_incomplete_answer_says_why(
    store: Database, server: Loopback, client: OpenAI, reason: str, suspect: str | None
) -> None:
    server.answer(response("Half an", status="incomplete", incomplete_details={"reason": reason}))
    ask(client)
    found = answer(store)
    assert (found.finish_reason, found.suspect, found.complete, found.content) == (reason, suspect, True, "Half an")
    assert len(events(store, "refusal")) == (reason == "content_filter")


def test_a_refusal_is_a_refusal(store: Database, server: Loopback, client: OpenAI) -> None:
    refused = output_text() | {"content": [{"type": "refusal", "refusal": "I will not."}]}
    server.answer(response(refused), response_stream(refused))
    ask(client)
    list(ask(client, stream=True))
    assert [each.reason for each in events(store, "refusal")] == ["I will not."] * 2
    assert [each.suspect for each in events(store, "llm_response")] == [None] * 2


def test_a_stream_that_fails_in_the_end_is_an_error(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(response_stream("Half an", failure={"code": "server_error", "message": "try again"}))
    list(ask(client, stream=True))
    (failure,) = events(store, "error")
    assert (failure.error_type, failure.error_message) == ("server_error", "try again")
    assert (answer(store).status, answer(store).complete, answer(store).content) == ("error", False, "Half an")


@pytest.mark.parametrize("exchange", STREAMS, ids=lambda exchange: exchange["id"])
def test_wherever_a_real_stream_is_left_what_came_is_what_the_sdk_has_of_it(exchange: dict[str, Any]) -> None:
    chunks = recorded(exchange).chunks
    state: Any = ResponseStreamState(input_tools=openai.NOT_GIVEN, text_format=openai.NOT_GIVEN)
    adapter = openai.resources.responses.responses.ResponseStreamEvent
    for end, chunk in enumerate(chunks[:-2], 1):
        for _, data in sse.events(chunk):  # none in a comment
            state.handle_event(openai._models.construct_type(type_=adapter, value=json.loads(data)))
        if end % max(1, len(chunks) // 6):
            continue
        snapshot = state._ResponseStreamState__current_snapshot
        if snapshot is None:
            continue
        read = openai_responses.answer(200, b"".join(chunks[:end]), stream=True)
        assert not read.complete
        assert (read.content or "") == snapshot.output_text
        ours = [call["name"] for call in read.tool_calls]
        assert ours == [item.name for item in snapshot.output if item.type == "function_call"]


def test_a_stream_that_breaks_off_keeps_what_came_and_says_why(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    call = function_call("c1", "weather", city="Paris")
    server.answer(response_stream("Half an answer", done=False, breaks_off=True))
    server.answer(response_stream("Let me look.", call, done=False, breaks_off=True))
    for _ in range(2):
        with pytest.raises(openai.APIConnectionError):
            list(ask(client, stream=True))
    first, second = events(store, "llm_response")
    assert (first.content, first.complete, first.status, first.usage) == ("Half an answer", False, "error", None)
    assert (second.content, second.tool_calls) == (
        "Let me look.", [{"id": "c1", "name": "weather", "arguments": {"city": "Paris"}}],
    )  # fmt: skip
    assert [each.error_type for each in events(store, "error")] == ["RemoteProtocolError"] * 2


def test_a_stream_that_is_closed_early_is_cancelled(store: Database, server: Loopback, client: OpenAI) -> None:
    gate = threading.Event()
    server.answer(response_stream("never read", gate=gate))
    with ask(client, stream=True) as stream:
        assert next(stream).type == "response.created"
    gate.set()
    found = answer(store)
    assert (found.status, found.complete, found.finish_reason) == ("cancelled", False, None)
    assert not events(store, "error")


def test_the_first_token_is_told_from_what_comes_before_it(store: Database, server: Loopback, client: OpenAI) -> None:
    body = b"".join(response_stream("Hello there").chunks)
    read = openai_responses.answer(200, body, stream=True)
    assert b"delta" in body[: read.first_token].split(b"\n\n")[-2]
    server.answer(response_stream("Hello there"))
    list(ask(client, stream=True))
    assert answer(store).time_to_first_token_ms > 0


def test_retries_are_attempts_of_one_request(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(error(429), response("at last"), error(500), response_stream("once more"))
    patient = client.with_options(max_retries=2)
    with pp.trace_session("flaky"):
        ask(patient)
        list(ask(patient, "again", stream=True))
    assert [each.content for each in events(store, "llm_response")] == ["at last", "once more"]
    assert attempts(store) == [(1, 429, 0), (2, 200, 1), (1, 500, 0), (2, 200, 1)]
    assert not events(store, "error")


async def test_the_async_client_is_recorded_alike(store: Database, server: Loopback) -> None:
    server.answer(response("one"), response_stream("two", function_call("c1", "news")))
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        with pp.trace_session("async"):
            await ask(client)
            async with client.responses.stream(model="gpt-4o-mini", input="more") as stream:
                async for _ in stream:
                    pass
                theirs = await stream.get_final_response()
    first, second = events(store, "llm_response")
    assert (first.content, second.content) == ("one", theirs.output_text)
    assert second.tool_calls == [{"id": "c1", "name": "news", "arguments": {}}]


@pytest.mark.parametrize("size", [1, 5, 13])
def test_a_credential_cut_into_deltas_is_redacted(size: int) -> None:
    told = f"the key is {KEY}, do not tell"
    call = function_call("c1", "login", key=KEY)
    chunks = response_stream(told, call).chunks
    deltas = [chunk for chunk in chunks if b"output_text.delta" in chunk]
    texts = [json.dumps(told[at : at + size]).encode() for at in range(0, len(told), size)]
    pieces = [deltas[0].replace(b'"the "', text) for text in texts]
    body = b"".join(chunks).replace(b"".join(deltas), b"".join(pieces))
    part = body[: body.index(b"function_call_arguments.done")]  # the deltas alone
    for text in (body, part):
        cleaned = sse.cleaned(text, REDACTOR.clean)
        assert b"Ab3dEf9hAb3d" not in cleaned
        read = openai_responses.answer(200, cleaned, stream=True)
        assert "redacted" in str(read.tool_calls)
    assert read.content == REDACTOR.clean(told.encode()).decode()


def test_a_long_conversation_takes_space_for_what_is_new(store: Database, server: Loopback, client: OpenAI) -> None:
    def size(turns: int) -> int:
        items: list[Any] = []
        with pp.trace_session(f"{turns} turns"):
            for turn in range(turns):
                items.append({"role": "user", "content": f"question {turn}: " + "please, " * 60})
                server.answer(response(f"answer {turn} " + "certainly, " * 30))
                items += [item.to_dict() for item in ask(client, items, instructions="Be brief.").output]
        assert events(store, "llm_request")[-1].messages == [{"role": "system", "content": "Be brief."}, *items[:-1]]
        store.ingest()
        sql = """SELECT sum(length(request)) FROM exchanges e JOIN sessions USING (session_id) WHERE name = ?"""
        return int(store.connection().execute(sql, (f"{turns} turns",)).fetchone()[0])

    assert size(24) < 2.2 * size(12)
