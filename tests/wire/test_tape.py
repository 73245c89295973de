"""A recorded session is played to the code that made it: same bytes, no network, tools not run."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable
from typing import Any

import openai
import pytest
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI

import peaky_peek as pp
from peaky_peek.capture import context
from peaky_peek.capture.matching import Recorded, canonical, without_ids
from peaky_peek.store import Database
from tests.loopback import Loopback, error, message, stream, tool_call
from tests.replies import anthropic_message, anthropic_stream
from tests.wire.calls import ASK, TOOLS, ask, attempts, events

Agent = Callable[[], Any]


def recorded(agent: Agent, name: str = "first run") -> Any:
    with pp.trace_session(name):
        return agent()


def played(server: Loopback, agent: Agent, session: str = "first run", **options: Any) -> Any:
    """What the agent comes to from the tape; the server must hear nothing."""
    heard = len(server.requests)
    with pp.tape(session, **options), pp.trace_session("second run"):
        result = agent()
    assert len(server.requests) == heard
    return result


def test_the_same_code_gets_the_same_answer(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("It rains."))

    def agent() -> str:
        return ask(client).model_dump_json()

    assert recorded(agent) == played(server, agent)


def test_a_stream_comes_chunk_by_chunk_as_it_came(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(stream("It", " rains", ".", usage={"prompt_tokens": 3, "completion_tokens": 2}))

    def agent() -> list[bytes]:
        with client.chat.completions.with_streaming_response.create(model="m", messages=ASK, stream=True) as response:
            return list(response.iter_bytes())

    first = recorded(agent)
    assert len(first) > 3
    assert played(server, agent) == first


@pytest.mark.parametrize("reply", [anthropic_message, anthropic_stream])
def test_anthropic_is_played_too(store: Database, server: Loopback, reply: Any) -> None:
    server.answer(reply("It rains."))
    with Anthropic(base_url=server.url.removesuffix("/v1"), api_key="test", max_retries=0) as client:

        def agent() -> str:
            asked: Any = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": ASK}
            if reply is anthropic_message:
                return client.messages.create(**asked).model_dump_json()
            with client.messages.stream(**asked) as answer:
                return answer.get_final_message().model_dump_json()

        assert recorded(agent) == played(server, agent)


async def test_parallel_calls_each_get_their_own_answer_in_any_order(store: Database, server: Loopback) -> None:
    questions = [f"question {number % 4}" for number in range(8)]
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:

        async def one(question: str) -> tuple[str, str | None]:
            await asyncio.sleep(random.random() / 100)
            answer = await ask(client, [{"role": "user", "content": question}])
            return question, answer.choices[0].message.content

        async def agent() -> list[tuple[str, str | None]]:
            return sorted(await asyncio.gather(*map(one, questions)))

        answers = iter(range(8))
        server.reply_to = lambda seen: message(f"answer {next(answers)}")  # type: ignore[method-assign]
        with pp.trace_session("first run"):
            first = await agent()
        server.reply_to = None  # type: ignore[assignment,method-assign]
        with pp.tape("first run") as tape:
            assert await agent() == first
        assert repr(tape) == "Tape('first run', 8 of 8 exchanges, 0 of 0 tools played)"


def test_failures_are_played_as_failures(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(error(429, text="slow down"), error(400, "bad", "no such model"))

    def agent() -> list[str]:
        said = []
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as caught:
                ask(client)
            said.append(f"{type(caught.value).__name__} {caught.value.body}")
        return said

    first = recorded(agent)
    assert first[0].startswith("RateLimitError")
    assert played(server, agent) == first


def test_retries_are_played_as_they_happened(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(error(500), error(429), message("at last"))
    patient = client.with_options(max_retries=3)

    def agent() -> Any:
        return ask(patient).choices[0].message.content

    assert recorded(agent) == played(server, agent) == "at last"
    assert [attempt[:2] for attempt in attempts(store)] == [(1, 500), (2, 429), (3, 200)] * 2


def test_a_server_that_was_not_there_and_a_stream_that_broke_off_fail_again(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(stream("half", " an", done=False, breaks_off=True))
    nobody = OpenAI(base_url="http://127.0.0.1:1/v1", api_key="test", max_retries=0)

    def agent() -> list[str]:
        seen: list[str] = []
        with pytest.raises(openai.APIConnectionError) as refused:
            ask(nobody)
        with pytest.raises(openai.APIConnectionError) as broken:
            seen.extend(chunk.choices[0].delta.content for chunk in ask(client, stream=True))
        return [*seen, *(type(caught.value.__cause__).__name__ for caught in (refused, broken))]

    first = recorded(agent)
    assert first == ["half", " an", "ConnectError", "RemoteProtocolError"]
    assert played(server, agent) == first
    nobody.close()


def test_a_stream_that_was_left_early_can_be_left_again_but_not_read_on(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    gate = threading.Event()
    server.answer(stream("one", "two", "three", gate=gate))

    def agent() -> str:
        with ask(client, stream=True) as answer:
            return next(iter(answer)).choices[0].delta.content

    assert recorded(agent) == "one"
    gate.set()
    assert played(server, agent) == "one"
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="not read to its end"):
        list(ask(client, stream=True))


def test_a_request_that_was_not_recorded_shows_what_differs(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("It rains."))
    recorded(lambda: ask(client, temperature=0.2))
    with pp.tape("first run"), pytest.raises(pp.NotOnTape) as caught:
        ask(client.with_options(max_retries=5), temperature=0.7)
    assert "not on the tape of 'first run'" in str(caught.value)
    assert str(caught.value).endswith("\ntemperature\n- 0.2\n+ 0.7")
    assert len(server.requests) == 1


def test_a_request_made_more_often_than_recorded_says_so(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("once"))
    recorded(lambda: ask(client))
    with pp.tape("first run"):
        ask(client)
        with pytest.raises(pp.NotOnTape, match="less often"):
            ask(client)


def test_new_ids_and_times_in_a_prompt_do_not_matter(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("ok"))
    times = iter(["2026-11-27T10:00:00Z", "2026-11-28 11:30:01.5+01:00"])

    def agent() -> Any:
        return ask(client, [{"role": "user", "content": f"It is {next(times)}."}]).choices[0].message.content

    assert recorded(agent) == played(server, agent)


def test_with_secrets_redacted_the_tape_still_matches_and_says_nothing_of_them(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    key = "sk-proj-" + "Ab3dEf9h" * 5
    server.answer(message(f"the key {key} is fine"), message("bye"))

    def agent() -> list[Any]:
        history: list[Any] = [{"role": "user", "content": f"is {key} a key?"}]
        first = ask(client, history).choices[0].message.content
        history += [{"role": "assistant", "content": first}, {"role": "user", "content": "thanks"}]
        return [first, ask(client, history).choices[0].message.content]

    first = recorded(agent)
    again = played(server, agent)
    assert again[0].startswith("the key [redacted:openai:")
    assert (first[1], again[1]) == ("bye", "bye")
    with pp.tape("first run"), pytest.raises(pp.NotOnTape) as caught:
        ask(client, [{"role": "user", "content": f"is {key} really a key?"}])
    assert key not in str(caught.value)


def test_tools_are_served_from_the_recording_unless_they_are_to_run(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message(tool_calls=[tool_call("call-1", "weather", city="Paris")]), message("It rains."))
    ran = []

    @pp.tool
    def weather(city: str) -> dict[str, Any]:
        ran.append(city)
        return {"sky": "rain", "mm": 2.5}

    def agent() -> Any:
        answer = ask(client, tools=TOOLS).choices[0].message
        call = answer.tool_calls[0]
        result = weather(**json.loads(call.function.arguments))
        history = [*ASK, answer.model_dump(exclude_none=True)]
        history.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
        return ask(client, history, tools=TOOLS).choices[0].message.content

    assert recorded(agent) == played(server, agent) == "It rains."
    assert ran == ["Paris"]
    assert played(server, agent, tools="live") == "It rains."
    assert ran == ["Paris", "Paris"]


async def test_tools_of_every_kind_are_served(store: Database) -> None:
    runs = []

    @pp.tool
    async def fetch(page: int) -> list[int]:
        runs.append("fetch")
        return [page, page + 1]

    @pp.tool
    def lines(count: int) -> Any:
        runs.append("lines")
        yield from (f"line {number}" for number in range(count))

    @pp.tool
    async def numbers() -> Any:
        runs.append("numbers")
        for number in range(3):
            yield number

    @pp.tool
    def fails(reason: str) -> None:
        runs.append("fails")
        raise ValueError(reason)

    class OwnError(Exception):
        pass

    @pp.tool
    def fails_in_its_own_way() -> None:
        runs.append("own")
        raise OwnError("no such account")

    async def agent() -> list[Any]:
        got: list[Any] = [await fetch(1), await fetch(2), list(lines(2)), [each async for each in numbers()]]
        for tool in (lambda: fails("bad luck"), fails_in_its_own_way):
            try:
                tool()
            except Exception as problem:  # noqa: BLE001 - the agent's own way
                got.append(f"{type(problem).__name__}: {problem}")
        return got

    with pp.trace_session("first run"):
        first = await agent()
    assert first[-2:] == ["ValueError: bad luck", "OwnError: no such account"]
    with pp.tape("first run") as tape, pp.trace_session("second run"):
        assert await agent() == first
    assert runs == ["fetch", "fetch", "lines", "numbers", "fails", "own"]
    assert repr(tape) == "Tape('first run', 0 of 0 exchanges, 6 of 6 tools played)"
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match=r"page\n- 1\n\+ 3"):
        await fetch(3)


def test_a_result_that_is_no_data_cannot_be_served(store: Database) -> None:
    @pp.tool
    def connect() -> object:
        return object()

    recorded(connect)
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match='tools="live"'):
        connect()


def test_what_was_played_cost_nothing_and_says_where_it_is_from(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("a", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0}))
    recorded(lambda: ask(client))
    played(server, lambda: ask(client))
    sessions = pp.sessions()
    assert sessions["cost_usd"].tolist() == [0.15, 0.0]
    assert sessions["input_tokens"].tolist() == [1_000_000, 1_000_000]
    assert sessions["forked_from"].tolist()[1] == sessions["session_id"].iloc[0]
    assert [event.content for event in events(store, "llm_response")] == ["a", "a"]


def test_a_tape_ends_with_its_block_whatever_happens(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("recorded"), message("live"))
    recorded(lambda: ask(client))
    with pytest.raises(KeyError), pp.tape("first run"):
        raise KeyError
    assert context.tape is None
    assert ask(client).choices[0].message.content == "live"
    with pytest.raises(pp.PeekError, match="no such"), pp.tape("no such"):
        pass
    with pytest.raises(ValueError, match="recorded"), pp.tape("first run", tools="dead"):  # type: ignore[arg-type]
        pass


def test_nested_sessions_are_on_the_tape(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("outer"), message("inner"))

    def agent() -> list[Any]:
        answers = [ask(client).choices[0].message.content]
        with pp.trace_session("helper", new_session=True):
            answers.append(ask(client).choices[0].message.content)
        return answers

    assert recorded(agent) == played(server, agent) == ["outer", "inner"]


def test_the_closest_request_is_one_of_the_same_kind_that_shares_most() -> None:
    tracks = Recorded[int]()
    for number, text in enumerate(["short", "a long question about rain", "a long question about snow"]):
        tracks.add("/chat", text, number)
    assert tracks.closest("/chat", "a long question about slow rain") == "a long question about rain"
    assert tracks.closest("/other", "anything") is None
    assert canonical(b"\xff no json") == "\ufffd no json"
    assert without_ids('{"id":"0199c9a3-1b2c-7def-8abc-0123456789ab"}') == '{"id":"<id>"}'
