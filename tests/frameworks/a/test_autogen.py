"""AutoGen, run for real: agents, teams, tools and handoffs stand in the tree as they happened."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from textwrap import indent
from typing import Any

import pytest
from autogen_agentchat import agents, teams
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import HandoffMessage, TextMessage
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime, models, tools
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import USAGE, Loopback, Reply, Seen, error, message, stream, tool_call

pytestmark = [  # AutoGen's own
    pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]
INFO = {"vision": False, "function_calling": True, "json_output": True, "family": "gpt-4o", "structured_output": True}
CALLS = [tool_call("c1", "weather", city="Paris"), tool_call("c2", "add", a=2, b=3)]
ANSWERED = """
    session helper autogen completed
      agent helper 'Weather?' -> 'It rains.'
        llm gpt-4o-mini 11/7
        decision weather, add
        tool weather {'city': 'Paris'} -> 'rain in Paris'
        tool add {'a': 2, 'b': 3} -> 5
        llm gpt-4o-mini 11/7
"""


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"autogen"}))
    yield
    frameworks.uninstall()


@pytest.fixture
def not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework is recorded because a session begins."""
    monkeypatch.setenv("PEAKY_PEEK_AUTO_PATCH", "openai")


_clients: list[OpenAIChatCompletionClient] = []


@pytest.fixture(autouse=True)
async def clients(adapter: None) -> AsyncIterator[None]:
    yield
    while _clients:
        await _clients.pop().close()


def model(server: Loopback, retries: int = 0) -> OpenAIChatCompletionClient:
    client = OpenAIChatCompletionClient(
        model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=retries, model_info=INFO
    )
    _clients.append(client)
    return client


async def weather(city: str) -> str:
    """The weather."""
    return f"rain in {city}"


def add(a: int, b: int) -> int:
    """A sum."""
    return a + b


def broken(city: str) -> str:
    """Fails."""
    raise ValueError(f"no station in {city}")


def helper(server: Loopback, *given: Any, name: str = "helper", **options: Any) -> AssistantAgent:
    return AssistantAgent(name, model(server), tools=list(given or (weather, add)), **options)


def answers(streamed: bool) -> list[Reply]:
    if streamed:
        return [stream(tool_calls=CALLS, usage=USAGE), stream("It ", "rains.", usage=USAGE)]
    return [message(tool_calls=CALLS), message("It rains.")]


async def run(agent: Any, task: str, how: str) -> list[Any]:
    if how == "run":
        return [await agent.run(task=task)]
    return [item async for item in agent.run_stream(task=task)]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", ["run", "run_stream"])
async def test_an_agent_stands_above_its_model_calls_and_tools(
    store: Database, server: Loopback, how: str, streamed: bool
) -> None:
    server.answer(*answers(streamed))
    agent = helper(server, reflect_on_tool_use=True, model_client_stream=streamed)
    *_, result = await run(agent, "Weather?", how)
    assert result.messages[-1].content == "It rains."
    assert outline(store) == tree(ANSWERED)
    assert [event.call_id for event in events(store, "tool_result")] == ["c1", "c2"]
    assert all(event.duration_ms > 0 for event in events(store, "tool_result"))
    (session,) = sessions(store)
    assert (session["llm_calls"], session["tool_calls"], session["input_tokens"]) == (2, 2, 22)
    assert (session["input"], session["output"]) == ('"Weather?"', '"It rains."')


async def test_messages_may_be_given_to_an_agent_one_by_one(store: Database, server: Loopback) -> None:
    server.answer(message("Hello."))
    agent = helper(server)
    await agent.on_messages([TextMessage(content="Hi", source="user")], CancellationToken())
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Hi' -> 'Hello.'
            llm gpt-4o-mini 11/7
    """)


def swarm(server: Loopback) -> Swarm:
    triage = AssistantAgent("triage", model(server), handoffs=[Handoff(target="booker", message="Over to you.")])
    booker = helper(server, weather, name="booker", reflect_on_tool_use=True)
    return Swarm([triage, booker], termination_condition=TextMentionTermination("DONE"))


def handed_over(prefix: str = "") -> list[Reply]:
    return [
        message(tool_calls=[tool_call(f"{prefix}h1", "transfer_to_booker")]),
        message(tool_calls=[tool_call(f"{prefix}c1", "weather", city="Rome")]),
        message("Booked. DONE"),
    ]


SWARM = """
      agent Swarm 'Book.' -> {'content': 'Booked. DONE', 'stop_reason': "Text 'DONE' mentioned"}
        agent triage 'Book.' -> 'Over to you.'
          llm gpt-4o-mini 11/7
          decision transfer_to_booker
          tool transfer_to_booker {} -> 'Over to you.' [triage => booker]
        agent booker <- transfer_to_booker
          llm gpt-4o-mini 11/7
          decision weather
          tool weather {'city': 'Rome'} -> 'rain in Rome'
          llm gpt-4o-mini 11/7
