"""CrewAI: crews, tasks, agents and tools as they ran, and a program that does not notice."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai import BaseLLM, Crew, Process, Task
from crewai.events.event_bus import CrewAIEventsBus, crewai_event_bus
from crewai.events.types.llm_events import LLMCallType
from crewai.flow.flow import Flow, listen, start
from crewai.hooks import before_tool_call, unregister_before_tool_call_hook
from crewai.llms.base_llm import llm_call_context
from crewai.llms.providers.openai.completion import OpenAICompletion

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.capture.frameworks import crewai
from peaky_peek.store import Database
from tests.frameworks.b.crews import USAGE, agent, book, model, seen, trip
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, Reply, error, message, stream, tool_call

EMIT = CrewAIEventsBus.emit
KICKOFF = Crew.kickoff, Crew.akickoff, OpenAICompletion.call, OpenAICompletion.acall


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    logging.getLogger("crewai").setLevel(logging.CRITICAL)
    frameworks.install(frozenset({"crewai"}))
    yield
    frameworks.uninstall()
    gc.collect()  # here it is known whose clients are left open
    crewai_event_bus.flush()


def asking(*calls: dict[str, Any], then: str = "It rains.") -> list[Reply]:
    return [message("Let me see.", tool_calls=list(calls)), message(then)]


RAIN = tool_call("c1", "weather", city="Rome")
TRIP = tree("""
    session trip crewai completed
      agent trip -> 'It rains.'
        agent plan 'Rome?' -> 'It rains.'
          agent clerk 'Rome?' -> 'It rains.'
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome'
            llm gpt-4o-mini 11/7
