"""Parents are right wherever code runs: a reference tree for each way that control flows within a process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

import peaky_peek as pp
from peaky_peek.capture import context
from tests.flows import around, astep, step, tree

FLOWS: dict[str, tuple[Callable[[], Any], str]] = {}
"""What the flow is called, its code, and the tree that must be recorded when it runs inside a session `s`."""


def flow(expected: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def enter(code: Callable[[], Any]) -> Callable[[], Any]:
        FLOWS[code.__name__.replace("_", " ")] = code, expected
        return code

    return enter


def run(code: Callable[[], Any]) -> None:
    """Run code inside a session; all of a coroutine function, its event loop as well."""
    if asyncio.iscoroutinefunction(code):

        async def main() -> None:
            async with pp.trace_session("s"):
                await code()

        asyncio.run(main())
    else:
        with pp.trace_session("s"):
            code()


@pp.trace
def numbers(name: str, count: int = 3) -> Iterator[int]:
    try:
        for number in range(count):
            step(f"{name}{number}")
            yield number
    finally:
        step(f"{name}'s end")


@pp.trace
async def anumbers(name: str, count: int = 3) -> AsyncIterator[int]:
    try:
        for number in range(count):
            await astep(f"{name}{number}")
            yield number
    finally:
        step(f"{name}'s end")


# Calls


@flow("s(a(a's step) z)")
def nested_calls() -> None:
    around("a")
    step("z")


@flow("s(recurse(0 recurse(1 recurse(2))))")
def recursion() -> None:
    @pp.trace
    def recurse(depth: int) -> None:
        step(str(depth))
        if depth < 2:
            recurse(depth + 1)

    recurse(0)


@flow("s(delegate(helper(inner)))")
def an_agent_in_a_tool_in_an_agent() -> None:
    @pp.trace
    def helper() -> str:
        return step("inner")

    @pp.tool
    def delegate() -> str:
        return helper()

    delegate()


@flow("s(a(b(b's step)) z)")
def an_exception_that_skips_levels() -> None:
    def fail() -> None:
        step("b's step")
        raise KeyError

    with contextlib.suppress(KeyError), pp.trace_session("a"), pp.trace_session("b"):
        fail()
    step("z")


@flow("s(c m p t)")
def methods_and_partials() -> None:
    class Agent:
        @pp.tool
        def method(self, name: str) -> None: ...

        @pp.tool
        @classmethod
        def of_class(cls, name: str) -> None: ...

        @pp.tool
        @staticmethod
        def static(name: str) -> None: ...

    Agent().method("m")
    Agent.of_class("c")
    Agent.static("t")
    pp.tool(functools.partial(step.__wrapped__))("p")


@flow("s(a(made ran) late(ran) not z)")
async def a_plain_function_that_returns_a_coroutine() -> None:
    @pp.trace(name="a")
    def partly() -> Any:
        step("made")
        return work()

    async def work() -> str:
        await asyncio.sleep(0)
        return step("ran")

    @pp.trace(name="late")
    def late() -> Any:
        return work()

    pending = partly()
    with pp.trace_session("not"):
        pass
    assert await late() == "ran"
    assert asyncio.iscoroutine(pending)
    assert await asyncio.create_task(pending) == "ran"
    step("z")


@flow("s(a(made n0 n1) after b(m0) between)")
def plain_functions_that_return_generators() -> None:
    def bare(name: str) -> Iterator[int]:
        for number in range(2):
            step(f"{name}{number}")
            yield number

    @pp.trace
    def a() -> Iterator[int]:
        step("made")
        return bare("n")

    class B:
        def __call__(self) -> Iterator[int]:
            yield from bare("m")

    generator = a()
    step("between")
    assert list(generator) == [0, 1]
    other = pp.trace(name="b")(B())()
    next(other)
    other.close()
    step("after")


@flow("s(a(a's step) b(b's step) z)")
def context_managers_around_a_yield() -> None:
    @contextlib.contextmanager
    def section(name: str) -> Iterator[None]:
        with pp.trace_session(name):
            yield

    with section("a"):
        step("a's step")
    with contextlib.ExitStack() as stack:
        stack.enter_context(section("b"))
        step("b's step")
    step("z")


# Coroutines and tasks


@flow("s(a(a's step) z)")
async def awaiting() -> None:
    async with pp.trace_session("a"):
        await astep("a's step")
    await astep("z")


@flow("s(a(1 2) b(1' 2'))")
async def gathering() -> None:
    @pp.trace(name="a")
    async def one() -> None:
        await asyncio.gather(astep("1"), astep("2"))

    @pp.trace(name="b")
    async def other() -> None:
        await asyncio.gather(astep("1'"), astep("2'"))

    await asyncio.gather(one(), other())


@flow("s(a(early late) z)")
async def a_task_that_outlives_its_span() -> None:
    over = asyncio.Event()

    async def work() -> None:
        step("early")
        await over.wait()
        step("late")

    async with pp.trace_session("a"):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    over.set()
    await task
    step("z")


@flow("s(a(one two(two's step)) z)")
async def a_task_group() -> None:
    async def two() -> None:
        async with pp.trace_session("two"):
            await astep("two's step")

    async with pp.trace_session("a"), asyncio.TaskGroup() as group:
        group.create_task(astep("one"))
        group.create_task(two())
    step("z")


@flow("s(a(one) b(two))")
async def a_task_group_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        with pp.trace_session("a"):
            group.start_soon(astep, "one")
        with pp.trace_session("b"):
            group.start_soon(astep, "two")


@flow("s(a(executor thread) z)")
async def threads_of_a_loop() -> None:
    with pp.trace_session("a"):
        await asyncio.to_thread(step, "thread")
        await asyncio.get_running_loop().run_in_executor(None, step, "executor")
    await asyncio.get_running_loop().run_in_executor(None, step, "z")


@flow("s(a(back in the thread) z)")
async def threads_of_anyio() -> None:
    def work() -> None:
        step("in the thread")
        anyio.from_thread.run(astep, "back")

    with pp.trace_session("a"):
        await anyio.to_thread.run_sync(work)
    await anyio.to_thread.run_sync(step, "z")


@flow("s(a(later soon threadsafe when done) z)")
async def callbacks_of_a_loop() -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    called = asyncio.Event()

    def later() -> None:
        step("later")
        called.set()

    with pp.trace_session("a"):
        loop.call_soon(step, "soon")
        loop.call_soon_threadsafe(step, "threadsafe")
        loop.call_later(0.001, later)
        done.add_done_callback(lambda _: step("when done") and None)
    done.set_result(None)
    await called.wait()
    step("z")


@flow("s(a(in the other loop) z)")
async def a_loop_inside_a_loop() -> None:
    outer = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    with pp.trace_session("a"):
        asyncio.tasks._leave_task(outer, task)  # what nest_asyncio does
        asyncio._set_running_loop(None)
        inner = asyncio.new_event_loop()
        try:
            inner.run_until_complete(astep("in the other loop"))
        finally:
            inner.close()
            asyncio._set_running_loop(outer)
            asyncio.tasks._enter_task(outer, task)
    await astep("z")


@flow("s(a(in its loop) z)")
def a_loop_in_a_thread() -> None:
    with pp.trace_session("a"):
        thread = threading.Thread(target=lambda: asyncio.run(astep("in its loop")))
        thread.start()
    thread.join()
    step("z")


@flow("s(cancelled(begun) z)")
async def a_cancelled_task() -> None:
    begun = asyncio.Event()

    @pp.trace
    async def cancelled() -> None:
        await astep("begun")
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancelled())
    await begun.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await astep("z")


# Generators


@flow("s(after numbers(a's end a0 a1) numbers(b's end b0))")
def generators_taken_in_turns() -> None:
    for _ in zip(numbers("a"), numbers("b", 1), strict=False):
        pass
    step("after")


@flow("s(after numbers(n's end n0))")
def a_generator_closed_half_consumed() -> None:
    generator = numbers("n")
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    step("after")


@flow("s(after numbers(n's end n0) other(o))")
def a_generator_closed_by_the_garbage_collector_inside_another_span() -> None:
    generator = numbers("n")
    next(generator)
    knot = [generator]
    knot.append(knot)  # type: ignore[arg-type]
    del generator
    with pp.trace_session("other"):
        del knot
        gc.collect()
        step("o")
    step("after")


@flow("s(after numbers(n's end n0 n1))")
def a_generator_that_goes_on_in_another_thread() -> None:
    generator = numbers("n")
    next(generator)

    def go_on() -> None:
        next(generator)
        generator.close()  # type: ignore[attr-defined]

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    step("after")


@flow("s(after anumbers(n's end n0) task(t))")
async def an_async_generator_closed_in_another_task() -> None:
    generator = anumbers("n")
    await anext(generator)

    @pp.trace
    async def task() -> None:
        await generator.aclose()  # type: ignore[attr-defined]
        await astep("t")

    await asyncio.create_task(task())
    await astep("after")


@flow("s(after anumbers(n's end n0))")
async def an_async_generator_left_to_the_garbage_collector() -> None:
    generator = anumbers("n")
    await anext(generator)
    del generator
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await astep("after")


@flow("s(after first(between second(1's)) third(3's))")
def spans_of_plain_generators_that_end_out_of_order() -> None:
    def inside(name: str) -> Iterator[None]:
        with pp.trace_session(name):
            yield

    first, second = inside("first"), inside("second")
    next(first)
    step("between")
    next(second)
    step("1's")
    first.close()  # type: ignore[attr-defined]
    second.close()  # type: ignore[attr-defined]
    around("third", lambda _: step("3's"))
    step("after")


# Threads


@flow("s(a(mapped submitted) b(again) z)")
def a_pool_of_threads() -> None:
    with ThreadPoolExecutor(1) as pool:
        with pp.trace_session("a"):
            pool.submit(step, "submitted").result()
            list(pool.map(step, ["mapped"]))
        with pp.trace_session("b"):
            pool.submit(step, "again").result()
        pool.submit(step, "z").result()


@flow("s(a(first prepared) z)")
def the_initializer_of_a_pool_of_threads() -> None:
    with ThreadPoolExecutor(1, initializer=step, initargs=("prepared",)) as pool:
        with pp.trace_session("a"):
            pool.submit(step, "first").result()
        pool.submit(step, "z").result()


@flow("s(a(at once called back failed) z)")
def callbacks_of_futures() -> None:
    release = threading.Event()

    def fail() -> None:
        release.wait()
        raise KeyError

    over: Future[None] = Future()
    over.set_result(None)
    with ThreadPoolExecutor(1) as pool:
        future, failing = pool.submit(release.wait), pool.submit(fail)
        with pp.trace_session("a"):
            future.add_done_callback(lambda _: step("called back") and None)
            failing.add_done_callback(lambda _: step("failed") and None)
            over.add_done_callback(lambda _: step("at once") and None)
        release.set()
    step("z")


@flow("s(a(applied async called back imapped mapped starmapped) z)")
def a_thread_pool_of_multiprocessing() -> None:
    with ThreadPool(1) as pool:
        called = threading.Event()

        def call_back(name: str) -> None:
            step("called back")
            called.set()

        with pp.trace_session("a"):
            pool.apply(step, ("applied",))
            pool.apply_async(step, ("async",), callback=call_back).get()
            called.wait()
            pool.map(step, ["mapped"])
            pool.starmap(step, [("starmapped",)])
            list(pool.imap(step, ["imapped"]))
        pool.apply(step, ("z",))


@flow("s(a(function subclass timer) z)")
def threads() -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            step("subclass")

    with pp.trace_session("a"):
        started = [threading.Thread(target=step, args=("function",)), Worker(), threading.Timer(0, step, ["timer"])]
        for thread in started:
            thread.start()
    for thread in started:
        thread.join()
        assert "run" not in vars(thread)
    step("z")


@flow("s(a(copied) b(b's step))")
def a_copied_context() -> None:
    with pp.trace_session("a"):
        copy = contextvars.copy_context()
    with pp.trace_session("b"):
        copy.run(step, "copied")
        step("b's step")


@pytest.mark.parametrize("name", FLOWS)
def test_the_recorded_tree_is_the_tree_of_the_code(name: str) -> None:
    code, expected = FLOWS[name]
    run(code)
    assert tree() == expected
    assert context.current() is None
