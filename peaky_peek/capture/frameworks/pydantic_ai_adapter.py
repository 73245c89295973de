"""`PydanticAIAdapter`: says which session the runs of a PydanticAI agent belong to.

What happens in them is recorded as in the runs of every agent, so both together make one session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from peaky_peek import ids
from peaky_peek.capture import context, frameworks, transport
from peaky_peek.capture.context import Scope
from peaky_peek.capture.frameworks import pydantic_ai
from peaky_peek.capture.spans import TraceContext


def adapter() -> type:
    """Return the class.

    Raises:
        ImportError: PydanticAI is not installed.
    """
    import_module("pydantic_ai")
    return PydanticAIAdapter


class PydanticAIAdapter:
    """Gives the runs of an agent a session with a name, an id and tags; several runs continue it.

    Args:
        agent: the agent.
        session_id: the id of the session; if it is left out, one is made.
        agent_name: names the agent, and the session.
        tags: labels for the session.

    Attributes:
        agent: the agent.
        session_id: the id of the session.

    Example:
        adapter = PydanticAIAdapter(agent, agent_name="support")
        async with adapter.trace_session() as session_id:
            await agent.run("Hello")
    """

    def __init__(
        self, agent: Any, session_id: str | None = None, agent_name: str = "", tags: Iterable[str] | None = None
    ) -> None:
        self.agent = agent
        self.session_id = session_id or ids.new_id()
        self.agent_name, self.tags = agent_name or agent.name or "agent", context.tag_list(tags)
        self._has_begun = False
        transport.install()
        frameworks.install(frozenset({"pydantic_ai"}))

    def instrument(self) -> Any:
        """Return the agent, whose runs go into the session from now on, unless another one is open already."""
        setattr(self.agent, pydantic_ai.OWNER, self)
        return self.agent

    @asynccontextmanager
    async def trace_session(self, agent_name: str = "", tags: Iterable[str] | None = None) -> AsyncIterator[str]:
        """Record what happens in the block in the session, and give its id."""
        session = self.session() | ({} if tags is None else {"tags": context.tag_list(tags)})
        async with TraceContext(agent_name or self.agent_name, pydantic_ai.runs.framework, **session) as ctx:
            self._learn(ctx.session_id)
            yield self.session_id

    def session(self) -> dict[str, Any]:
        """Return what `TraceContext` is to know of the session."""
        return {"session_id": self.session_id, "tags": self.tags or None, "resume": self._has_begun}

    def begun(self, scope: Scope) -> None:
        """Remember the session that a run of the agent opened: the next one continues it."""
        if scope.parent_id == scope.session.first_event:
            self._learn(scope.session.id)

    def _learn(self, session_id: str | None) -> None:
        if session_id is not None:
            self.session_id, self._has_begun = session_id, True


PydanticAIAdapter.__module__ = "peaky_peek.adapters"  # where users import it from
