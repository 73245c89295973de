"""Tracebacks of the application's exceptions look as they would without us."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
import openai
import pytest

import peaky_peek as pp
from peaky_peek.capture import autopatch
from tests.loopback import Loopback, error, stream


def fails(*_: Any) -> Any:
    raise ValueError("no")


def yields() -> Iterator[int]:
    yield 1
    fails()


async def comes() -> Any:
    await asyncio.sleep(0)
    fails()


async def streams() -> AsyncIterator[int]:
    yield 1
    fails()


def drained(make: Callable[[], Iterator[int]]) -> Any:
    return list(make())


def thrown_into(make: Callable[[], Iterator[int]]) -> Any:
    started = make()
    next(started)
    started.throw(ValueError("no"))


def awaited(make: Callable[[], Any]) -> Any:
    async def run() -> Any:
        made = make()
        return [item async for item in made] if hasattr(made, "__aiter__") else await made

    return asyncio.run(run())


def frames(run: Callable[[], Any], kind: type[BaseException] = Exception) -> list[str]:
    """The functions in the traceback of what is raised, and of its causes, below this test."""
    with pytest.raises(kind) as caught:
        run()
    return [name for each in chain(caught.value) for name in names(each.__traceback__)][1:]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def names(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename.rpartition('/')[2]}:{frame.name}" for frame in traceback.extract_tb(trace)]


@pytest.mark.parametrize("decorator", [pp.trace, pp.tool, pp.llm(model="m")], ids=["trace", "tool", "llm"])
@pytest.mark.parametrize(
    ("function", "call"),
    [(fails, lambda f: f()), (yields, drained), (yields, thrown_into), (comes, awaited), (streams, awaited)],
    ids=["plain", "generator", "thrown", "coroutine", "stream"],
)
def test_a_decorated_function_has_the_traceback_of_the_function(decorator: Any, function: Any, call: Any) -> None:
    bare = frames(lambda: call(function))
    assert frames(lambda: call(decorator(function))) == bare


def test_what_is_recorded_of_an_exception_names_none_of_our_files() -> None:
    frames(pp.trace(fails))
    (told,) = pp.events(types="error", data=True).data
    assert "in fails" in told["stack_trace"]
    assert "peaky_peek/capture" not in told["stack_trace"]


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception of which no attribute can be set."""

    code: int


def test_an_exception_that_is_frozen_passes_as_it_is() -> None:
    @pp.tool
    def lookup() -> None:
        raise Frozen(1)

    with pytest.raises(Frozen):
        lookup()


def test_threads_and_pools_add_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: seen.append(names(told.exc_traceback)))

    def work() -> None:
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            seen.append(names(pool.submit(fails).exception().__traceback__))  # type: ignore[union-attr]

    work()
    with pp.trace_session("around"):
        work()
    assert seen[2:] == seen[:2]


def ask(server: Loopback, **options: Any) -> Any:
    with openai.OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], **options)
        return list(answer)


def fetch(server: Loopback) -> Any:
    with httpx.Client() as client:
        return client.get("http://127.0.0.1:1")


def ask_nobody(_: Loopback) -> Any:
    with openai.OpenAI(base_url="http://127.0.0.1:1", api_key="test", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])


def read_what_breaks_off(server: Loopback) -> Any:
    return ask(server, stream=True)


@pytest.mark.parametrize("call", [ask, ask_nobody, fetch, read_what_breaks_off])
def test_a_request_that_fails_has_the_traceback_of_the_client(call: Callable[[Loopback], Any]) -> None:
    with Loopback() as server:
        for _ in range(2):
            server.answer(stream("Hel", breaks_off=True, done=False) if call is read_what_breaks_off else error(500))
        bare = frames(lambda: call(server))
        autopatch.install()
        try:
            assert frames(lambda: call(server)) == bare
        finally:
            autopatch.uninstall()