"""


def told(store: Database) -> str:
    """The outline without what the agents of a team heard and said: that is each other's messages."""
    lines = outline(store).splitlines()
    return "\n".join(_without_words(line) if "agent " in line and " [{" in line else line for line in lines)


def _without_words(line: str) -> str:
    cause = line.partition(" <- ")[2]
    return line.partition(" [{")[0] + (f" <- {cause}" if cause else "")


@pytest.mark.parametrize("how", ["run", "run_stream"])
async def test_an_agent_that_takes_over_stands_beside_the_one_that_handed_over(
    store: Database, server: Loopback, how: str
) -> None:
    server.answer(*handed_over())
    await run(swarm(server), "Book.", how)
    assert told(store) == f"session Swarm autogen completed\n{indent(tree(SWARM), '  ')}"
    call, result = (next(iter(events(store, kind))) for kind in ("tool_call", "tool_result"))
    assert call.metadata["handoff"] == result.metadata["handoff"] == {"from": "triage", "to": "booker"}
    booker = events(store, "agent_start")[-1]
    assert booker.upstream_event_ids == [result.id]
    assert booker.input[-1]["content"] == "Over to you."


async def test_teams_side_by_side_keep_their_own_trees(store: Database) -> None:
    with Loopback(*handed_over("1")) as first, Loopback(*handed_over("2")) as second, pp.trace_session("both"):
        await asyncio.gather(swarm(first).run(task="Book."), swarm(second).run(task="Book."))
    lines = told(store).splitlines()
    assert lines[:2] == ["session both autogen completed", "  agent both"]
    assert "\n".join(lines[2:]) == indent(f"{tree(SWARM)}\n{tree(SWARM)}", "    ")


async def test_agents_of_a_team_are_found_in_a_runtime_that_was_started_elsewhere(
    store: Database, server: Loopback
) -> None:
    server.answer(message("one"), message("two"))
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    pair = [AssistantAgent(name, model(server)) for name in ("first", "second")]
    with pp.trace_session("run"):
        await RoundRobinGroupChat(pair, max_turns=2, runtime=runtime).run(task="Go.")
    await runtime.stop()
    assert told(store) == tree("""
        session run autogen completed
          agent run
            agent RoundRobinGroupChat 'Go.' -> {'content': 'two', 'stop_reason': 'Maximum number of turns 2 reached.'}
              agent first 'Go.' -> 'one'
                llm gpt-4o-mini 11/7
              agent second
                llm gpt-4o-mini 11/7
    """)


async def test_whom_a_model_selects_to_speak_is_a_decision(store: Database, server: Loopback) -> None:
    server.answer(message("second"), message("Hi."))
    trio = [AssistantAgent(name, model(server)) for name in ("first", "second", "third")]
    await SelectorGroupChat(trio, model(server), max_turns=1).run(task="Speak.")
    assert told(store) == tree("""
        session SelectorGroupChat autogen completed
          agent SelectorGroupChat 'Speak.' -> {'content': 'Hi.', 'stop_reason': 'Maximum number of turns 1 reached.'}
            llm gpt-4o-mini 11/7
            decision second
            agent second 'Speak.' -> 'Hi.'
              llm gpt-4o-mini 11/7
    """)
    (decision,) = events(store, "decision")
    assert decision.alternatives == ["first", "third"]


