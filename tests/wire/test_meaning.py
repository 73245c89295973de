"""Tools, decisions and refusals that nobody recorded are read off the conversation."""

from __future__ import annotations

from typing import Any

from openai import OpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, message, tool_call
from tests.wire.calls import ASK, TOOLS, ask, events, kinds


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
    declined, _ = events(store, "llm_response")
    assert (declined.suspect, declined.data["refusal"]) == (None, "I can't help with that.")


def test_an_answer_that_is_sent_back_is_written_once_and_read_whole(
    client: OpenAI, server: Loopback, store: Database
) -> None:
    answers = [f"answer {number}: " + "it rains in Paris, " * 20 for number in range(3)]
    server.answer(*(message(answer) for answer in answers))
    messages: list[Any] = []
    with pp.trace_session("chat"):
        for number in range(3):
            messages.append({"role": "user", "content": f"question {number}: " + "please, " * 40})
            said = ask(client, messages).choices[0].message
            messages.append({"role": "assistant", "content": said.content, "name": "guide"})
    asked = events(store, "llm_request")
    assert asked[-1].messages == messages[:-1]
    assert pp.messages("chat").content.tolist() == [each["content"] for each in messages]
    (written,) = store.connection().execute("SELECT group_concat(payload) FROM events").fetchone()
    assert [written.count(answer) for answer in answers] == [1, 1, 1]


def test_an_answer_that_is_spoken_is_told_by_its_text_and_size(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message(audio={"id": "audio_1", "data": "aGVsbG8=", "transcript": "Hello!", "expires_at": 1}))
    ask(client, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"})
    (said,) = events(store, "llm_response")
    assert (said.data["audio"], said.suspect) == ({"transcript": "Hello!", "bytes": 5}, None)
