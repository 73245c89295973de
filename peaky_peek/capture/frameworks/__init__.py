"""Agent frameworks: one thin adapter each, on the framework's own hook, for what the wire cannot know.

That is agents, tools, handoffs, and what happens inside what. An adapter is a module with `install` and `uninstall`;
it is imported when the framework is, never before. A framework whose hook has moved is recorded by its model calls
alone, and one line says so.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType

from peaky_peek.capture import faults
from peaky_peek.capture.imports import forget, when_imported
from peaky_peek.store import notices


@dataclass(slots=True, eq=False)
class Adapter:
    """A framework that there is an adapter for.

    Attributes:
        name: as its makers write it.
        module: the adapter, below this package.
        after: the module of the framework whose import the adapter waits for.
        distribution: the name that it is installed under.
        hook: what is used of it, in words.
        state: "waiting" for the framework, "active", or "degraded".
        problem: what is wrong with a degraded one.
    """

    name: str
    module: str
    after: str
    distribution: str
    hook: str
    state: str = field(default="waiting", init=False)
    problem: str | None = field(default=None, init=False)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("AutoGen", "autogen", "autogen_agentchat.agents", "autogen-agentchat", "the methods of agents and teams"),
    Adapter("CrewAI", "crewai", "crewai.events.event_bus", "crewai", "its event bus"),
    Adapter(
        "LangChain and LangGraph", "langchain", "langchain_core.tracers.context", "langchain-core", "callback handler"
    ),
    Adapter("LlamaIndex", "llama_index", "llama_index.core.instrumentation", "llama-index-core", "its root dispatcher"),
    Adapter("MCP", "mcp", "mcp.client.session", "mcp", "ClientSession.call_tool"),
    Adapter("OpenAI Agents SDK", "openai_agents", "agents", "openai-agents", "trace processor and run hooks"),
    Adapter("PydanticAI", "pydantic_ai", "pydantic_ai", "pydantic-ai-slim", "Agent.iter and a capability"),
)
"""In the order of their names."""


def install(names: frozenset[str] | None = None) -> None:
    """Record what frameworks do, those that are imported and those that will be; `names` of modules restrict it."""
    for adapter in ADAPTERS:
        if names is None or adapter.module in names:
            when_imported(adapter.after, _act(adapter))


def uninstall() -> None:
    """Undo `install`."""
    for adapter in ADAPTERS:
        forget(adapter.after, _act(adapter))
        if adapter.state == "active":
            _load(adapter).uninstall()
        adapter.state, adapter.problem = "waiting", None


@functools.cache
def _act(adapter: Adapter) -> functools.partial[None]:
    return functools.partial(_connect, adapter)


def _connect(adapter: Adapter, _: ModuleType) -> None:
    """Install an adapter, or say that its framework has changed."""
    if adapter.state != "waiting":
        return
    try:
        _load(adapter).install()
        adapter.state = "active"
    except Exception as error:  # noqa: BLE001 - whatever it was, its model calls are recorded all the same
        adapter.state, adapter.problem = "degraded", faults.said(error)
        notices.say(
            f"Peaky Peek does not know this version of {adapter.name}: it records its model calls, but neither its"
            f" agents nor its tools ({adapter.problem})."
        )


def _load(adapter: Adapter) -> ModuleType:
    return import_module(f"{__name__}.{adapter.module}")