async def test_agents_and_teams_inside_agents_nest(store: Database, server: Loopback) -> None:
    expert = AssistantAgent("expert", model(server), description="Knows.")
    server.answer(message(tool_calls=[tool_call("c1", "expert", task="Why?")]), message("Because."), message("Aha."))
    boss = AssistantAgent("boss", model(server), tools=[AgentTool(expert)], reflect_on_tool_use=True)
    await boss.run(task="Ask.")
    server.answer(message("inner"), message("outer"))
    team = RoundRobinGroupChat([AssistantAgent("member", model(server))], max_turns=1)
    await SocietyOfMindAgent("society", team, model(server)).run(task="Think.")
    assert told(store).replace("Maximum number of turns 1 reached.", "At most 1.") == tree("""
        session boss autogen completed
          agent boss 'Ask.' -> 'Aha.'
            llm gpt-4o-mini 11/7
            decision expert
            tool expert {'task': 'Why?'} -> 'Because.'
              agent expert 'Why?' -> 'Because.'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
        session society autogen completed
          agent society 'Think.' -> 'outer'
            agent RoundRobinGroupChat 'Think.' -> {'content': 'inner', 'stop_reason': 'At most 1.'}
              agent member 'Think.' -> 'inner'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


async def test_an_orchestrator_and_its_agents_are_one_run(store: Database, server: Loopback) -> None:
    def ledger(done: bool) -> Reply:
        said = {"reason": "so", "answer": done}
        speaks = {"reason": "so", "answer": "worker"}
        asks = {"reason": "so", "answer": "Do it."}
        facts = {"is_request_satisfied": said, "is_in_loop": {"reason": "so", "answer": False}}
        facts |= {"is_progress_being_made": {"reason": "so", "answer": True}}
        return message(str(facts | {"next_speaker": speaks, "instruction_or_question": asks}).replace("'", '"')
                       .replace("True", "true").replace("False", "false"))  # fmt: skip

    server.answer(message("facts"), message("plan"), ledger(False), message("worked"), ledger(True), message("done"))
    await MagenticOneGroupChat([AssistantAgent("worker", model(server))], model(server)).run(task="Work.")
    assert [line.split(" [{")[0] for line in told(store).splitlines()[2:]] == [
        "    llm gpt-4o-mini 11/7", "    llm gpt-4o-mini 11/7", "    llm gpt-4o-mini 11/7", "    agent worker",
        "      llm gpt-4o-mini 11/7", "    llm gpt-4o-mini 11/7", "    llm gpt-4o-mini 11/7",
    ]  # fmt: skip


async def test_a_tool_that_raises_or_never_runs_says_so(store: Database, server: Loopback) -> None:
    garbled = {"id": "c3", "type": "function", "function": {"name": "weather", "arguments": "{"}}
    calls = [tool_call("c1", "broken", city="Rome"), tool_call("c2", "missing", x=1), garbled]
    server.answer(message(tool_calls=calls), message("Sorry."))
    await helper(server, weather, broken, reflect_on_tool_use=True).run(task="Weather?")
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Weather?' -> 'Sorry.'
            llm gpt-4o-mini 11/7
            decision broken, missing, weather
            tool broken {'city': 'Rome'} !! ValueError: no station in Rome (error)
            tool missing {'x': 1} !! Error: tool 'missing' not found in any workbench (error)
            tool weather '{' !! Error: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) (error)
            llm gpt-4o-mini 11/7
    """)  # noqa: E501


async def test_a_call_that_is_tried_again_is_one_call(store: Database, server: Loopback) -> None:
    server.answer(error(429), message("Hello."))
    await AssistantAgent("helper", model(server, retries=1)).run(task="Hi")
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Hi' -> 'Hello.'
            llm gpt-4o-mini 11/7
    """)
    attempts = store.connection().execute("SELECT status FROM exchanges ORDER BY position").fetchall()
    assert [status for (status,) in attempts] == [429, 200]


async def test_a_refusal_is_a_refusal(store: Database, server: Loopback) -> None:
    server.answer(message(refusal="I won't."))
    await AssistantAgent("helper", model(server)).run(task="Harm!")
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Harm!' -> ''
            llm gpt-4o-mini 11/7
              refusal refusal (derived)
    """)


async def test_an_agent_that_fails_fails_its_team(store: Database, server: Loopback) -> None:
    server.answer(error(500))
    with pytest.raises(RuntimeError, match="InternalServerError"):
        await RoundRobinGroupChat([AssistantAgent("helper", model(server))], max_turns=1).run(task="Hi")
    lines = told(store).splitlines()
    assert lines[0] == "session RoundRobinGroupChat autogen failed"
    assert lines[0] == "session RoundRobinGroupChat autogen failed"
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "  agent RoundRobinGroupChat 'Hi' (error)",
        "    agent helper 'Hi' (error)",
        "      llm gpt-4o-mini (error)",
        "        error scripted scripted failure",
        "      error openai.InternalServerError Error code",
        "    error RuntimeError InternalServerError",
    ]


