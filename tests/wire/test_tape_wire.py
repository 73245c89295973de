"""What a tape plays besides plain calls: fetches, cancelled calls, pictures; which tape it is, and of which store."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

import peaky_peek as pp
from peaky_peek.capture import context
from peaky_peek.store import Database
from tests.loopback import Loopback, message, response, response_stream, stream
from tests.wire.calls import ASK, ask, attempts, kinds

KEY = "sk-proj-" + "Ab3dEf9h" * 5


def twice(server: Loopback, agent: Callable[[], Any]) -> tuple[Any, Any]:
    """What an agent comes to, and what it comes to from its tape while the server hears nothing."""
    with pp.trace_session("first run"):
        first = agent()
    heard = len(server.requests)
    with pp.tape("first run") as tape, pp.trace_session("second run"):
        second = agent()
    assert len(server.requests) == heard
    assert f"{heard} of {heard} exchanges" in repr(tape)
    return first, second


def test_an_answer_that_is_fetched_from_the_background_is_played(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response(status="queued", usage=None), response(status="in_progress", usage=None), response("done"))

    def agent() -> tuple[list[Any], str]:
        answer = client.responses.create(model="m", input="think long", background=True)
        seen = [answer.status]
        while answer.status in ("queued", "in_progress"):
            answer = client.responses.retrieve(answer.id)
            seen.append(answer.status)
        return seen, answer.output_text

    first, second = twice(server, agent)
    assert first == second == (["queued", "in_progress", "completed"], "done")
    assert kinds(store) == ["llm_request", "llm_response"] * 2
    assert [attempt for attempt, _, _ in attempts(store)] == [1, 2, 3] * 2
    with pp.tape("first run"):
        agent()
        with pytest.raises(pp.NotOnTape, match="less often"):
            client.responses.retrieve("resp_1")


def test_a_stream_from_the_background_is_taken_up_again(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(response_stream("one two three", done=False), response_stream("one two three"))

    def agent() -> list[str]:
        with client.responses.create(model="m", input="count", background=True, stream=True) as events:
            answer_id = next(iter(events)).response.id  # type: ignore[union-attr]
            list(events)
        return [event.type for event in client.responses.retrieve(answer_id, stream=True, starting_after=3)]

    first, second = twice(server, agent)
    assert first == second
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="Nothing like"):
        client.responses.cancel("resp_1")


def test_requests_that_are_no_model_calls_go_where_they_always_go(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("x"))
    with pp.trace_session("first run"):
        ask(client)
    server.answer(message("models"), response("fetched"))
    with pp.tape("first run"), httpx.Client() as plain:
        assert plain.get(f"{server.url}/models").status_code == 200
        assert client.responses.retrieve("resp_of_another_run").output_text == "fetched"
    assert len(server.requests) == 3


class Umbrella(BaseModel):
    needed: bool


def test_what_the_sdk_parses_and_what_it_gives_raw(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message('{"needed":true}'), response('{"needed":true}'), message("raw"))

    def agent() -> list[Any]:
        chat: Any = client.chat.completions.parse(model="m", messages=ASK, response_format=Umbrella)  # type: ignore[arg-type]
        parsed = client.responses.parse(model="m", input="x", text_format=Umbrella).output_parsed
        raw = client.chat.completions.with_raw_response.create(model="m", messages=ASK)  # type: ignore[arg-type]
        return [chat.choices[0].message.parsed, parsed, raw.status_code, raw.text, raw.headers["content-type"]]

    first, second = twice(server, agent)
    assert first == second
    assert first[0] == first[1] == Umbrella(needed=True)


def test_a_picture_that_is_another_one_is_not_on_the_tape(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("a cat"))
    picture = base64.b64encode(random.Random(7).randbytes(300_000)).decode()

    def agent(data: str = picture) -> Any:
        part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return ask(client, [{"role": "user", "content": [part]}]).choices[0].message.content

    assert twice(server, agent) == ("a cat", "a cat")
    with pp.tape("first run"), pytest.raises(pp.NotOnTape) as caught:
        agent(picture[:200_000] + "AAAA" + picture[200_004:])
    _, place, was, now = str(caught.value).splitlines()
    assert place == "messages[0].content[0].image_url.url"
    assert len(was) < 150
    assert "AAAA" in now


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_that_ran_into_the_agents_time_limit_does_so_again(
    store: Database, server: Loopback, streamed: bool
) -> None:
    gate = threading.Event()
    server.answer(stream("half", " an answer", gate=gate))
    if not streamed:
        answer = server.reply_to
        server.reply_to = lambda seen: gate.wait(30) and answer(seen)  # type: ignore[assignment,method-assign]

    async def asks() -> list[Any]:
        seen: list[Any] = []
        async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
            limit = asyncio.timeout(0.5)
            try:
                async with limit:
                    async for chunk in await ask(client, stream=True):
                        seen.append(chunk.choices[0].delta.content)
                        limit.reschedule(asyncio.get_running_loop().time() + 0.01)
            except TimeoutError:
                seen.append("too slow")
        return seen

    try:
        with pp.trace_session("first run"):
            first = asyncio.run(asks())
    finally:
        gate.set()
    with pp.tape("first run"):
        assert asyncio.run(asks()) == first == ["half"] * streamed + ["too slow"]


async def test_a_call_that_nobody_cancels_now_does_not_wait_for_ever(
    store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    answer = server.reply_to
    server.reply_to = lambda seen: gate.wait(30) and answer(seen)  # type: ignore[assignment,method-assign]
    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        with pp.trace_session("first run"), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(client)
        gate.set()
        monkeypatch.setattr("peaky_peek.capture.playback.patience", lambda seconds: 0)
        with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="was cancelled when it was recorded"):
            await ask(client)


def test_a_call_whose_answer_never_came_says_so(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("x"))
    with pp.trace_session("first run"), pp.pause():
        pass

    def agent() -> Any:
        with pp.trace_session("first run"):
            return ask(client)

    server.answer(message("y"))
    reply = server.reply_to

    def pausing(seen: Any) -> Any:  # recording is off when the answer comes, as if the process had died
        context.paused += 1
        return reply(seen)

    server.reply_to = pausing  # type: ignore[method-assign]
    agent()
    context.paused = 0
    server.reply_to = reply  # type: ignore[method-assign]
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="ends before its answer"):
        ask(client)


def test_a_run_that_was_killed_is_played_as_far_as_it_came(store: Database, server: Loopback, tmp_path: Path) -> None:
    import subprocess
    import sys

    program = """