""")


def test_a_crew_its_tasks_agents_and_tools_are_nested_as_they_ran(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    assert trip(server).kickoff(inputs={"month": "May"}).raw == "It rains."
    assert seen(store) == TRIP.replace("trip ->", "trip {'month': 'May'} ->")
    assert crewai._open.get() == ()
    assert [start.data for start in events(store, "agent_start")] == [{"crew": "trip"}, {"task": "plan"}, {}]
    (session,) = sessions(store)
    assert session["input"] == '{"month":"May"}'
    assert (session["output"], session["llm_calls"], session["tool_calls"]) == ('"It rains."', 2, 1)
    assert (session["input_tokens"], session["output_tokens"], session["errors"]) == (22, 14, 0)
    assert session["code_hash"]
    call, result = events(store, "tool_call", "tool_result")
    assert call.call_id == result.call_id == "c1"
    assert call.agent == "clerk"
    (decision,) = events(store, "decision")
    assert (decision.reasoning, decision.alternatives) == ("Let me see.", ["book"])
    assert events(store, "llm_request")[1].upstream_event_ids == [result.id]


@pytest.mark.parametrize("how", ["kickoff_async", "akickoff"])
async def test_an_asynchronous_crew_is_the_same_tree(how: str, store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    await getattr(trip(server), how)()
    assert seen(store) == TRIP


def test_a_streaming_model_is_the_same_tree(store: Database, server: Loopback) -> None:
    server.answer(stream(tool_calls=[RAIN], usage=USAGE), stream("It ", "rains.", usage=USAGE))
    assert trip(server, llm=model(server, stream=True)).kickoff().raw == "It rains."
    assert seen(store) == TRIP


def test_a_streaming_crew_gives_the_same_chunks_as_without_us(store: Database, server: Loopback) -> None:
    def chunks() -> list[str]:
        server.answer(stream(tool_calls=[RAIN], usage=USAGE), stream("It ", "rains.", usage=USAGE))
        return [chunk.content for chunk in trip(server, crew={"stream": True}).kickoff()]

    watched = chunks()
    assert seen(store) == TRIP
    frameworks.uninstall()
    assert chunks() == watched


def test_tools_that_run_side_by_side_answer_their_own_calls(store: Database, server: Loopback) -> None:
    bonn = tool_call("c2", "weather", city="Bonn")
    server.answer(*asking(bonn, RAIN))
    trip(server).kickoff()
    calls = {call.call_id: call for call in events(store, "tool_call")}
    assert {call_id: call.arguments for call_id, call in calls.items()} == {
        "c1": {"city": "Rome"},
        "c2": {"city": "Bonn"},
    }
    assert {result.parent_id: result.result for result in events(store, "tool_result")} == {
        calls["c1"].id: "rain in Rome", calls["c2"].id: "rain in Bonn",
    }  # fmt: skip


def test_a_tool_that_raises_is_a_result_with_its_error(store: Database, server: Loopback) -> None:
    server.answer(*asking(tool_call("c1", "book", city="Rome", nights=2), then="Full."))
    assert trip(server).kickoff().raw == "Full."
    assert seen(store) == tree("""
        session trip crewai completed
          agent trip -> 'Full.'
            agent plan 'Rome?' -> 'Full.'
              agent clerk 'Rome?' -> 'Full.'
                llm gpt-4o-mini 11/7
                decision book
                tool book {'city': 'Rome', 'nights': 2} !! ValueError: no hotel in Rome for 2 nights (error)
                llm gpt-4o-mini 11/7
    """)


class _ByText(OpenAICompletion):
    """A model that cannot call tools, so that CrewAI reads calls out of its text."""

    def supports_function_calling(self) -> bool:
        return False


def test_each_try_of_a_tool_that_is_read_out_of_text_is_a_call(store: Database, server: Loopback) -> None:
    said = 'Thought: look\nAction: book\nAction Input: {"city": "Rome", "nights": 2}'
    server.answer(message(said), message("Thought: I know\nFinal Answer: Full."))
    trip(server, llm=_ByText(model="gpt-4o-mini", base_url=server.url, api_key="test")).kickoff()
    tries = [(result.error, result.status) for result in events(store, "tool_result")]
    assert tries == [("ValueError: no hotel in Rome for 2 nights", "error")] * 3


def test_a_result_from_the_cache_says_so(store: Database, server: Loopback) -> None:
    said = 'Thought: look\nAction: weather\nAction Input: {"city": "Rome"}'
    other = 'Thought: look\nAction: weather\nAction Input: {"city": "Bonn"}'
    final = message("Thought: I know\nFinal Answer: Rain.")
    server.answer(message(said), message(other), message(said), final)
    asked = _ByText(model="gpt-4o-mini", base_url=server.url, api_key="test")
    trip(server, llm=asked, crew={"cache": True}).kickoff()
    assert [result.data.get("from_cache") for result in events(store, "tool_result")] == [None, None, True]


def test_a_decorated_tool_is_one_pair(store: Database, server: Loopback) -> None:
    from crewai.tools import tool

    @tool
    @pp.tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"rain in {city}"

    server.answer(*asking(RAIN))
    trip(server, tools=[weather, book]).kickoff()
    assert seen(store) == TRIP


def test_a_retried_request_is_one_call(store: Database, server: Loopback) -> None:
    server.answer(error(429), *asking(RAIN))
    trip(server).kickoff()
    assert seen(store) == TRIP


def test_a_model_call_that_fails_is_told_once_and_fails_everything_around_it(store: Database, server: Loopback) -> None:
    server.answer(error(400, "bad", "no such model"))
    with pytest.raises(Exception, match="no such model"):
        trip(server).kickoff()
    said = seen(store)
    failed = "openai.BadRequestError Error code: 400"
    assert said.partition(failed)[0] + failed == tree(f"""
        session trip crewai failed
          agent trip (error)
            agent plan 'Rome?' (error)
              agent clerk 'Rome?' (error)
                llm gpt-4o-mini (error)
                  error bad no such model
                error {failed}
    """)
    assert "BadRequestError" in events(store, "error")[1].stack_trace
    assert [end.name for end in events(store, "agent_end")] == ["clerk", "plan", "trip"]
    assert not any(event.metadata for event in events(store))


def test_an_agent_that_is_tried_again_is_seen_twice(store: Database, server: Loopback) -> None:
    server.answer(error(400, "bad", "not now"), *asking(RAIN))
    assert trip(server, max_retry_limit=1).kickoff().raw == "It rains."
    first, _, second = seen(store).partition("      agent clerk 'Rome?' -> ")
    assert first.splitlines()[3:5] == ["      agent clerk 'Rome?' (error)", "        llm gpt-4o-mini (error)"]
    assert first.splitlines()[:3] == TRIP.splitlines()[:3]
    assert second.splitlines()[1:] == TRIP.splitlines()[4:]


async def test_after_a_failure_the_next_crew_of_the_same_task_is_a_tree_of_its_own(
    store: Database, server: Loopback
) -> None:
    server.answer(error(400), *asking(RAIN))
    with pytest.raises(Exception, match="scripted failure"):
        await trip(server).akickoff()
    await trip(server).akickoff()
    first, _, second = seen(store).partition("\nsession")
    assert "failed" in first
    assert "session" + second == TRIP


def test_a_refusal_is_seen(store: Database, server: Loopback) -> None:
    server.answer(message("No.", refusal="I must not."))
    trip(server).kickoff()
    assert [refusal.reason for refusal in events(store, "refusal")] == ["I must not."]


def test_an_agent_that_delegates_hands_over_inside_its_tool(store: Database, server: Loopback) -> None:
    asked = {"task": "look", "context": "", "coworker": "scout"}
    boss, scout = agent(server, "boss", allow_delegation=True), agent(server, "scout")
    server.answer(
        message(tool_calls=[tool_call("c1", "delegate_work_to_coworker", **asked)]), message("sun"), message("Go!")
    )
    plan = Task(name="plan", description="Rome?", expected_output="a plan", agent=boss)
    assert Crew(agents=[boss, scout], tasks=[plan]).kickoff().raw == "Go!"
    assert seen(store) == tree("""
    session crew crewai completed
      agent crew -> 'Go!'
        agent plan 'Rome?' -> 'Go!'
          agent boss 'Rome?' -> 'Go!'
            llm gpt-4o-mini 11/7
            decision delegate_work_to_coworker
            tool delegate_work_to_coworker {'task': 'look', 'context': '', 'coworker': 'scout'} -> 'sun' [boss => scout]
              agent scout 'look' -> 'sun'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


