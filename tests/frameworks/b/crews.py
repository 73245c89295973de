"""Crews for the tests of CrewAI, with real agents that ask the loopback server."""

from __future__ import annotations

import re
from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from peaky_peek.store import Database
from tests.frameworks.trees import outline
from tests.loopback import Loopback

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@tool
def book(city: str, nights: int) -> str:
    """Books a hotel."""
    raise ValueError(f"no hotel in {city} for {nights} nights")


def model(server: Loopback, **fields: Any) -> LLM:
    return LLM(model="openai/gpt-4o-mini", base_url=server.url, api_key="test", **fields)


def agent(server: Loopback, role: str, **fields: Any) -> Agent:
    """An agent that tries only once."""
    given = {"llm": model(server), "max_retry_limit": 0, "verbose": False, **fields}
    return Agent(role=role, goal="help", backstory="you help", **given)


def trip(
    server: Loopback, *, task: dict[str, Any] | None = None, crew: dict[str, Any] | None = None, **fields: Any
) -> Crew:
    """A crew of one, with two tools."""
    clerk = agent(server, "clerk", **{"tools": [weather, book], **fields})
    given = {"name": "plan", "description": "Rome?", "expected_output": "a plan", "agent": clerk, **(task or {})}
    return Crew(**{"name": "trip", "agents": [clerk], "tasks": [Task(**given)], "verbose": False, **(crew or {})})


def seen(store: Database) -> str:
    """The outline, without the words that CrewAI adds to what an agent is asked."""
    asked = r"""(['"])([^\n]*?)\\n\\nThis is the expected criteria.*?\1(?= ->| \(|$)"""
    task = r"\{'description': '(\S*)', 'expected_output': 'a plan'.*?\}"
    return re.sub(task, r"'\1'", re.sub(asked, r"\1\2\1", outline(store), flags=re.MULTILINE))
