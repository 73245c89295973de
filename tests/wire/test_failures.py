"""Failures, retries, streams that end early, and calls that run side by side."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, Reply, error, message, stream
from tests.wire.calls import ask, attempts, events, kinds


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


def test_the_same_question_asked_again_after_the_sdk_gave_up_is_a_call_of_its_own(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(error(500), error(500, text="still down"), error(429), message("at last"))
    patient = client.with_options(max_retries=1)
    with pp.trace_session("asks again"):
        with pytest.raises(openai.InternalServerError):
            ask(patient)
        ask(patient)
    assert kinds(store) == ["llm_request", "llm_response", "error", "llm_request", "llm_response"]
    assert attempts(store) == [(1, 500, 0), (2, 500, 0), (1, 429, 0), (2, 200, 1)]
    assert events(store, "error")[0].error_message == "still down"


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


def test_a_stream_that_fails_after_it_asked_for_a_tool_has_one_answer_and_no_decision(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{}"}}
    chunks = [{"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}, {"error": {"message": "down"}}]
    lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    server.answer(Reply(lines, headers={"content-type": "text/event-stream"}))
    with pp.trace_session("fails late"), pytest.raises(openai.APIError, match="down"):
        list(ask(client, stream=True))
    assert kinds(store) == ["llm_request", "llm_response", "error"]
