"""What chat completions say, read from their bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from peaky_peek.capture.bodies import Bodies
from peaky_peek.capture.providers import ENDPOINTS, module_for, openai_chat, recognises, sse
from peaky_peek.capture.redaction import Redactor
from tests.loopback import real_exchanges, recorded, stream

KEY = b"sk-proj-" + b"Ab3dEf9h" * 5
REDACTOR = Redactor(key=lambda: b"key")
WHOLE = [each for each in real_exchanges() if not each["stream"] and each["status"] == 200]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the right names and anything below them."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values))


@pytest.mark.parametrize("exchange", WHOLE, ids=lambda exchange: exchange["id"])
def test_a_real_answer_is_read_as_the_sdk_reads_it(exchange: dict[str, Any]) -> None:
    body = recorded(exchange).chunks[0]
    answer = openai_chat.answer(200, body, stream=False)
    theirs = ChatCompletion.model_validate_json(body)
    message, usage = theirs.choices[0].message, theirs.usage
    assert (answer.model, answer.content, answer.finish_reason) == (
        theirs.model, message.content, theirs.choices[0].finish_reason,
    )  # fmt: skip
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    if message.function_call:
        calls.append((None, message.function_call.name, message.function_call.arguments))
    assert [(call["id"], call["name"], call["arguments"]) for call in answer.tool_calls] == [
        (call_id, name, json.loads(arguments)) for call_id, name, arguments in calls
    ]
    assert (answer.usage["input"], answer.usage["output"]) == (usage.prompt_tokens, usage.completion_tokens)
    if usage.prompt_tokens_details:
        assert answer.usage["cache_read"] == usage.prompt_tokens_details.cached_tokens
    if usage.completion_tokens_details:
        assert answer.usage["reasoning"] == usage.completion_tokens_details.reasoning_tokens
    assert answer.complete
    assert answer.failure is None


@pytest.mark.parametrize("exchange", real_exchanges(), ids=lambda exchange: exchange["id"])
def test_a_real_request_keeps_every_field(exchange: dict[str, Any]) -> None:
    body = exchange["request_body"]
    prompt = openai_chat.prompt(exchange["uri"], body)
    tools = prompt.tools if "functions" not in body else None
    said = {
        "model": prompt.model,
        "messages": prompt.messages,
        "tools": tools,
        "stream": prompt.stream,
        **prompt.settings,
    }
    assert {name: value for name, value in body.items() if name != "functions"} == {
        name: said[name] for name in body if name != "functions"
    }


def test_the_deployment_in_an_azure_url_names_the_model() -> None:
    url = "https://ours.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-06-01"
    prompt = openai_chat.prompt(url, {"messages": []})
    assert (prompt.model, prompt.provider) == ("our-gpt", "azure")


def test_a_path_is_recognised_on_any_host_and_only_with_a_body_of_the_right_shape() -> None:
    assert recognises("/v1/chat/completions", b'{"model":"m","messages":[]}')
    assert recognises("/gateway/team-7/chat/completions", b'{"messages":[]}')
    assert not recognises("/v1/chat/completions", b"name=messages")
    assert not recognises("/v1/chat/completions", b'{"prompt":"x"}')
    assert not recognises("/v1/files", b'{"messages":[]}')
    assert [module_for(f"http://h{endpoint.path}?x=1") for endpoint in ENDPOINTS]


def chunk(delta: dict[str, Any], index: int = 0, **choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": index, "delta": delta, **choice}]}).encode() + b"\n\n"


def test_pieces_of_parallel_tool_calls_come_together_by_their_index() -> None:
    def piece(index: int, **function: str) -> bytes:
        return chunk({"tool_calls": [{"index": index, "id": f"c{index}", "function": function}]})

    body = piece(1, name="b", arguments='{"x"') + piece(0, name="a", arguments="{}") + piece(1, arguments=": 2}")
    answer = openai_chat.answer(200, body + b"data: [DONE]\n\n", stream=True)
    assert answer.tool_calls == [
        {"id": "c0", "name": "a", "arguments": {}},
        {"id": "c1", "name": "b", "arguments": {"x": 2}},
    ]


def test_of_several_choices_the_first_is_the_answer_and_the_others_are_kept() -> None:
    body = chunk({"content": "two"}, 1) + chunk({"content": "one"}, 0) + b"data: [DONE]\n\n"
    answer = openai_chat.answer(200, body, stream=True)
    assert answer.content == "one"
    assert [choice["message"]["content"] for choice in answer.data["choices"]] == ["two"]


def test_reasoning_is_thinking_and_a_refusal_is_a_refusal() -> None:
    body = chunk({"reasoning_content": "hm"}) + chunk({"reasoning_content": "m"}) + chunk({"refusal": "I will not"})
    answer = openai_chat.answer(200, body + b"data: [DONE]\n\n", stream=True)
    assert (answer.thinking, answer.refusal, answer.content) == ("hmm", "I will not", None)


def test_arguments_that_are_no_json_stay_the_text_that_the_model_wrote() -> None:
    body = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"x": '}}]})
    answer = openai_chat.answer(200, body, stream=True)
    assert answer.tool_calls[0]["arguments"] == '{"x": '
    assert not answer.complete


def test_integers_of_any_size_survive_in_arguments() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"n": 123456789012345678901234567890}'}}
    body = json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode()
    assert openai_chat.answer(200, body, stream=False).tool_calls[0]["arguments"]["n"] == 123456789012345678901234567890


@pytest.mark.parametrize(("cut", "complete"), [(1, False), (4, True), (5, True)])
def test_a_stream_is_complete_once_it_says_why_it_finished(cut: int, complete: bool) -> None:
    body = b"".join(stream("a", "b", "c").chunks[:cut])
    assert openai_chat.answer(200, body, stream=True).complete is complete


def test_an_error_in_the_middle_of_a_real_stream_ends_it() -> None:
    (exchange,) = [each for each in real_exchanges() if each["id"].startswith("pydantic-ai:e24a9fdcb9")]
    answer = openai_chat.answer(200, b"".join(recorded(exchange).chunks), stream=True)
    assert answer.failure == ("HTTP 400", "Token limit reached")
    assert not answer.complete
    assert answer.thinking == "We need to respond to a greeting. The user"


def test_an_error_page_that_is_no_json_is_quoted() -> None:
    assert openai_chat.answer(502, b"<h1>Bad Gateway</h1>", stream=False).failure == (
        "HTTP 502",
        "<h1>Bad Gateway</h1>",
    )


def test_line_ends_and_comments_of_event_streams_are_as_the_standard_says() -> None:
    body = b": ping\r\n\r\nevent: x\rdata: one\rdata:two\r\rdata: cut"
    assert [data for _, data in sse.events(body)] == [b"one\ntwo"]


call_parts = objects("id", "index", "type", "function", "custom")
messages = objects("role", "content", "tool_call_id", "function_call", "reasoning", "refusal") | st.fixed_dictionaries(
    {"tool_calls": st.lists(call_parts, max_size=2)}
)
choices = st.lists(
    json_values
    | st.fixed_dictionaries(
        {"index": json_values, "finish_reason": json_values, "message": messages, "delta": messages}
    ),
    max_size=2,
)
bodies = json_values | st.fixed_dictionaries(
    {"choices": choices, "usage": json_values | objects("prompt_tokens", "prompt_tokens_details")},
    optional={"error": json_values | objects("code", "type", "message"), "id": json_values},
)


@given(bodies, bodies)
def test_no_answer_however_odd_its_shape_breaks_the_reader(first: Any, second: Any) -> None:
    lines = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in (first, second)]
    openai_chat.answer(200, b"".join(lines), stream=True)
    openai_chat.answer(200, json.dumps(first).encode(), stream=False)


@given(st.lists(json_values | messages, max_size=3), json_values)
def test_no_request_however_odd_its_shape_breaks_the_reader(history: list[Any], tools: Any) -> None:
    openai_chat.prompt("http://localhost/chat/completions", {"messages": history, "tools": tools, "model": tools})
    openai_chat.calls(history)
    openai_chat.returns(history)
    openai_chat.tool_names(tools if isinstance(tools, list) else [tools])


text = st.binary(max_size=40) | st.sampled_from(
    [b'{"messages":[' + b"x" * 5000, b"y" * 700, KEY, b" key=" + KEY + b" "]
)


@given(st.lists(st.lists(text, max_size=4).map(b"".join), max_size=6))
def test_every_body_can_be_put_together_again_from_its_parts_and_holds_no_secret(sent: list[bytes]) -> None:
    bodies, journal = Bodies(), dict[str, bytes]()
    for number, body in enumerate(sent):
        part, kept = bodies.shorten("s", str(number), "segment", body, REDACTOR.clean)
        bodies.remember("s", part, kept)
        base = journal[part.base_id] if part.base_id else b""
        written = REDACTOR.clean(part.middle)  # as the recorder does
        journal[str(number)] = base[: part.prefix] + written + base[len(base) - part.suffix :]
        assert journal[str(number)] == REDACTOR.clean(body)


def test_two_agents_that_take_turns_each_continue_their_own_conversation() -> None:
    bodies, sizes = Bodies(), []
    histories = {"planner": b'{"messages":["plan"', "critic": b'{"messages":["judge"'}
    for turn in range(20):
        agent = ("planner", "critic")[turn % 2]
        histories[agent] += b',"' + agent.encode() * 50 + b'"'
        part, kept = bodies.shorten("s", str(turn), "segment", histories[agent] + b"]}", bytes)
        bodies.remember("s", part, kept)
        sizes.append(len(part.middle))
    assert max(sizes[4:]) < 400


def test_a_body_never_refers_to_another_segment() -> None:
    bodies = Bodies()
    body = b'{"messages":["' + b"long " * 200 + b'"]}'
    bodies.remember("s", *bodies.shorten("s", "1", "first", body, bytes))
    assert bodies.shorten("s", "2", "second", body, bytes)[0].base_id is None


@given(st.integers(1, 30))
def test_a_secret_cut_into_several_events_is_redacted(size: int) -> None:
    told = b"the key is " + KEY + b", do not tell"
    pieces = [told[at : at + size].decode() for at in range(0, len(told), size)]
    body = sse.cleaned(b"".join(stream(*pieces).chunks), REDACTOR.clean)
    answer = openai_chat.answer(200, body, stream=True)
    assert answer.content == REDACTOR.clean(told).decode()
    assert "redacted" in answer.content


def test_a_stream_without_secrets_stays_as_it_is() -> None:
    body = b"".join(stream("nothing", " to", ' "hide"').chunks)
    assert sse.cleaned(body, REDACTOR.clean) == body
