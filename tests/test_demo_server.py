"""The demo's model server, as the OpenAI SDK sees it."""

from __future__ import annotations

import openai
import pytest

from peaky_peek.demo.script import busy, call, in_turn, refuse, say
from peaky_peek.demo.server import CREATED, ModelServer

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
SCRIPTS = {
    "hello": in_turn(say("Hello, you.")),
    "tool": in_turn(call("look", because="Let me see.", where="there"), say("Done.")),
    "refusal": in_turn(refuse("I would rather not.")),
    "busy": in_turn(busy(say("Now."))),
}


@pytest.fixture
def server():
    with ModelServer(SCRIPTS) as running:
        yield running


def test_a_reply_has_text_usage_and_the_same_id_every_time(server) -> None:
    with server.client("hello") as client:
        first, second = (client.chat.completions.create(**ASK) for _ in range(2))
    assert first.choices[0].message.content == "Hello, you."
    assert first.choices[0].finish_reason == "stop"
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens > 0
    assert (first.id, first.created) == (second.id, CREATED)


def test_the_next_turn_depends_on_the_conversation_and_not_on_the_server(server) -> None:
    with server.client("tool") as client:
        message = client.chat.completions.create(**ASK).choices[0].message
        (tool_call,) = message.tool_calls
        assert (message.content, tool_call.function.name) == ("Let me see.", "look")
        assert tool_call.function.arguments == '{"where": "there"}'
        result = {"role": "tool", "tool_call_id": tool_call.id, "content": "nothing"}
        messages = [*ASK["messages"], message.model_dump(exclude_none=True), result]
        for _ in range(2):
            answer = client.chat.completions.create(**ASK | {"messages": messages})
            assert answer.choices[0].message.content == "Done."


def test_a_stream_says_the_same_as_a_plain_answer(server) -> None:
    for story in ("hello", "tool", "refusal"):
        with server.client(story) as client:
            plain = client.chat.completions.create(**ASK)
            with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
                streamed = stream.get_final_completion()
        for field in ("content", "refusal"):
            assert (getattr(streamed.choices[0].message, field) or None) == getattr(plain.choices[0].message, field)
        calls = [[c.function.arguments for c in each.choices[0].message.tool_calls or []] for each in (plain, streamed)]
        assert calls[0] == calls[1]
        assert (streamed.id, streamed.usage) == (plain.id, plain.usage)


def test_a_busy_model_answers_the_retry_of_the_sdk(server) -> None:
    with server.client("busy") as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == "Now."
        with pytest.raises(openai.RateLimitError):
            client.with_options(max_retries=0).chat.completions.create(**ASK)


def test_a_conversation_outside_the_script_is_told_so(server) -> None:
    with server.client("nobody") as client, pytest.raises(openai.NotFoundError, match="no story 'nobody', only hello"):
        client.chat.completions.create(**ASK)
    spoken = [*ASK["messages"], {"role": "assistant", "content": "Hello, you."}]
    with server.client("hello") as client, pytest.raises(openai.NotFoundError, match="has left it"):
        client.chat.completions.create(**ASK | {"messages": spoken})