class Cancelling(Loopback):
    """A server that is asked in vain: the application has changed its mind by then."""

    def __init__(self, token: CancellationToken) -> None:
        super().__init__(message("too late"))
        self._token, self._loop = token, asyncio.get_running_loop()
        self.gate = threading.Event()

    def reply_to(self, seen: Seen) -> Reply:
        self._loop.call_soon_threadsafe(self._token.cancel)
        self.gate.wait(30)
        return super().reply_to(seen)


@pytest.mark.parametrize("in_team", [False, True])
async def test_a_run_that_is_cancelled_is_interrupted(store: Database, in_team: bool) -> None:
    token = CancellationToken()
    with Cancelling(token) as server:
        agent = AssistantAgent("helper", model(server))
        run = RoundRobinGroupChat([agent], max_turns=1) if in_team else agent
        with pytest.raises((asyncio.CancelledError, RuntimeError)):
            await run.run(task="Wait.", cancellation_token=token)
        server.gate.set()
    if in_team:
        assert told(store) == tree("""
            session RoundRobinGroupChat autogen interrupted
              agent RoundRobinGroupChat 'Wait.' (cancelled)
                agent helper 'Wait.' (cancelled)
                  llm gpt-4o-mini (cancelled)
        """)
    else:
        assert told(store) == tree("""
            session helper autogen interrupted
              agent helper 'Wait.' (cancelled)
                llm gpt-4o-mini (cancelled)
        """)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_that_speaks_no_http_is_recorded_by_its_client(store: Database, streamed: bool) -> None:
    call = FunctionCall(id="c1", name="weather", arguments='{"city": "Rome"}')
    asked = CreateResult(
        finish_reason="function_calls", content=[call], usage=RequestUsage(3, 4), cached=False, thought="Let me look."
    )
    client = ReplayChatCompletionClient([asked, "It rains."], INFO)
    agent = AssistantAgent(
        "helper", client, tools=[weather, add], reflect_on_tool_use=True, model_client_stream=streamed
    )
    await agent.run(task="Weather?")
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Weather?' -> 'It rains.'
            llm ReplayChatCompletionClient 3/4
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome'
            llm ReplayChatCompletionClient 21/2
    """)
    first, second = events(store, "llm_request")
    assert [said["role"] for said in second.messages] == ["system", "user", "assistant", "tool"]
    assert [tool["name"] for tool in first.tools] == ["weather", "add"]
    (decision,) = events(store, "decision")
    assert (decision.alternatives, decision.reasoning) == (["add"], "Let me look.")
    (called,) = events(store, "llm_response")[0].tool_calls
    assert called == {"id": "c1", "name": "weather", "arguments": {"city": "Rome"}}


async def test_inside_a_traced_function_an_agent_is_a_part_of_it(store: Database, server: Loopback) -> None:
    @pp.tool
    def lookup(city: str) -> str:
        """Looks."""
        return f"rain in {city}"

    @pp.trace
    async def job(task: str) -> str:
        result = await helper(server, lookup).run(task=task)
        return str(result.messages[-1].content)

    server.answer(message(tool_calls=[tool_call("c1", "lookup", city="Rome")]))
    assert await job("Weather?") == "rain in Rome"
    assert outline(store) == tree("""
        session job autogen completed
          agent job {'task': 'Weather?'} -> 'rain in Rome'
            agent helper 'Weather?' -> 'rain in Rome'
              llm gpt-4o-mini 11/7
              decision lookup
              tool lookup {'city': 'Rome'} -> 'rain in Rome'
    """)


class Echo(BaseChatAgent):
    """An agent of the user's own, that has only what it must have."""

    produced_message_types = (TextMessage,)

    async def on_messages(self, messages: Sequence[Any], cancellation_token: CancellationToken) -> Response:
        return Response(chat_message=TextMessage(content=messages[-1].content, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


async def test_agents_of_the_users_own_are_recorded_whenever_their_class_was_made(
    store: Database, server: Loopback
) -> None:
    class Late(Echo):
        async def on_messages(self, messages: Sequence[Any], cancellation_token: CancellationToken) -> Response:
            return await super().on_messages(messages, cancellation_token)

    await Late("late", "Echoes.").run(task="Hi")
    await RoundRobinGroupChat([Echo("early", "Echoes.")], max_turns=1).run(task="Hi")
    assert told(store) == tree("""
        session late autogen completed
          agent late 'Hi' -> 'Hi'
        session RoundRobinGroupChat autogen completed
          agent RoundRobinGroupChat 'Hi' -> {'content': 'Hi', 'stop_reason': 'Maximum number of turns 1 reached.'}
            agent early 'Hi' -> 'Hi'
    """)


class Usher(Echo):
    """Hands over without a tool."""

    produced_message_types = (HandoffMessage,)

    async def on_messages(self, messages: Sequence[Any], cancellation_token: CancellationToken) -> Response:
        return Response(chat_message=HandoffMessage(content="This way.", target="echo", source=self.name))


async def test_an_agent_that_hands_over_without_a_tool_is_recorded_as_if_with_one(store: Database) -> None:
    pair = [Usher("usher", "Hands over."), Echo("echo", "Echoes.")]
    await Swarm(pair, max_turns=2).run(task="Hi")
    assert told(store).partition("reached.'}\n")[2] == indent(tree("""
        agent usher 'Hi' -> 'This way.'
          tool transfer_to_echo -> 'This way.' [usher => echo]
        agent echo <- transfer_to_echo
    """), "    ")  # fmt: skip


async def test_an_answer_out_of_a_cache_costs_nothing(store: Database, server: Loopback) -> None:
    server.answer(message("Hello."))
    client = ChatCompletionCache(model(server))
    for _ in range(2):
        await AssistantAgent("helper", client).run(task="Hi")
    assert outline(store).count("llm ") == 2
    asked, cached = events(store, "llm_response")
    assert asked.content == cached.content == "Hello."
    assert (cached.data, cached.cost_usd) == ({"cached": True}, 0.0)


@pytest.mark.usefixtures("not_by_itself")
async def test_agents_that_have_run_before_are_recorded_and_all_is_put_back(store: Database, server: Loopback) -> None:
    frameworks.uninstall()
    before = _methods()
    stop = MaxMessageTermination(2)
    team = RoundRobinGroupChat([AssistantAgent("helper", model(server))], termination_condition=stop)
    server.answer(message("one"), message("two"), message("three"))
    await team.run(task="Hi")
    frameworks.install(frozenset({"autogen"}))
    await team.run(task="Hi again")
    frameworks.uninstall()
    await team.run(task="And again")
    assert _methods() == before
    assert [session["name"] for session in sessions(store) if session["framework"]] == ["RoundRobinGroupChat"]
    assert outline(store).count("agent helper") == 1
    assert outline(store).count("llm ") == 3


def _methods() -> dict[str, Any]:
    """The attributes of every class that is patched."""
    roots = (agents.BaseChatAgent, teams.BaseGroupChat, tools.BaseTool, tools.Workbench, models.ChatCompletionClient)
    found = list(roots)
    for each in found:
        found += [heir for heir in each.__subclasses__() if heir not in found]
    return {
        f"{each.__module__}.{each.__qualname__}.{name}": value
        for each in found
        for name, value in vars(each).items()
        if callable(value) or isinstance(value, classmethod)
    }


@pytest.mark.usefixtures("not_by_itself")
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_application_sees_what_it_sees_without_us(server: Loopback, streamed: bool) -> None:
    async def seen() -> list[tuple[Any, ...]]:
        server.answer(*answers(streamed))
        agent = helper(server, reflect_on_tool_use=True, model_client_stream=streamed)
        items = [item async for item in agent.run_stream(task="Weather?")]
        return [(type(item), getattr(item, "content", None)) for item in items]

    recorded = await seen()
    frameworks.uninstall()
    assert await seen() == recorded
    assert len(recorded) == (7 if streamed else 5)


async def test_a_hook_that_is_gone_leaves_the_model_calls(
    store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frameworks.uninstall()
    monkeypatch.delattr(tools.BaseTool, "run_json")
    frameworks.install(frozenset({"autogen"}))
    server.answer(message("Hello."))
    with pp.trace_session("degraded"):
        await AssistantAgent("helper", model(server)).run(task="Hi")
    assert outline(store) == tree("""
        session degraded completed
          agent degraded
            llm gpt-4o-mini 11/7
    """)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "does not know this version of AutoGen" in said
    assert "there is no autogen_core.tools.BaseTool.run_json" in said
