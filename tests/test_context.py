"""Parents are right wherever code runs: tasks, threads, pools, generators, nested sessions."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.store import Database


@pp.tool
def leaf(who: str) -> str:
    return who


@pp.tool
async def aleaf(who: str) -> str:
    await asyncio.sleep(0)
    return who


def parents() -> dict[str, str]:
    """Who each call of a leaf happened inside, by name."""
    frame = pp.events(pp.ALL, data=True)
    names = dict(zip(frame.event_id, frame.name, strict=True))
    calls = frame[frame.event_type == "tool_call"]
    return {data["arguments"]["who"]: names[parent] for data, parent in zip(calls.data, calls.parent_id, strict=True)}


async def test_gathered_and_created_tasks_know_where_they_come_from() -> None:
    @pp.trace
    async def agent(name: str) -> None:
        await asyncio.gather(aleaf(f"{name} gathered 1"), aleaf(f"{name} gathered 2"))
        await asyncio.create_task(aleaf(f"{name} task"))
        await asyncio.to_thread(leaf, f"{name} thread")
        await asyncio.get_running_loop().run_in_executor(None, leaf, f"{name} executor")

    async with pp.trace_session("root"):
        a = pp.trace(name="a")(agent)
        b = pp.trace(name="b")(agent)
        await asyncio.gather(a("a"), b("b"))
    assert {who: parent for who, parent in parents().items() if parent != "agent"} == {}
    assert len(parents()) == 10
    frame = pp.events("root")
    outer = frame[(frame.event_type == "agent_start") & frame.name.isin(["a", "b"])]
    inner = frame[(frame.event_type == "agent_start") & (frame.name == "agent")]
    assert sorted(inner.parent_id) == sorted(outer.event_id)


def test_threads_and_pools_record_into_the_scope_they_were_started_from() -> None:
    with ThreadPoolExecutor(1) as pool:
        with pp.trace_session("session"), pp.trace_session("one"):
            pool.submit(leaf, "one submitted").result()
            list(pool.map(leaf, ["one mapped"]))
            thread = threading.Thread(target=leaf, args=("one thread",))
            thread.start()
            thread.join()
        with pp.trace_session("session"), pp.trace_session("two"):
            pool.submit(leaf, "two submitted").result()
            timer = threading.Timer(0, leaf, ["two timer"])
            timer.start()
            timer.join()
        seen = pool.submit(pp.capture.context.current).result()
    assert seen is None
    assert parents() == {
        "one submitted": "one", "one mapped": "one", "one thread": "one", "two submitted": "two", "two timer": "two",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools_record_into_the_scope_that_work_was_submitted_from(
    method: str, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAKY_PEEK_DB", str(store.path))
    with (
        pp.trace_session("root"),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool,
        pp.trace_session("inside"),
    ):
        assert pool.submit(leaf, "submitted").result() == "submitted"
        assert list(pool.map(leaf, ["mapped"])) == ["mapped"]
    assert parents() == {"submitted": "inside", "mapped": "inside"}
    assert pp.sessions().name.tolist() == ["root"]


def test_a_thread_subclass_runs_as_it_is_written() -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            leaf("worker")

    with pp.trace_session("root"):
        worker = Worker()
        worker.start()
        worker.join()
    assert parents() == {"worker": "root"}
    assert "run" not in vars(worker)


def test_uninstall_restores_threads_and_pools() -> None:
    with pp.trace_session("root"):
        pass
    pp.uninstall()
    assert threading.Thread.start.__module__ == "threading"
    assert ThreadPoolExecutor.submit.__module__ == "concurrent.futures.thread"


async def test_a_generator_that_is_closed_in_another_task_leaves_the_scope_as_it_was() -> None:
    @pp.trace
    async def stream() -> Any:
        try:
            yield await aleaf("in the stream")
            yield 2
        finally:
            await aleaf("at its end")

    async with pp.trace_session("root"):
        generator = stream()
        await anext(generator)
        await asyncio.create_task(generator.aclose())
        await aleaf("after")
    assert parents() == {"in the stream": "stream", "at its end": "stream", "after": "root"}


def test_half_consumed_generators_do_not_capture_their_consumer() -> None:
    @pp.trace
    def numbers(name: str) -> Any:
        for number in range(3):
            leaf(f"{name} {number}")
            yield number

    with pp.trace_session("root"):
        for _ in zip(numbers("a"), numbers("b"), strict=True):
            leaf("between") if "between" not in str(_) else None
            break
        leaf("after")
    found = parents()
    assert found["a 0"] == found["b 0"] == "numbers"
    assert found["between"] == found["after"] == "root"


def test_tools_nest_in_tools_and_agents_in_tools() -> None:
    @pp.trace
    def helper() -> str:
        return leaf("inside the helper")

    @pp.tool
    def delegate() -> str:
        return helper()

    with pp.trace_session("root"):
        delegate_result = delegate.__wrapped__  # the function itself stays reachable
        assert delegate_result.__name__ == "delegate"
        delegate()
    frame = pp.events("root")
    by_id = frame.set_index("event_id")
    chain = []
    at = frame.event_id[(frame.event_type == "tool_call") & (frame.name == "leaf")].item()
    while isinstance(at, str):
        chain.append(by_id.loc[at, "name"])
        at = by_id.loc[at, "parent_id"]
    assert chain == ["leaf", "helper", "delegate", "root"]


def test_context_managers_closed_out_of_order_do_not_lose_the_outer_one() -> None:
    first = pp.start_session("first")
    second = pp.start_session("second")
    first.end()
    leaf("in second")
    second.end()
    assert pp.sessions().status.tolist() == ["completed", "completed"]
    assert parents() == {"in second": "second"}
    assert pp.capture.context.current() is None


@pytest.mark.parametrize("decorated", [leaf, aleaf])
def test_decorated_functions_look_like_themselves(decorated: Any) -> None:
    assert decorated.__name__ in ("leaf", "aleaf")
    assert asyncio.iscoroutinefunction(decorated) == (decorated is aleaf)