def test_tasks_run_in_their_order_or_side_by_side(store: Database, server: Loopback) -> None:
    one, two = agent(server, "one"), agent(server, "two")
    server.answer(message("A"), message("B"))
    first = Task(description="first\nof two", expected_output="a plan", agent=one, async_execution=True)
    second = Task(description="second", expected_output="a plan", agent=two, context=[first])
    Crew(name="duo", agents=[one, two], tasks=[first, second], process=Process.sequential).kickoff()
    names = [(event.name, event.output) for event in events(store, "agent_end")]
    assert names == [("one", "A"), ("first", "A"), ("two", "B"), ("second", "B"), ("duo", "B")]


async def test_crews_side_by_side_keep_their_own_trees(store: Database, server: Loopback) -> None:
    server.answer(*[message("It rains.") for _ in range(6)])
    trips = [trip(server, crew={"name": f"trip {number}"}).akickoff() for number in range(3)]
    threads = [trip(server, crew={"name": f"thread {number}"}).kickoff_async() for number in range(3)]
    await asyncio.gather(*trips, *threads)
    pictures = sorted("session" + each for each in seen(store).split("session")[1:])
    expected = tree("""
        session NAME crewai completed
          agent NAME -> 'It rains.'
            agent plan 'Rome?' -> 'It rains.'
              agent clerk 'Rome?' -> 'It rains.'
                llm gpt-4o-mini 11/7
    """)
    names = [f"{kind} {number}" for kind in ("thread", "trip") for number in range(3)]
    assert [each.strip() for each in pictures] == [expected.replace("NAME", name) for name in names]


