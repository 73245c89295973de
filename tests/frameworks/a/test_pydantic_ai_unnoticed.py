"""What is recorded of PydanticAI changes nothing, is undone without a trace, and says so when it no longer fits."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from peaky_peek.capture import faults, frameworks
from peaky_peek.capture.frameworks import pydantic_ai as adapter
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import by_run, chat, weatherman
from tests.frameworks.trees import outline, tree
from tests.loopback import Loopback, message

NAMES = frozenset({"pydantic_ai"})


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    frameworks.uninstall()
    yield
    frameworks.uninstall()


def script() -> FunctionModel:
    """Calls a tool, which fails the first time, and then says so."""

    def answer(messages: list[ModelMessage], info: Any) -> ModelResponse:
        if len(messages) < 4:
            return ModelResponse([ToolCallPart("weather", {"city": "Paris" if len(messages) == 3 else 7}, "c")])
        return ModelResponse([TextPart("Sunny.")])

    async def stream(messages: list[ModelMessage], info: Any) -> Any:
        if len(messages) == 1:
            yield {0: DeltaToolCall("weather", '{"city": "Paris"}', tool_call_id="c")}
        else:
            yield "Sun"
            yield "ny."

    return FunctionModel(answer, stream_function=stream)


async def all_of(agent: Agent[None, Any]) -> list[Any]:
    result = await agent.run("Weather?")
    async with agent.run_stream("Weather?") as stream:
        texts = [text async for text in stream.stream_text(debounce_by=None)]
    async with agent.run_stream_events("Weather?") as events:
        kinds = [type(event).__name__ async for event in events]
    async with agent.iter("Weather?") as run:
        nodes = [type(node).__name__ async for node in run]
    parts = [type(part).__name__ for seen in result.all_messages() for part in seen.parts]
    return [result.output, result.usage, parts, texts, stream.usage, kinds, nodes]


async def test_runs_give_what_they_give_without_us(store: Database) -> None:
    agent = weatherman(script())
    alone = await all_of(agent)
    assert outline(store) == ""
    frameworks.install(NAMES)
    assert await all_of(agent) == alone
    assert outline(store).count("agent weatherman") == 4
    assert "(open)" not in outline(store)


async def test_exceptions_are_the_very_ones(store: Database) -> None:
    def answer(messages: list[ModelMessage], info: Any) -> ModelResponse:
        raise raised.pop()

    async def outcome() -> list[Any]:
        raised.append(error := ValueError("kaboom"))
        with pytest.raises(ValueError, match="kaboom") as caught:
            await Agent(FunctionModel(answer), name="fragile").run("go")
        return [
            caught.value is error, error.__cause__, error.__context__, error.__suppress_context__,
            [frame.name for frame in traceback.extract_tb(error.__traceback__) if "peaky_peek" not in frame.filename],
        ]  # fmt: skip

    raised: list[ValueError] = []
    alone = await outcome()
    frameworks.install(NAMES)
    *same, frames = await outcome()
    assert same == alone[:-1]
    assert frames[-1] == alone[-1][-1] == "answer"


async def test_capabilities_of_the_application_stay_in_their_order(store: Database) -> None:
    seen = []

    class Noting(AbstractCapability[None]):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def wrap_tool_execute(self, ctx: RunContext[None], **given: Any) -> Any:
            seen.append(self.name)
            return await given["handler"](given["args"])

    frameworks.install(NAMES)
    agent = weatherman(script(), capabilities=[Noting("agent's")])
    await agent.run("Weather?", capabilities=[Noting("run's")])
    assert seen == ["agent's", "run's"]


async def test_a_fault_of_ours_costs_only_the_record(
    store: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(faults, "strict", False)
    for name in ("agent", "tool", "model", "ended", "scope_of"):
        monkeypatch.setattr(adapter.runs, name, faults.guarded(broken))
    monkeypatch.setattr(adapter.messages, "denied", broken)
    frameworks.install(NAMES)
    assert await by_run(weatherman(script())) == "Sunny."
    assert "ours" in caplog.text


async def test_agents_are_recorded_whether_they_were_made_before_or_after(store: Database, server: Loopback) -> None:
    before = Agent(chat(server), name="before")
    frameworks.install(NAMES)
    after = Agent(chat(server), name="after")
    server.answer(message("one"), message("two"))
    await before.run("go")
    await after.run("go")
    assert outline(store) == tree("""
        session before pydantic_ai completed
          agent before 'go' -> 'one'
            llm gpt-4o-mini 11/7
        session after pydantic_ai completed
          agent after 'go' -> 'two'
            llm gpt-4o-mini 11/7
    """)


async def test_uninstalling_restores_what_was_there(store: Database, server: Loopback) -> None:
    original = Agent.iter
    frameworks.install(NAMES)
    frameworks.install(NAMES)
    assert Agent.iter is not original
    assert inspect.signature(Agent.iter) == inspect.signature(original)
    agent: Agent[None, str] = Agent(chat(server), name="late")
    kept = functools.partial(Agent.iter, agent)
    frameworks.uninstall()
    assert Agent.iter is original
    server.answer(message("one"))
    async with kept("go") as run:
        async for _ in run:
            pass
    assert "agent" not in outline(store)
    assert adapter.runs._runs == {}


def _no_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("pydantic_ai.capabilities.AbstractCapability")


def _none_for_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Agent, "iter", lambda self, user_prompt: None)


MOVED = pytest.mark.parametrize("moved", [_no_capabilities, _none_for_a_run])


@MOVED
async def test_a_version_that_is_not_known_is_recorded_by_its_model_calls(
    store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    moved: Callable[..., None],
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        moved(patch)
        frameworks.install(NAMES)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "does not know this version of PydanticAI" in said
    assert [each.state for each in frameworks.ADAPTERS if each.module == "pydantic_ai"] == ["degraded"]
    server.answer(message("Sunny."))
    assert await by_run(weatherman(chat(server))) == "Sunny."
    assert [line.strip() for line in outline(store).splitlines()[1:]] == ["llm gpt-4o-mini 11/7"]
