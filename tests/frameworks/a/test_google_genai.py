"""Google's SDK where aiohttp is installed: it sends through it what it does asynchronously."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from google import genai
from google.genai import errors, types

import peaky_peek as pp
from peaky_peek.capture import transport
from peaky_peek.store import Database
from tests.loopback import Loopback
from tests.replies import function_call, gemini, gemini_error, gemini_stream, host
from tests.wire.calls import attempts, dump, events, kinds

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning"),  # LiteLLM's own, at its first call
]
ASKED: Any = {"model": "gemini-2.5-flash", "contents": "Is it raining?"}
KEY = "AIzaSy" + "Ab3dEf9hK" * 3 + "Ab3dEf"
PATH = "/v1beta/models/gemini-2.5-flash"
BODY = {"contents": [{"parts": [{"text": "hi"}]}]}


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[Any]:
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0)
    options = types.HttpOptions(base_url=host(server), retry_options=retry)
    async with genai.Client(api_key=KEY, http_options=options).aio as client:
        yield client


async def test_answers_come_as_without_us_and_are_recorded(store: Database, server: Loopback, client: Any) -> None:
    async def answers() -> list[Any]:
        server.answer(gemini("Yes."), gemini_stream("Y", "es."))
        whole = await client.models.generate_content(**ASKED)
        return [whole.text, [chunk.text async for chunk in await client.models.generate_content_stream(**ASKED)]]

    watched = await answers()
    transport.uninstall()
    assert watched == await answers() == ["Yes.", ["Y", "es."]]
    whole, streamed = events(store, "llm_response")
    assert (whole.content, whole.status, whole.usage) == (streamed.content, streamed.status, streamed.usage)
    assert (whole.content, whole.complete, whole.usage["output"]) == ("Yes.", True, 7)
    assert streamed.time_to_first_token_ms <= streamed.duration_ms
    assert [each.stream for each in events(store, "llm_request")] == [False, True]
    assert KEY not in dump(store)


async def test_functions_that_the_sdk_calls_by_itself_are_tools(store: Database, server: Loopback, client: Any) -> None:
    def weather(city: str) -> str:
        """What the weather is like."""
        return f"rain in {city}"

    server.answer(gemini(function_call("weather", city="Paris")), gemini("It rains."))
    with pp.trace_session("chat"):
        await client.models.generate_content(**ASKED, config=types.GenerateContentConfig(tools=[weather]))
    assert [result.result for result in events(store, "tool_result")] == ["rain in Paris"]
    assert [decision.chosen_action for decision in events(store, "decision")] == ["weather"]


async def test_retries_are_attempts_and_a_failure_is_one_error(store: Database, server: Loopback, client: Any) -> None:
    exhausted = gemini_error(429, "RESOURCE_EXHAUSTED", "slow down")
    server.answer(exhausted, gemini("at last"), *[exhausted] * 3)
    with pp.trace_session("limited"):
        await client.models.generate_content(**ASKED)
        with pytest.raises(errors.ClientError):
            await client.models.generate_content(**ASKED)
    assert kinds(store) == ["llm_request", "llm_response", "llm_request", "llm_response", "error"]
    assert attempts(store) == [(1, 429, 0), (2, 200, 1), (1, 429, 0), (2, 429, 0), (3, 429, 0)]
    assert events(store, "error")[0].error_type == "RESOURCE_EXHAUSTED"


async def test_streams_that_are_left_dropped_or_break_off_are_marked(store: Database, server: Loopback) -> None:
    gate = threading.Event()
    url = f"{host(server)}{PATH}:streamGenerateContent?alt=sse"
    broken = gemini_stream("half", "way", "never", breaks_off=True)
    broken.chunks.pop()
    server.answer(gemini_stream("left", "late", gate=gate), gemini_stream("dropped", "late", gate=gate), broken)
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=BODY) as response:
            await response.content.readany()
        dropped = await session.post(url, json=BODY)
        await dropped.content.readany()
        del response, dropped
        gc.collect()
        gate.set()
        async with session.post(url, json=BODY) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    answers = {each.content: (each.complete, each.status) for each in events(store, "llm_response")}
    assert answers == {"left": (False, "cancelled"), "dropped": (False, "cancelled"), "halfway": (False, "error")}


async def test_every_way_to_read_gives_what_was_sent_and_records_it(store: Database, server: Loopback) -> None:
    packed = gemini("packed")
    packer = zlib.compressobj(wbits=31)
    packed.chunks = [packer.compress(packed.chunks[0]) + packer.flush()]
    packed.headers = {**packed.headers, "content-encoding": "gzip"}
    server.answer(packed, *[gemini(f"answer {number}") for number in range(6)])

    async def lines(content: Any) -> bytes:
        return b"".join([line async for line in content])

    async def bites(content: Any) -> bytes:
        return b"".join([bite async for bite in content.iter_chunked(7)])

    async def chunks(content: Any) -> bytes:
        return b"".join([chunk async for chunk, _ in content.iter_chunks()])

    ways: list[Any] = [lines, bites, chunks, lambda content: content.read()]
    async with aiohttp.ClientSession(base_url=f"{host(server)}{PATH}/") as session:
        async with session.post(f"{PATH}:generateContent", data=json.dumps(BODY)) as response:
            said = [(await response.json())["candidates"][0]["content"]["parts"][0]["text"]]
        for way in ways:
            async with session.post(f"{PATH}:generateContent", json=BODY, params={"key": KEY}) as response:
                body = json.loads(await way(response.content))
                assert response.content.at_eof()
            said.append(body["candidates"][0]["content"]["parts"][0]["text"])
        async with session.post(f"{PATH}:countTokens", json=BODY) as response:
            assert type(response.content) is aiohttp.StreamReader
    assert said == [each.content for each in events(store, "llm_response")]
    assert all(each.complete for each in events(store, "llm_response"))
    assert KEY not in dump(store)


async def test_what_is_no_answer_at_all_is_an_error_and_a_cancelled_call_none(
    store: Database, server: Loopback
) -> None:
    gate = threading.Event()
    server.answer(gemini_stream("one", "two", gate=gate))
    async with aiohttp.ClientSession() as session:
        with pp.trace_session("down"), pytest.raises(aiohttp.ClientConnectorError):
            await session.post(f"http://127.0.0.1:1{PATH}:generateContent", json=BODY)
        read = asyncio.Event()

        async def listen() -> None:
            async with session.post(f"{host(server)}{PATH}:streamGenerateContent?alt=sse", json=BODY) as response:
                async for _ in response.content.iter_any():
                    read.set()

        task = asyncio.create_task(listen())
        await read.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.set()
    down, cancelled = events(store, "llm_response")
    assert (down.status, cancelled.status, cancelled.content) == ("error", "cancelled", "one")
    assert events(store, "error")[0].error_type == "ClientConnectorError"


async def test_a_client_of_httpx_that_sends_through_aiohttp_is_recorded_once(store: Database, server: Loopback) -> None:
    import litellm

    server.answer(gemini("Yes."))
    answer = await litellm.acompletion(
        model="gemini/gemini-2.5-flash", messages=[{"role": "user", "content": "hi"}], api_key="test",
        api_base=f"{host(server)}{PATH}:generateContent",
    )  # fmt: skip
    assert answer.choices[0].message.content == "Yes."
    assert [each.content for each in events(store, "llm_response")] == ["Yes."]


async def test_a_tape_plays_answers_streams_and_failures_through_aiohttp(
    store: Database, server: Loopback, client: Any
) -> None:
    server.answer(gemini("Yes."), gemini_stream("Y", "es."), *[gemini_error(503)] * 2, gemini("at last"))

    async def agent() -> list[Any]:
        whole = await client.models.generate_content(**ASKED)
        streamed = [chunk.text async for chunk in await client.models.generate_content_stream(**ASKED)]
        return [whole.text, streamed, (await client.models.generate_content(**ASKED)).text]

    with pp.trace_session("first run"):
        first = await agent()
    heard = len(server.requests)
    with pp.tape("first run") as tape, pp.trace_session("second run"):
        assert await agent() == first == ["Yes.", ["Y", "es."], "at last"]
    assert len(server.requests) == heard == 5
    assert "5 of 5 exchanges" in repr(tape)
    assert [each.content for each in events(store, "llm_response")] == ["Yes.", "Yes.", "at last"] * 2
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match=r"parts\[0\].text\n- .Is it raining"):
        await client.models.generate_content(**{**ASKED, "contents": "Is it snowing?"})
    gc.collect()