def test_a_guardrail_is_a_safety_check(store: Database, server: Loopback) -> None:
    def is_short(output):  # CrewAI reads annotations, and takes them for something else while they are text
        return (True, output.raw) if len(output.raw) < 5 else (False, "too long")

    server.answer(message("A long plan."), message("Go!"))
    trip(server, tools=[], task={"guardrail": is_short}).kickoff()
    assert [(check.policy_name, check.outcome, check.rationale) for check in events(store, "safety_check")] == [
        ("is_short", "fail", "too long"), ("is_short", "pass", None),
    ]  # fmt: skip
    assert [start.name for start in events(store, "agent_start")] == ["trip", "plan", "clerk", "clerk"]


def test_a_tool_that_somebody_denies_is_a_safety_check_that_blocks(store: Database, server: Loopback) -> None:
    def no_weather(context: Any) -> bool | None:
        return False if context.tool_name == "weather" else None

    server.answer(*asking(RAIN, then="Denied."))
    before_tool_call(no_weather)
    try:
        trip(server).kickoff()
    finally:
        unregister_before_tool_call_hook(no_weather)
    (check,) = events(store, "safety_check")
    assert (check.policy_name, check.outcome) == ("no_weather", "block")
    assert check.parent_id == events(store, "tool_call")[0].id


