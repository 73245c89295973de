"""Graphs that users write: their nodes, subgraphs, handoffs, pauses and checkpoints."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware, PIIMiddleware
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt
from openai import OpenAI

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, agent, calls, model, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, message, tool_call


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"langchain"}))
    yield
    frameworks.uninstall()


class Trip(TypedDict, total=False):
    city: str
    hotel: str


def trip(**nodes: Any) -> StateGraph[Any]:
    """A graph of nodes that follow each other."""
    graph = StateGraph(Trip)
    names = [START, *nodes, END]
    for name, node in nodes.items():
        graph.add_node(name, node)
    for first, second in itertools.pairwise(names):
        graph.add_edge(first, second)
    return graph


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


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


CHECKPOINTS = """
    session trip langchain completed
      agent trip {'city': 'Paris'} -> {'city': 'Paris', 'hotel': 'Ritz'}
        checkpoint input/-1
        checkpoint start/0
        agent book {'city': 'Paris'} -> {'hotel': 'Ritz'}
        checkpoint book/1
"""


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_what_is_saved_is_a_checkpoint(store: Database, durability: Any) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"}).compile(name="trip", checkpointer=InMemorySaver())
    graph.invoke({"city": "Paris"}, thread("t-1"), durability=durability)
    assert outline(store) == tree(CHECKPOINTS)
    await graph.ainvoke({"city": "Paris"}, thread("t-2"), durability=durability)
    saved = events(store, "checkpoint")
    assert [event.state for event in saved[:3]] == [
        {"__start__": {"city": "Paris"}}, {"city": "Paris"}, {"city": "Paris", "hotel": "Ritz"},
    ]  # fmt: skip
    assert [event.name for event in saved[3:]] == ["input/-1", "start/0", "book/1"]
    history = [state.config["configurable"]["checkpoint_id"] for state in graph.get_state_history(thread("t-1"))]
    assert [event.data["checkpoint_id"] for event in saved[:3]] == history[::-1]
    assert {name: saved[2].data[name] for name in ("thread_id", "step", "source")} == {
        "thread_id": "t-1", "step": 1, "source": "loop",
    }  # fmt: skip
    assert [row["thread"] for row in sessions(store)] == ["t-1", "t-2"]


def test_only_what_is_saved_is_a_checkpoint(store: Database) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"})
    graph.compile().invoke({"city": "Paris"}, thread("t-1"))
    graph.compile(checkpointer=InMemorySaver()).invoke({"city": "Paris"}, thread("t-1"), durability="exit")
    assert [event.name for event in events(store, "checkpoint")] == ["exit/1"]


def test_a_thread_that_the_user_gave_stays(store: Database) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"}).compile(checkpointer=InMemorySaver())
    with pp.trace_session("mine", thread="my own"):
        graph.invoke({"city": "Paris"}, thread("t-1"))
    with pp.trace_session("mine"):
        graph.invoke({"city": "Paris"}, thread("t-2"))
    assert [row["thread"] for row in sessions(store)] == ["my own", "t-2"]


def test_a_graph_that_waits_for_somebody_has_paused_and_did_not_fail(store: Database) -> None:
    def ask(_: Trip) -> Trip:
        return {"hotel": interrupt({"question": "Which one?"})}

    graph = trip(ask=ask).compile(name="trip", checkpointer=InMemorySaver())
    waiting = graph.invoke({"city": "Paris"}, thread("t-1"))
    (asked,) = waiting["__interrupt__"]
    graph.invoke(Command(resume="Ritz"), thread("t-1"))
    lines = [line for line in outline(store).splitlines() if "checkpoint" not in line]
    assert "\n".join(lines) == tree(f"""
        session trip langchain interrupted
          agent trip {{'city': 'Paris'}} -> {{'city': 'Paris', '__interrupt__': [{{'id': '{asked.id}', 'value': {{'question': 'Which one?'}}}}]}} (cancelled)
            agent ask {{'city': 'Paris'}} (cancelled)
        session trip langchain completed
          agent trip {{'resume': 'Ritz'}} -> {{'city': 'Paris', 'hotel': 'Ritz'}}
            agent ask {{'city': 'Paris'}} -> {{'hotel': 'Ritz'}}
    """)  # noqa: E501
    assert [(row["errors"], row["thread"]) for row in sessions(store)] == [(0, "t-1"), (0, "t-1")]


def test_a_tool_that_waits_for_somebody_has_paused_and_did_not_fail(server: Loopback, store: Database) -> None:
    @tool
    def ask(question: str) -> str:
        """Ask the user."""
        return str(interrupt(question))

    server.answer(calls("c1", "ask", question="Which one?"), message("Booked."))
    guide = agent(server, ask, checkpointer=InMemorySaver())
    guide.invoke(ASK, thread("t-1"))
    guide.invoke(Command(resume="Ritz"), thread("t-1"))
    tools = [line.strip() for line in outline(store).splitlines() if line.strip().startswith("tool")]
    assert tools == [
        "tool ask {'question': 'Which one?'} (cancelled)", "tool ask {'question': 'Which one?'} -> 'Ritz'",
    ]  # fmt: skip
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed"]


@pytest.mark.parametrize("at", ["interrupt_before", "interrupt_after"])
async def test_a_graph_that_stops_at_a_breakpoint_has_paused(store: Database, at: str) -> None:
    nodes = {"book": lambda _: {"hotel": "Ritz"}, "pay": lambda _: {}}
    where = {at: ["pay" if at == "interrupt_before" else "book"]}
    graph = trip(**nodes).compile(name="trip", checkpointer=InMemorySaver(), **where)
    graph.invoke({"city": "Paris"}, thread("t-1"))
    graph.invoke(None, thread("t-1"))
    await graph.ainvoke({"city": "Paris"}, thread("t-2"))
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed", "interrupted"]
    for paused in (events(store, "agent_end")[1], events(store, "agent_end")[-1]):
        assert paused.output["__interrupt__"] == [{"id": at, "value": ["pay"]}]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
@pytest.mark.parametrize("verdict", ["reject", "approve"])
def test_an_approval_is_a_safety_check(server: Loopback, store: Database, mode: Any, verdict: str) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"weather": True}, interrupt_mode=mode)
    careful = agent(server, weather, name="careful", middleware=[approval], checkpointer=InMemorySaver())
    server.answer(calls("c1", "weather", city="Paris"), message("Done."))
    waiting = careful.invoke(ASK, thread("t-1"))
    decision = {"type": verdict} | ({"message": "too wet"} if verdict == "reject" else {})
    answer = {"decisions": [decision]} if mode == "batched" else {waiting["__interrupt__"][0].id: decision}
    careful.invoke(Command(resume=answer), thread("t-1"))
    (check,) = events(store, "safety_check")
    assert (check.policy_name, check.agent) == ("human approval", "careful")
    if verdict == "reject":
        assert (check.outcome, check.blocked_action, check.rationale) == ("block", "weather", "too wet")
    else:
        assert (check.outcome, check.blocked_action) == ("pass", None)
    assert check.evidence[0]["request"]["args"] == {"city": "Paris"}
    assert [event.name for event in events(store, "tool_call")] == (["weather"] if verdict == "approve" else [])
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed"]


def test_an_answer_to_what_another_process_asked_says_no_more_than_it_knows(server: Loopback, store: Database) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    careful = agent(server, weather, name="careful", middleware=[approval], checkpointer=InMemorySaver())
    server.answer(calls("c1", "weather", city="Paris"), message("Done."))
    careful.invoke(ASK, thread("t-1"))
    frameworks.uninstall()
    frameworks.install(frozenset({"langchain"}))
    careful.invoke(Command(resume={"decisions": [{"type": "reject"}]}), thread("t-1"))
    (check,) = events(store, "safety_check")
    assert (check.outcome, check.blocked_action, check.rationale) == ("block", None, None)


def test_a_guard_that_stops_an_agent_is_a_safety_check(server: Loopback, store: Database) -> None:
    guard = PIIMiddleware("email", strategy="block")
    guarded = agent(server, name="guarded", middleware=[guard])
    with pytest.raises(Exception, match="email"):
        guarded.invoke({"messages": [("user", "Write to ann@example.com")]})
    (check,) = events(store, "safety_check")
    assert (check.policy_name, check.outcome, check.agent) == ("PIIMiddleware", "block", "guarded")
    assert sessions(store)[0]["status"] == "failed"


def test_middleware_is_no_step(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."))
    agent(server, middleware=[PIIMiddleware("email", strategy="redact")]).invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
    """)
