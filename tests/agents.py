"""Agents that tell all they can see of what happens to them; each is made with `Recorded`, or `Bare` without it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from openai import AsyncOpenAI, OpenAI

from tests.injection import described
from tests.loopback import Loopback, error, message, stream

ASK: Any = [{"role": "user", "content": "What is the weather in Paris?"}]


class Bare:
    """What agents use of Peaky Peek, doing nothing."""

    def trace(self, function: Any = None, /, **options: Any) -> Any:
        return function if function is not None else lambda decorated: decorated

    tool = trace

    def llm(self, **options: Any) -> Any:
        return lambda decorated: decorated

    def trace_session(self, *args: Any, **options: Any) -> Any:
        return _Nothing()

    start_session = trace_session

    def is_event(self, value: Any) -> bool:
        return isinstance(value, _Nothing)


class Recorded:
    """The same, doing what it is for."""

    def __getattr__(self, name: str) -> Any:
        import peaky_peek

        return getattr(peaky_peek, name)

    def is_event(self, value: Any) -> bool:
        from peaky_peek.events import Event

        return isinstance(value, Event) and isinstance(str(value), str) and bool(repr(value))


class _Nothing:
    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self

    def __enter__(self) -> Self:
        return self

    def outcome(self, *args: Any, **kwargs: Any) -> None: ...

    __aenter__ = None

    def __exit__(self, *_: object) -> None: ...

    def __await__(self) -> Any:
        return self
        yield


async def _entered(self: Any, *_: object) -> Any:
    return self


async def _left(*_: object) -> None: ...


_Nothing.__aenter__ = _entered  # type: ignore[assignment]
_Nothing.__aexit__ = _left  # type: ignore[attr-defined]


class Refused(Exception):
    """What a tool fails with."""


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call gives, or a description of what it raises."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - what the agent sees
        return described(error, __file__)


async def outcome_of(awaitable: Any) -> Any:
    try:
        return await awaitable
    except BaseException as error:  # noqa: BLE001 - what the agent sees
        return described(error, __file__)


def plain(pp: Any) -> Any:  # noqa: C901 - a whole agent
    """Functions: tools that work and fail, agents in agents, errors with causes, interrupts."""

    @pp.tool
    def search(query: str, *, limit: int = 3) -> list[str]:
        return [query] * limit

    @pp.tool(name="pay")
    def pay(amount: float) -> None:
        if amount > 1:
            try:
                raise KeyError(amount)  # noqa: TRY301
            except KeyError as error:
                raise Refused("too much", amount) from error
        raise SystemExit(3)

    @pp.llm(model="m-1")
    def complete(prompt: str) -> Any:
        return {"choices": [{"message": {"content": prompt.upper()}, "finish_reason": "stop"}], "usage": {"input": 1}}

    class Service:
        @pp.tool
        @classmethod
        def of_class(cls, value: int) -> str:
            return f"{cls.__name__}{value}"

    @pp.trace
    def helper(question: str) -> Any:
        return complete(question), search(question, limit=1)

    @pp.trace(name="main", task="t", version="1", tags=["a"])
    def agent(question: str) -> Any:
        found = search(question), helper(question), Service.of_class(2)
        with contextlib.suppress(Refused):
            pay(5)
        return found, outcome(pay, 7), outcome(pay, 0)

    @pp.trace
    def fails(kind: type[BaseException]) -> None:
        search("x")
        try:
            pay(9)
        except Refused:
            raise kind("gone wrong", 1)  # noqa: B904

    @pp.trace(new_session=True)
    def wrongly_called(a: int) -> int:
        return a

    kinds = ValueError, KeyboardInterrupt, SystemExit, GeneratorExit

    def run() -> Any:
        failed = [outcome(fails, kind) for kind in kinds]
        return outcome(agent, "why"), failed, outcome(wrongly_called, 1), outcome(wrongly_called, b=2)[0]

    return run


def generators(pp: Any) -> Any:
    """Generators: to the end, half consumed, sent to, thrown into, closed."""
    left: list[Any] = []

    @pp.tool
    def numbers(count: int) -> Any:
        yield from range(count)
        return "done"

    @pp.trace
    def agent(count: int) -> Any:
        try:
            got = yield "first"
            left.append(got)
            try:
                yield (yield from numbers(count))
            except Refused as error:
                left.append(error.args)
                yield "caught"
            raise ValueError("after") from Refused("cause")
        finally:
            left.append("cleaned up")

    def to_the_end() -> Any:
        running = agent(2)
        return next(running), running.send("sent"), next(running), next(running), outcome(next, running)

    def thrown_into() -> Any:
        running = agent(0)
        return next(running), next(running), running.throw(Refused("thrown")), outcome(running.close)

    def half_consumed() -> Any:
        running = agent(3)
        taken = next(running), next(running)
        running.close()
        return taken, outcome(next, running)[0]

    def thrown_at_once() -> Any:
        return outcome(agent(1).throw, Refused("early"))[:2]

    def run() -> Any:
        left.clear()
        steps = to_the_end, thrown_into, half_consumed, thrown_at_once, lambda: list(numbers(3))
        return [outcome(step) for step in steps], left[:]

    return run


def coroutines(pp: Any) -> Any:
    """Coroutines and async generators: side by side, cancelled, timed out, half consumed."""
    left: list[Any] = []

    @pp.tool
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        if number == 3:
            raise Refused(number)
        return number * 2

    @pp.tool
    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append("never ended")

    @pp.trace
    async def stream(count: int) -> Any:
        try:
            for number in range(count):
                got = yield number
                left.append(got)
        finally:
            await asyncio.sleep(0)
            left.append("stream ended")

    @pp.trace
    async def agent() -> Any:
        found = await asyncio.gather(*(outcome_of(fetch(number)) for number in range(5)))
        task = asyncio.create_task(never())
        await asyncio.sleep(0)
        task.cancel("enough")
        cancelled = (await outcome_of(task))[:2]
        timed_out = (await outcome_of(asyncio.wait_for(never(), 0.001)))[0]
        whole = [item async for item in stream(2)]
        running = stream(3)
        half = await anext(running), await running.asend("sent")
        await running.aclose()
        thrown = stream(2)
        await anext(thrown)
        return found, cancelled, timed_out, whole, half, await outcome_of(thrown.athrow(Refused("in")))

    async def main() -> Any:
        async with pp.trace_session("around") as ctx:
            result = await agent()
            awaited = pp.is_event(await ctx.record_decision("because"))
        return result, awaited, await outcome_of(failing())

    @pp.trace
    async def failing() -> None:
        await fetch(3)

    def run() -> Any:
        left.clear()
        return outcome(asyncio.run, main()), left

    return run


def verbs(pp: Any) -> Any:
    """Every verb; sessions in sessions, and across calls."""
    odd: Any = object()

    def run() -> Any:
        session = pp.start_session("chat", thread="t")
        try:
            session.record_agent_turn("a", "user", 1, content="hello")
        finally:
            session.end()
        with pp.trace_session("verbs", framework="f", task="t", tags="one") as ctx:
            cause = ctx.record_decision("because", 0.9, "act", ["x"], alternatives=[1])
            ctx.set_parent(cause)
            made = [
                cause,
                ctx.record_tool_call("search", {"q": 1}, call_id="c"),
                ctx.record_tool_result("search", [1], call_id="c"),
                ctx.record_tool_result("search", error="broken", upstream_event_ids=cause),
                ctx.record_llm_request("gpt-4o-mini", [{"role": "user", "content": "hi"}], settings={"a": 1}),
                ctx.record_llm_response("gpt-4o-mini", "hello", usage={"prompt_tokens": 3, "completion_tokens": 4}),
                ctx.record_llm_request(
                    "gpt-4o-mini", [{"role": "user", "content": "hi"}, {"role": "x", "content": odd}]
                ),
                ctx.record_error("ValueError", "bad"),
                ctx.record_safety_check("policy", "fail", "high"),
                ctx.record_refusal("no"),
                ctx.record_policy_violation("policy", details={1: odd}),
                ctx.record_prompt_policy("template", {"x": float("nan")}),
                ctx.record_behavior_alert("loop", related_event_ids=[cause]),
                ctx.record_repair_attempt("fix"),
                ctx.record_drift("off", original_value=b"x", restored_value={2}),
                ctx.checkpoint({"step": 3}, label="before"),
            ]
            with pp.trace_session("inner") as inner:
                made.append(inner.record_decision("inside"))
            with pp.trace_session("nested", new_session=True) as nested:
                made.append(nested.checkpoint(odd))
            said = ctx.outcome("pass", score=1.0, note="good"), outcome(_raise_in, pp)
        return [pp.is_event(event) for event in made], said

    return run


def _raise_in(pp: Any) -> None:
    with contextlib.suppress(Refused), pp.trace_session("failing") as ctx:
        ctx.record_decision("about to fail")
        raise Refused("inside")


def threads(pp: Any) -> Any:
    """Threads and pools: what they return and raise, and what they are given."""
    seen: list[Any] = []

    @pp.tool
    def work(number: int) -> int:
        if number == 2:
            raise Refused(number)
        return number + 1

    @pp.trace
    def agent() -> Any:
        thread = threading.Thread(target=lambda: seen.append(work(5)), name="mine")
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(work, number) for number in range(4)]
            mapped = list(pool.map(work, [7, 8]))
        return [outcome(future.result) for future in futures], mapped, seen[:], thread.name

    def run() -> Any:
        seen.clear()
        return outcome(agent)

    return run


def wire(pp: Any) -> Any:
    """A model on loopback: whole and streamed answers, to the end and broken off, byte for byte."""

    def asked(client: OpenAI, **more: Any) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=ASK, **more)

    def whole(client: OpenAI) -> Any:
        return asked(client).model_dump(), outcome(asked, client)[:2]

    def streamed(client: OpenAI) -> Any:
        with asked(client, stream=True) as chunks:
            to_the_end = [chunk.model_dump() for chunk in chunks]
        with asked(client, stream=True) as chunks:
            half = [next(chunks).model_dump()]
        return to_the_end, half, outcome(lambda: [chunk.model_dump() for chunk in asked(client, stream=True)])[:2]

    def raw(client: OpenAI) -> Any:
        with client.chat.completions.with_streaming_response.create(
            model="gpt-4o-mini", messages=ASK, stream=True
        ) as response:
            return response.status_code, list(response.iter_bytes()), type(response.http_response.stream).__mro__[-2]

    async def asynchronously(url: str) -> Any:
        async with AsyncOpenAI(base_url=url, api_key="test", max_retries=0) as client:
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
            chunks = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)
            taken = [chunk.model_dump() async for chunk in chunks]
            left = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)
            half = await anext(left)
            await left.close()
            return answer.model_dump(), taken, half.model_dump()

    @pp.trace
    def agent(url: str) -> Any:
        with OpenAI(base_url=url, api_key="test", max_retries=1) as client:
            return [outcome(step, client) for step in (whole, streamed, raw)]

    @pp.trace
    def agent_of_coroutines(url: str) -> Any:
        return outcome(asyncio.run, asynchronously(url))

    def run() -> Any:
        texts = stream("Hel", "lo", "!", usage={"prompt_tokens": 3, "completion_tokens": 4})
        broken = stream("Hel", "lo", breaks_off=True, done=False)
        with Loopback(message("Hello"), error(500), error(500), texts, texts, broken, texts) as server:
            seen = outcome(agent, server.url)
            server.answer(message("Hello"), texts, texts)
            return seen, outcome(agent_of_coroutines, server.url), len(server.requests)

    return run


AGENTS = {agent.__name__: agent for agent in (plain, generators, coroutines, verbs, threads, wire)}
