"""What happens inside `pp.pause()` leaves no trace, whatever it is part of; `sample=` keeps sessions whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.store import Database
from tests import loopback
from tests.loopback import Loopback

MARK = "quokka-7731"


def traces(store: Database) -> list[str]:
    """The files that hold the mark, the log and the journals among them."""
    store.ingest()
    return [path.name for path in store.path.parent.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]


@pp.tool
def look_up(word: str) -> str:
    return f"{word} found"


@pytest.fixture
def openai() -> Iterator[tuple[Any, Loopback]]:
    from openai import OpenAI

    pp.init(db=pp.store.current().path)
    with Loopback() as server, OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client, server
    pp.uninstall()


def ask(client: Any, text: str, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **options)


def test_nothing_is_recorded_of_what_happens_inside(store: Database, openai: tuple[Any, Loopback]) -> None:
    client, server = openai
    server.answer(loopback.message(MARK), loopback.message("after"))
    with pp.trace_session("agent") as ctx:
        ctx.record_decision("before")
        with pp.pause():
            ask(client, MARK)
            look_up(MARK)
            ctx.record_decision(MARK)
            ctx.checkpoint(MARK)
            ctx.outcome(MARK, note=MARK)
            with pp.trace_session(MARK, input=MARK) as inner:
                inner.record_error(MARK)
            with pytest.raises(ValueError, match=MARK), pp.trace_session(MARK, new_session=True):
                raise ValueError(MARK)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(look_up, MARK).result()
        ask(client, "after")
        look_up("wombat")
    assert traces(store) == []
    assert pp.events("agent").event_type.tolist() == [
        "agent_start", "decision", "llm_request", "llm_response", "tool_call", "tool_result", "agent_end",
    ]  # fmt: skip


def test_what_began_before_and_ends_inside_keeps_its_end_to_itself(
    store: Database, openai: tuple[Any, Loopback]
) -> None:
    client, server = openai
    server.answer(loopback.stream("before ", MARK))
    pause = pp.pause()

    @pp.tool
    def read() -> str:
        pause.__enter__()
        return MARK

    @pp.trace
    def agent() -> str:
        read()
        return MARK

    session = pp.start_session("spanning")
    chunks = iter(ask(client, "hello", stream=True))
    next(chunks)
    agent()
    rest = [chunk.choices[0].delta.content for chunk in chunks]
    assert MARK in rest
    session.output = MARK
    session.end()
    pause.__exit__(None, None, None)
    assert traces(store) == []
    assert pp.session("spanning").status == "completed"
    assert pp.events("spanning").event_type.tolist() == ["agent_start", "llm_request", "agent_start", "tool_call"]


def test_an_exception_inside_ends_the_session_and_is_not_told(store: Database) -> None:
    def fail(pause: Any) -> None:
        pause.__enter__()
        raise ValueError(MARK)

    pause = pp.pause()
    with pytest.raises(ValueError, match=MARK), pp.trace_session("agent"):
        fail(pause)
    pause.__exit__(None, None, None)
    assert traces(store) == []
    assert pp.session("agent").status == "failed"


def test_what_is_started_inside_stays_unrecorded_when_it_goes_on_after(store: Database) -> None:
    go = threading.Event()

    def work() -> None:
        go.wait(30)
        look_up(MARK)
        with pp.trace_session(MARK, new_session=True):
            look_up(MARK)

    code = f"import peaky_peek as pp\nwith pp.trace_session({MARK!r}): pass\n"
    with pp.trace_session("agent"), ThreadPoolExecutor(1) as pool:
        with pp.pause():
            thread = threading.Thread(target=work)
            thread.start()
            submitted = pool.submit(work)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
                assert processes.submit(look_up, MARK).result() == f"{MARK} found"
            subprocess.run([sys.executable, "-c", code], check=True)
        go.set()
        thread.join()
        submitted.result()
        look_up("wombat")
    assert traces(store) == []
    assert pp.events("agent").event_type.tolist() == ["agent_start", "tool_call", "tool_result", "agent_end"]
    assert len(pp.sessions()) == 1


@pytest.mark.parametrize("sample", [0, 0.5])
def test_a_session_is_sampled_with_all_that_belongs_to_it(
    store: Database, openai: tuple[Any, Loopback], sample: float
) -> None:
    client, server = openai
    pp.init(db=store.path, sample=sample)
    for number in range(12):
        server.answer(loopback.message("yes"), loopback.message("no"))
        with pp.trace_session(f"run {number}", task="whole") as ctx:
            ask(client, "really?")
            with pp.trace_session("inner", new_session=True):
                ask(client, "really?")
                look_up("wombat")
            thread = threading.Thread(target=look_up, args=["numbat"])
            thread.start()
            thread.join()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(look_up, "bilby").result()
        ctx.record_decision("late")
        ctx.outcome("pass")
    frame = pp.sessions()
    roots, inner = frame[frame.name != "inner"], frame[frame.name == "inner"]
    assert roots.session_id.tolist() == inner.parent_session_id.tolist()
    assert (roots.llm_calls == 1).all()
    assert (roots.tool_calls == 2).all()
    assert (inner.tool_calls == 1).all()
    assert (roots.outcome == "pass").all()
    assert roots.events.nunique() <= 1
    exchanges = store.connection().execute("SELECT count(*) FROM exchanges").fetchone()
    assert exchanges == (len(frame),)
    assert len(roots) < 12
    assert len(roots) > 0 or sample == 0


def test_processes_and_programs_belong_to_the_sample_of_who_started_them(store: Database) -> None:
    pp.init(db=store.path, sample=0)
    code = f"import peaky_peek as pp\nwith pp.trace_session({MARK!r}): pass\n"
    with pp.trace_session("agent"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            processes.submit(look_up, MARK).result()
        subprocess.run([sys.executable, "-c", code], check=True)
    assert traces(store) == []
    assert pp.sessions().empty


def test_a_conversation_that_is_resumed_is_kept_whole_or_not_at_all(store: Database) -> None:
    pp.init(db=store.path, sample=0.5)
    for turn in range(4):
        for number in range(20):
            with pp.trace_session("chat", session_id=f"chat {number}", resume=True) as ctx:
                ctx.record_decision(f"turn {turn}")
    assert set(pp.sessions().events) == {12}
    assert 2 < len(pp.sessions()) < 18