def test_what_a_human_says_leads_to_another_call_of_the_same_agent(
    store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["Shorter!", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(said))
    server.answer(message("A long plan."), message("Go!"))
    assert trip(server, tools=[], task={"human_input": True}).kickoff().raw == "Go!"
    assert seen(store) == tree("""
        session trip crewai completed
          agent trip -> 'Go!'
            agent plan 'Rome?' -> 'Go!'
              agent clerk 'Rome?' -> 'Go!'
                llm gpt-4o-mini 11/7
                llm gpt-4o-mini 11/7
    """)


def test_a_flow_shows_what_the_user_wrote_and_nothing_of_the_flows_inside(store: Database, server: Loopback) -> None:
    class Holiday(Flow):  # type: ignore[type-arg]
        @start()
        def plan(self) -> str:
            return trip(server).kickoff().raw  # type: ignore[no-any-return]

        @listen(plan)
        def tell(self, plan: str) -> str:
            return f"Told: {plan}"

    server.answer(*asking(RAIN))
    assert Holiday(suppress_flow_events=False).kickoff() == "Told: It rains."
    inside = "\n".join(f"    {line}" for line in TRIP.splitlines()[1:])
    assert seen(store) == tree(f"""
session Holiday crewai completed
  agent Holiday -> 'Told: It rains.'
    agent plan -> 'It rains.'
{inside}
    agent tell {{'_0': 'It rains.'}} -> 'Told: It rains.'
""")


def test_an_agent_alone_is_a_session(store: Database, server: Loopback) -> None:
    server.answer(message("Hello!"))
    assert agent(server, "clerk").kickoff("Hi").raw == "Hello!"
    assert outline(store) == tree("""
        session clerk crewai completed
          agent clerk 'Hi' -> 'Hello!'
            llm gpt-4o-mini 11/7
    """)


def test_inside_a_trace_a_crew_is_a_span(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    with pp.trace_session("mine"):
        trip(server).kickoff()
    inside = "\n".join(f"  {line}" for line in TRIP.splitlines()[1:])
    assert seen(store) == f"session mine crewai completed\n  agent mine\n{inside}"


class _Ours(BaseLLM):
    """A model in this process, which tells CrewAI of its calls."""

    def call(self, messages: Any, tools: Any = None, from_task: Any = None, from_agent: Any = None, **_: Any) -> str:
        told = {"from_task": from_task, "from_agent": from_agent}
        with llm_call_context():
            self._emit_call_started_event(messages=messages, tools=tools, temperature=0.5, **told)
            self._emit_call_completed_event("Go!", LLMCallType.LLM_CALL, usage=USAGE, finish_reason="stop", **told)
        return "Go!"


def test_a_model_that_is_no_http_is_recorded_as_crewai_tells_it(store: Database, server: Loopback) -> None:
    trip(server, llm=_Ours(model="ours"), tools=[]).kickoff()
    request, response = events(store, "llm_request", "llm_response")
    assert (request.model, request.settings["temperature"], request.messages[-1]["role"]) == ("ours", 0.5, "user")
    assert (response.content, response.finish_reason, response.usage["input"]) == ("Go!", "stop", 11)
    assert request.parent_id == next(each.id for each in events(store, "agent_start") if each.name == "clerk")


class _Silent(BaseLLM):
    """A model that somebody wrote, which tells CrewAI nothing."""

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
        return "It rains." if messages[-1]["role"] in ("tool", "user") and len(messages) > 2 else [RAIN]


def test_a_model_that_tells_nothing_is_recorded_all_the_same(store: Database, server: Loopback) -> None:
    assert trip(server, llm=_Silent(model="silent")).kickoff().raw == "It rains."
    assert seen(store) == TRIP.replace("gpt-4o-mini 11/7", "silent")
    assert [call.call_id for call in events(store, "tool_call")] == ["c1"]
    assert [response.content for response in events(store, "llm_response")] == [None, "It rains."]


def test_crews_made_before_the_hook_are_recorded_and_uninstalling_restores(store: Database, server: Loopback) -> None:
    frameworks.uninstall()
    assert CrewAIEventsBus.emit is EMIT
    assert (Crew.kickoff, Crew.akickoff, OpenAICompletion.call, OpenAICompletion.acall) == KICKOFF
    crew = trip(server)
    frameworks.install(frozenset({"crewai"}))
    server.answer(*asking(RAIN))
    crew.kickoff()
    assert seen(store) == TRIP


def test_a_crew_that_is_interrupted_leaves_nothing_open(store: Database, server: Loopback) -> None:
    from crewai.tools import tool

    @tool
    def wait(city: str) -> str:
        """Waits."""
        raise KeyboardInterrupt

    server.answer(*asking(tool_call("c1", "wait", city="Rome")))
    with pytest.raises(KeyboardInterrupt):
        trip(server, tools=[wait]).kickoff()
    assert pp.capture.context.CURRENT.get() is None
    assert (
        seen(store).splitlines()[:4]
        == tree("""
        session trip crewai interrupted
          agent trip (cancelled)
            agent plan 'Rome?' (cancelled)
              agent clerk 'Rome?' (cancelled)
    """).splitlines()
    )


def test_a_crew_that_is_killed_has_lost_and_doubled_nothing(store: Database, server: Loopback) -> None:
    code = f"""
import os, signal
from crewai.tools import tool
from peaky_peek import store
from peaky_peek.capture import frameworks, transport
from tests.frameworks.b.crews import trip, weather
from tests.loopback import Loopback

store.use({str(store.path)!r})
transport.install()
frameworks.install()

@tool
def leave(city: str) -> str:
    "Leaves."
    os.kill(os.getpid(), signal.SIGKILL)

server = Loopback()
server.url = {server.url!r}
trip(server, tools=[weather, leave]).kickoff()
"""
    leave = message("Bye.", tool_calls=[tool_call("c2", "leave", city="Rome")])
    server.answer(asking(RAIN)[0], leave)
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(Path.cwd())}, timeout=120)
    assert killed.returncode == -9
    assert seen(store) == tree("""
        session trip crewai interrupted
          agent trip (open)
            agent plan 'Rome?' (open)
              agent clerk 'Rome?' (open)
                llm gpt-4o-mini 11/7
                decision weather
                tool weather {'city': 'Rome'} -> 'rain in Rome'
                llm gpt-4o-mini 11/7
                decision leave
                tool leave {'city': 'Rome'} (open)
    """)