import os, signal, sys
import peaky_peek as pp
from openai import OpenAI
pp.init()
client = OpenAI(base_url=sys.argv[1], api_key="test", max_retries=0)

@pp.tool
def charge(amount):
    if amount > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"charged": amount}

with pp.trace_session("killed"):
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "one"}])
    charge(1)
    charge(2)
"""
    server.answer(message("one"))
    environment = {"PEAKY_PEEK_DB": str(store.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", program, server.url], env=environment, cwd=Path(pp.__file__).parent.parent)

    @pp.tool
    def charge(amount: int) -> dict[str, int]:
        raise AssertionError("nobody is charged")

    with pp.tape("killed"), OpenAI(base_url=server.url, api_key="test") as client:
        assert ask(client, [{"role": "user", "content": "one"}]).choices[0].message.content == "one"
        assert charge(1) == {"charged": 1}
        with pytest.raises(pp.NotOnTape, match="call of charge is on the tape of 'killed', but the recording ends"):
            charge(2)
        with pytest.raises(pp.NotOnTape, match="less often"):
            charge(1)
    assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore::peaky_peek.errors.PeekWarning")
@pytest.mark.parametrize("now", ["secrets", None, "pii"])
@pytest.mark.parametrize("then", ["secrets", None, "pii"])
def test_what_is_redacted_may_change_between_recording_and_playing(
    store: Database, server: Loopback, client: OpenAI, then: Any, now: Any
) -> None:
    said = [{"role": "user", "content": f"{KEY} of joe.miller@example.com"}]
    pp.init(db=store.path, redact=then)
    server.answer(message("ok"))
    with pp.trace_session("first run"):
        ask(client, said)
    pp.init(db=store.path, redact=now)
    with pp.tape("first run"):
        assert ask(client, said).choices[0].message.content == "ok"
        with pytest.raises(pp.NotOnTape) as caught:
            ask(client, [{"role": "user", "content": f"{KEY} of somebody else"}])
    assert KEY not in str(caught.value)
    pp.init(db=store.path)


@pytest.mark.parametrize(
    "redact", [re.compile("[Mm]iller"), lambda text: text.replace("Miller", "Miller?"), ["pii", re.compile("joe")]]
)
def test_requests_that_the_user_redacts_in_their_own_way_match(
    store: Database, server: Loopback, client: OpenAI, redact: Any
) -> None:
    pp.init(db=store.path, redact=redact)
    server.answer(message("ok"))
    said = [{"role": "user", "content": "joe.miller@example.com, Miller"}]
    assert twice(server, lambda: ask(client, said).choices[0].message.content) == ("ok", "ok")
    pp.init(db=store.path)


def test_a_tape_plays_on_when_the_store_is_changed_in_it(
    store: Database, server: Loopback, client: OpenAI, tmp_path: Path
) -> None:
    server.answer(message("ok"))
    said = [{"role": "user", "content": f"is {KEY} a key?"}]
    with pp.trace_session("first run"):
        ask(client, said)
    with pp.tape("first run"):
        pp.init(db=tmp_path / "other.db")
        with pp.trace_session("second run"):
            assert ask(client, said).choices[0].message.content == "ok"
    assert pp.sessions().name.tolist() == ["second run"]
    pp.init(db=store.path)


def test_without_a_reference_the_newest_run_is_played_that_was_not_played_itself(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(message("first"), message("second"))
    for name in ("older", "newer"):
        with pp.trace_session(name):
            ask(client)
    for _ in range(2):
        with pp.trace_session("again"), pp.tape() as tape:
            assert ask(client).choices[0].message.content == "second"
        assert repr(tape).startswith("Tape('newer'")


def test_threads_each_play_their_own_tape(store: Database) -> None:
    @pp.tool
    def name() -> str:
        return here.pop()

    here = ["a", "b"]
    runs = {}
    for _ in range(2):
        with pp.trace_session("run") as run:
            runs[name()] = run.session_id
    begun, got = threading.Barrier(2, timeout=30), {}

    def plays(letter: str, session: str) -> None:
        with pp.tape(session), pp.trace_session("again"):
            begun.wait()
            helper = threading.Thread(target=lambda: got.update({letter: name()}))  # it belongs to the session here
            helper.start()
            helper.join()
            begun.wait()

    threads = [threading.Thread(target=plays, args=each) for each in runs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {"a": "a", "b": "b"}
    assert context.tape is None
    assert set(pp.sessions().forked_from.dropna()) == set(runs.values())


def test_of_tapes_in_each_other_the_inner_one_is_played(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("outer"), message("inner"))
    for name in ("outer", "inner"):
        with pp.trace_session(name):
            ask(client)
    with pp.tape("outer"):
        with pp.tape("inner"):
            assert ask(client).choices[0].message.content == "inner"
            with pytest.raises(pp.NotOnTape, match="tape of 'inner'"):
                ask(client)
        assert ask(client).choices[0].message.content == "outer"
