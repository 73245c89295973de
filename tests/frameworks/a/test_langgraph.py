"""Graphs that users write: their nodes, subgraphs, handoffs, pauses and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import pytest
from langchain.agents.middleware import PIIMiddleware
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command
from openai import OpenAI

from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, Trip, agent, calls, model, trip, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, message, tool_call


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"langchain"}))
    yield
    frameworks.uninstall()


def test_nodes_of_the_user_are_steps_with_what_they_get_and_give(server: Loopback, store: Database) -> None:
    server.answer(message("Ritz"))

    def find(state: Trip) -> Trip:
        with OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
            asked = [{"role": "user", "content": state["city"]}]
            found = client.chat.completions.create(model="gpt-4o-mini", messages=asked)
        return {"hotel": found.choices[0].message.content}

    def book(state: Trip) -> Trip:
        return {"hotel": weather.invoke({"city": state["city"]})}

    trip(find=find, book=book).compile(name="trip").invoke({"city": "Paris"})
    assert outline(store) == tree("""
        session trip langchain completed
          agent trip {'city': 'Paris'} -> {'city': 'Paris', 'hotel': 'sunny in Paris'}
            agent find {'city': 'Paris'} -> {'hotel': 'Ritz'}
              llm gpt-4o-mini 11/7
            agent book {'city': 'Paris', 'hotel': 'Ritz'} -> {'hotel': 'sunny in Paris'}
              tool weather {'city': 'Paris'} -> 'sunny in Paris'
    """)
    assert [event.data for event in events(store, "agent_start")][1:] == [
        {"node": "find", "step": 1}, {"node": "book", "step": 2},
    ]  # fmt: skip


def test_the_node_that_runs_tools_is_plumbing(server: Loopback, store: Database) -> None:
    server.answer(
        message(tool_calls=[tool_call("c1", "weather", city="Paris"), tool_call("c2", "weather", city="Rome")]),
        message("Sunny."),
    )
    chat = model(server).bind_tools([weather])
    graph = StateGraph(MessagesState)
    graph.add_node("chat", lambda state: {"messages": [chat.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "chat")
    graph.add_conditional_edges("chat", tools_condition)
    graph.add_edge("tools", "chat")
    graph.compile().invoke(ASK)
    lines = outline(store, states=False).splitlines()
    both = [
        "    tool weather {'city': 'Paris'} -> 'sunny in Paris'",
        "    tool weather {'city': 'Rome'} -> 'sunny in Rome'",
    ]
    assert sorted(lines[5:7]) == both
    assert lines[:5] + lines[7:] == [
        "session graph langchain completed", "  agent graph",
        "    agent chat", "      llm gpt-4o-mini 11/7", "      decision weather, weather",
        "    agent chat", "      llm gpt-4o-mini 11/7",
    ]  # fmt: skip


def test_an_agent_that_a_node_or_a_tool_runs_is_inside_it(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."), calls("c1", "ask_guide", question="And Rome?"), message("Rainy."), message("Go."))
    guide = agent(server)

    @tool
    def ask_guide(question: str) -> str:
        """Ask the guide."""
        return str(guide.invoke({"messages": [("user", question)]})["messages"][-1].content)

    boss = agent(server, ask_guide, name="boss")
    graph = StateGraph(MessagesState)
    graph.add_node("guide", lambda state: {"messages": guide.invoke(state)["messages"][-1]})
    graph.add_node("plan", lambda state: {"messages": boss.invoke(state)["messages"][-1]})
    graph.add_edge(START, "guide")
    graph.add_edge("guide", "plan")
    graph.compile(name="trip").invoke(ASK)
    assert outline(store, states=False) == tree("""
        session trip langchain completed
          agent trip
            agent guide
              llm gpt-4o-mini 11/7
            agent plan
              agent boss
                llm gpt-4o-mini 11/7
                decision ask_guide
                tool ask_guide {'question': 'And Rome?'} -> 'Rainy.'
                  agent guide
                    llm gpt-4o-mini 11/7
                llm gpt-4o-mini 11/7
    """)


def test_a_subgraph_is_what_its_node_is(store: Database) -> None:
    inner = trip(book=lambda _: {"hotel": "Ritz"}).compile()
    trip(lodging=inner).compile(name="trip").invoke({"city": "Paris"})
    assert outline(store, states=False) == tree("""
        session trip langchain completed
          agent trip
            agent lodging
              agent book
    """)


def test_nodes_side_by_side_keep_their_own_calls(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."), message("Sunny."))

    class Both(TypedDict, total=False):
        left: str
        right: str

    graph = StateGraph(Both)
    for side in ("left", "right"):
        graph.add_node(f"go_{side}", lambda _, side=side: {side: model(server).invoke(side).content})
        graph.add_edge(START, f"go_{side}")
    graph.compile().invoke({})
    starts = {event.id: event.name for event in events(store, "agent_start")}
    asked = {event.messages[0]["content"]: starts[event.parent_id] for event in events(store, "llm_request")}
    assert asked == {"left": "go_left", "right": "go_right"}


def test_a_functional_graph_is_its_function_and_its_tasks(store: Database) -> None:
    @task
    def double(number: int) -> int:
        return 2 * number

    @entrypoint()
    def flow(number: int) -> int:
        return double(number).result() + 1

    assert flow.invoke(3) == 7
    assert outline(store) == tree("""
        session flow langchain completed
          agent flow 3 -> 7
            agent double {'number': 3} -> 6
    """)


def test_a_node_that_raises_fails_once(store: Database) -> None:
    def book(_: Trip) -> Trip:
        raise LookupError("no hotel")

    with pytest.raises(LookupError):
        trip(book=book).compile(name="trip").invoke({"city": "Rome"})
    assert outline(store) == tree("""
        session trip langchain failed
          agent trip {'city': 'Rome'} (error)
            agent book {'city': 'Rome'} (error)
              error LookupError no hotel
    """)


def test_a_graph_that_never_ends_fails_with_its_limit(store: Database) -> None:
    graph = StateGraph(Trip)
    graph.add_node("again", lambda _: {"city": "Rome"})
    graph.add_edge(START, "again")
    graph.add_edge("again", "again")
    with pytest.raises(GraphRecursionError):
        graph.compile().invoke({"city": "Rome"}, {"recursion_limit": 2})
    assert sessions(store)[0]["status"] == "failed"
    assert [event.name for event in events(store, "error")] == ["langgraph.errors.GraphRecursionError"]


def test_a_handoff_between_the_nodes_of_one_graph(server: Loopback, store: Database) -> None:
    server.answer(calls("h1", "ask_the_booker"), message("Booked."))

    @tool
    def ask_the_booker() -> Command:
        """Hand over."""
        return Command(goto="booker", update={"messages": [ToolMessage("Over to you.", tool_call_id="h1")]})

    chat = model(server).bind_tools([ask_the_booker])
    graph = StateGraph(MessagesState)
    graph.add_node("triage", lambda state: {"messages": [chat.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([ask_the_booker]))
    graph.add_node("booker", lambda state: {"messages": [model(server).invoke(state["messages"])]})
    graph.add_edge(START, "triage")
    graph.add_edge("triage", "tools")
    graph.compile(name="team").invoke(ASK)
    assert outline(store, states=False) == tree("""
        session team langchain completed
          agent team
            agent triage
              llm gpt-4o-mini 11/7
              decision ask_the_booker
            tool ask_the_booker {} -> 'Over to you.'
            agent booker <- ask_the_booker
              llm gpt-4o-mini 11/7
    """)
    (result,) = events(store, "tool_result")  # only what it returned told that it was one
    assert result.metadata["handoff"]["to"] == "booker"
    assert result.data["command"][0]["goto"] == "booker"


def test_a_supervisor_hands_over_to_agents_that_nodes_of_functions_run(server: Loopback, store: Database) -> None:
    server.answer(calls("h1", "ask_for_help"), message("Booked."), message("All done."))

    @tool
    def ask_for_help() -> Command:
        """Hand over."""
        answer = ToolMessage("Over to you.", tool_call_id="h1")
        return Command(goto="booker", graph=Command.PARENT, update={"messages": [answer]})

    ask_for_help.metadata = {"__handoff_destination": "booker"}  # as the prebuilt supervisor does
    booker = agent(server, name="booker")
    graph = StateGraph(MessagesState)
    graph.add_node("supervisor", agent(server, ask_for_help, name="supervisor"))
    graph.add_node("booker", lambda state: {"messages": booker.invoke(state)["messages"][-1]})
    graph.add_edge(START, "supervisor")
    graph.add_edge("booker", "supervisor")
    graph.compile(name="team").invoke(ASK)
    assert outline(store, states=False) == tree("""
        session team langchain completed
          agent team
            agent supervisor
              llm gpt-4o-mini 11/7
              decision ask_for_help
              tool ask_for_help {} -> 'Over to you.' [supervisor => booker]
            agent booker <- ask_for_help
              llm gpt-4o-mini 11/7
            agent supervisor
              llm gpt-4o-mini 11/7
    """)


def test_middleware_is_no_step(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."))
    agent(server, middleware=[PIIMiddleware("email", strategy="redact")]).invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
    """)


def test_a_guard_that_stops_an_agent_is_a_safety_check(server: Loopback, store: Database) -> None:
    guard = PIIMiddleware("email", strategy="block")
    guarded = agent(server, name="guarded", middleware=[guard])
    with pytest.raises(Exception, match="email"):
        guarded.invoke({"messages": [("user", "Write to ann@example.com")]})
    (check,) = events(store, "safety_check")
    assert (check.policy_name, check.outcome, check.agent) == ("PIIMiddleware", "block", "guarded")
    assert sessions(store)[0]["status"] == "failed"
