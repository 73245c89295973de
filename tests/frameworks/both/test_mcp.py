"""MCP tools that are called by hand: each is a tool call that says its server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

import peaky_peek as pp
from peaky_peek.capture import faults, frameworks
from peaky_peek.capture.frameworks import mcp as adapter
from peaky_peek.store import Database
from tests.frameworks import mcp_server
from tests.frameworks.trees import events, outline, tree

NAMES = frozenset({"mcp"})


@asynccontextmanager
async def by_stdio() -> AsyncIterator[ClientSession]:
    program = StdioServerParameters(command=sys.executable, args=[mcp_server.__file__])
    async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def by_http() -> AsyncIterator[ClientSession]:
    with mcp_server.over_http() as url:
        async with streamable_http_client(url) as (read, write, *_), ClientSession(read, write) as session:
            await session.initialize()
            yield session


Connect = Callable[[], AbstractAsyncContextManager[ClientSession]]
WAYS = pytest.mark.parametrize("connect", [by_stdio, by_http])


@WAYS
async def test_a_call_is_a_tool_that_says_its_server(store: Database, connect: Connect) -> None:
    with pp.trace_session("by hand"):
        async with connect() as session:
            await session.call_tool("weather", {"city": "Paris"})
            await session.call_tool(name="moon", arguments={"day": 3})
            await session.call_tool("moon", {"day": 32})
    assert outline(store).replace("Error executing tool moon: ", "") == tree("""
        session by hand completed
          agent by hand
            tool weather {'city': 'Paris'} -> 'sun in Paris'
            tool moon {'day': 3} -> {'phase': 'full', 'day': 3}
            tool moon {'day': 32} !! no such day (error)
    """)
    assert [event.data for event in events(store, "tool_call", "tool_result")] == [{"server": "almanac"}] * 6


async def test_a_call_that_raises_is_a_tool_that_failed(store: Database) -> None:
    async with by_http() as session:
        pass
    with pp.trace_session("too late"), pytest.raises(BaseException) as caught:  # noqa: PT011
        await session.call_tool("weather", {"city": "Paris"})
    (result,) = events(store, "tool_result")
    assert result.error == faults.said(caught.value)
    assert result.data == {"server": "almanac"}


async def test_a_tool_that_calls_one_of_a_server_has_it_inside(store: Database) -> None:
    async with by_http() as session:

        @pp.tool
        async def forecast(city: str) -> str:
            said = await session.call_tool("weather", {"city": city})
            return str(said.content[0].text)

        @pp.tool
        async def weather(city: str) -> str:
            return await forecast.__wrapped__(city)

        with pp.trace_session("nested"):
            await forecast("Paris")
            await weather("Rome")
    assert outline(store) == tree("""
        session nested completed
          agent nested
            tool forecast {'city': 'Paris'} -> 'sun in Paris'
              tool weather {'city': 'Paris'} -> 'sun in Paris'
            tool weather {'city': 'Rome'} -> 'sun in Rome'
    """)
    assert [result.data for result in events(store, "tool_result")][-1] == {"server": "almanac"}


async def test_answers_are_the_same_and_uninstalling_restores_what_was_there(store: Database) -> None:
    async with by_http() as session:
        recorded = await session.call_tool("moon", {"day": 3})
        frameworks.uninstall()
        originals = ClientSession.call_tool, ClientSession.initialize
        alone = await session.call_tool("moon", {"day": 3})
        frameworks.install(NAMES)
        assert (ClientSession.call_tool, ClientSession.initialize) != originals
        frameworks.uninstall()
        assert (ClientSession.call_tool, ClientSession.initialize) == originals
    assert recorded == alone
    assert outline(store).count("tool moon") == 1


async def test_a_fault_of_ours_costs_only_the_record(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(faults, "strict", False)
    for name in ("_server", "_said"):
        with monkeypatch.context() as patch:
            patch.setattr(adapter, name, faults.guarded(broken))
            async with by_http() as session:
                answer = await session.call_tool("weather", {"city": "Paris"})
                assert answer.content[0].text == "sun in Paris"
    assert faults.counted() == {"RuntimeError: ours": 2}
    assert "(open)" not in outline(store)


async def test_a_version_without_the_hook_is_said_to_be_unknown(
    store: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frameworks.uninstall()
    with monkeypatch.context() as patch:
        patch.delattr(ClientSession, "call_tool")
        frameworks.install(NAMES)
    assert "does not know this version of MCP" in capsys.readouterr().err
    async with by_http() as session:
        assert (await session.call_tool("weather", {"city": "Paris"})).content[0].text == "sun in Paris"


@pytest.mark.parametrize("recorded", ["weather", "almanac_weather", "almanac__weather", "mcp.weather"])
def test_frameworks_put_the_server_before_the_name_of_a_tool(recorded: str) -> None:
    assert adapter._is_call_of(recorded, "weather")


@pytest.mark.parametrize("recorded", ["weather_report", "almanacweather", ""])
def test_other_tools_are_others(recorded: str) -> None:
    assert not adapter._is_call_of(recorded, "weather")
