"""LangChain agents on a loopback server, built as their users build them."""

from __future__ import annotations

import itertools
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from tests.loopback import Loopback, Reply, message, tool_call

ASK = {"messages": [{"role": "user", "content": "How is Paris?"}]}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@tool
def book(city: str) -> str:
    """Book a hotel."""
    raise ValueError(f"no hotel in {city}")


@tool
def transfer_to_booker() -> Command:
    """Hand over to the booker."""
    told = {"role": "tool", "content": "Over to you.", "tool_call_id": "h1"}
    return Command(goto="booker", graph=Command.PARENT, update={"messages": [told]})


def model(server: Loopback, **options: Any) -> ChatOpenAI:
    options = {"model": "gpt-4o-mini", "max_retries": 0, **options}
    return ChatOpenAI(base_url=server.url, api_key="test", **options)


def agent(server: Loopback, *tools: Any, chat: Any = None, name: str = "guide", **options: Any) -> Any:
    return create_agent(chat or model(server), list(tools) or [weather, book], name=name, **options)


def team(server: Loopback) -> Any:
    """A graph of two agents, the first of which hands over to the second."""
    graph = StateGraph(MessagesState)
    graph.add_node("triage", agent(server, transfer_to_booker, name="triage"))
    graph.add_node("booker", agent(server, name="booker"))
    graph.add_edge(START, "triage")
    graph.add_edge("booker", END)
    return graph.compile(name="team")


def calls(call_id: str, name: str, **arguments: Any) -> Reply:
    """A model's answer that calls a tool."""
    return message(tool_calls=[tool_call(call_id, name, **arguments)])


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
