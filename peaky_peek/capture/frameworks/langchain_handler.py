"""`LangChainTracingHandler`: a handler that users give to LangChain, to say which session a run belongs to.

What happens in the run is told to the handler that every run has, so both together make one session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peaky_peek.capture import context, faults, frameworks, transport
from peaky_peek.capture.frameworks import langgraph
from peaky_peek.capture.frameworks.langchain import MACHINERY, around, runs, sessions
from peaky_peek.capture.spans import TraceContext

_PASSED = (*MACHINERY, __name__)


def adapter() -> type:
    """Return the class, made of LangChain's own.

    Raises:
        ImportError: LangChain is not installed.
    """
    from langchain_core.callbacks import BaseCallbackHandler

    own = {"__doc__": _Handler.__doc__, "__module__": "peaky_peek.adapters", "raise_error": faults.strict}
    return type("LangChainTracingHandler", (_Handler, BaseCallbackHandler), own)


class _Handler:
    """A LangChain callback handler whose runs go into a session of its own, unless one is open already.

    Args:
        session_id: the id of the session; several runs of one handler continue it.
        agent_name: names the agent, and the session.
        tags: labels for the session.
    """

    run_inline = True

    def __init__(
        self, session_id: str | None = None, agent_name: str | None = None, tags: Iterable[str] | None = None
    ) -> None:
        super().__init__()
        self.session_id, self.agent_name = session_id, agent_name
        self.tags = context.tag_list(tags)
        self._context: TraceContext | None = None
        self._has_begun = False
        transport.install()
        frameworks.install(frozenset({"langchain"}))

    def set_context(self, context: TraceContext) -> None:
        """Have runs recorded in a context, as long as it is entered."""
        self._context = context

    @faults.guarded
    def on_chain_start(self, _: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self._begin(run_id, inputs, is_graph=langgraph.starting(*_PASSED) is not None)

    @faults.guarded
    def on_chain_end(self, _: Any, *, run_id: Any, parent_run_id: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self._learn(run_id)

    @faults.guarded
    def on_chain_error(self, _: BaseException, *, run_id: Any, parent_run_id: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self._learn(run_id)

    @faults.guarded
    def _start(self, _: Any, asked: Any, /, *, run_id: Any, parent_run_id: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self._begin(run_id, asked, is_graph=False)

    on_tool_start = on_retriever_start = on_llm_start = on_chat_model_start = _start

    def _begin(self, run_id: Any, inputs: Any, *, is_graph: bool) -> None:
        """Have a run begin where the user wants it: the handler that every run has is told of it next."""
        here, given = context.here(), None if self._context is None else self._context._inside
        if given is not None and not given.closed and (here is None or here.session is not given.session):
            with context.inside(given):
                runs.step(around(run_id))
            return
        if here is not None:
            return
        session = {"session_id": self.session_id, "tags": self.tags or None, "resume": self._has_begun}
        if is_graph:
            sessions[run_id] = {"name": self.agent_name, **session}
        else:
            name = self.agent_name or "langchain_agent"
            runs.agent(around(run_id), name, input=inputs, session=session, enter=False)
            self._learn(around(run_id))

    def _learn(self, run: Any) -> None:
        """Remember the session that a run made: the next one continues it."""
        sessions.pop(run, None)
        scope = runs.scope_of(run)
        if scope is not None:
            self.session_id, self._has_begun = scope.session.id, True
