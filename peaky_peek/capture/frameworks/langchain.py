"""LangChain and LangGraph, by a callback handler that every run gets: agents, the user's own nodes, tools, retrievers.

Chains, runnables and middleware are no steps of an agent: what happens in them happens in what is around them.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.call_spans import ToolSpan
from peaky_peek.capture.frameworks import langchain_tape, langgraph
from peaky_peek.capture.frameworks.langchain_models import answer_of, request_of
from peaky_peek.capture.frameworks.langgraph import Graph, Place
from peaky_peek.capture.frameworks.langgraph_pauses import Pauses
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.recent import Recent
from peaky_peek.capture.spans import Paused
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.events import SafetyCheck

_GUARDS = {
    "ModelCallLimitExceededError": "ModelCallLimitMiddleware",
    "OpenAIModerationError": "OpenAIModerationMiddleware",
    "PIIDetectionError": "PIIMiddleware",
    "ToolCallLimitExceededError": "ToolCallLimitMiddleware",
}
"""Exceptions by which a policy stops an agent, and the policy."""
MACHINERY = ("langchain_core.callbacks.manager", "peaky_peek.capture.faults", __name__)
"""Modules between the code that begins a run and a callback."""

runs = Runs("langchain")
pauses = Pauses()
loops = langgraph.Loops(runs)
sessions = Recent[Any, dict[str, Any]](1000)
"""What is asked for of the session of a run that is about to begin: its name, id and tags."""
_hooks: list[tuple[ContextVar[Any], list[Any]]] = []
"""What is installed: the variable that LangChain looks into, and LangChain's list of such."""


def install() -> None:
    """Have LangChain tell of every run."""
    if _hooks:
        return
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.tracers import context

    handler = type("PeakyPeek", (_Callbacks, BaseCallbackHandler), {"raise_error": faults.strict})()
    variable = ContextVar("peaky_peek_langchain", default=handler)  # as the default it is there in every thread
    context.register_configure_hook(variable, inheritable=True)
    _hooks.append((variable, context._configure_hooks))
    loops.install()
    langchain_tape.patches.install()


def uninstall() -> None:
    """Undo `install`."""
    for variable, registered in _hooks:
        registered[:] = [hook for hook in registered if hook[0] is not variable]
        variable.get().on = False  # what runs now has it already
    _hooks.clear()
    loops.uninstall()
    langchain_tape.patches.uninstall()
    runs.clear()
    pauses.clear()
    sessions.clear()


def around(run_id: Any) -> tuple[str, Any]:
    """Return the id of what is put around a run that is in no other."""
    return ("around", run_id)


def _told(callback: Any) -> Any:
    """Make a callback of ours report its faults, and do nothing once it is uninstalled."""

    @faults.guarded
    @functools.wraps(callback)
    def told(self: _Callbacks, *args: Any, **kwargs: Any) -> None:
        if self.on:
            callback(self, *args, **kwargs)

    return told


class _Callbacks:
    """What LangChain tells of; `BaseCallbackHandler` is mixed in when it is there."""

    run_inline = True  # in the context of the run, so that what happens in it finds its place
    on = True

    @_told
    def on_chain_start(
        self, _: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None, name: str | None = None, **__: Any,
    ) -> None:  # fmt: skip
        metadata = metadata or {}
        place, within = runs.about(parent_run_id), _within(run_id, parent_run_id)
        pregel = langgraph.starting(*MACHINERY)
        if pregel is not None:
            _begin_graph(_graph(pregel, name, run_id, place, metadata), inputs, run_id, within, place)
        elif place is not None and langgraph.is_node(name, tags, metadata, place):
            _begin_node(metadata, inputs, run_id, within, place)
        else:
            runs.step(run_id, within=within, about=place and Place(place.graph, place.node, ""))

    @_told
    def on_chain_end(self, outputs: Any, *, run_id: Any, **_: Any) -> None:
        place = runs.about(run_id)
        if place is not None and place.node is None and place.graph.awaits and place.shown is not None:
            _pause(run_id, place.graph, outputs)
        else:
            _ended(run_id, langgraph.command(outputs) if langgraph.is_command(outputs) else outputs)

    @_told
    def on_chain_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        place = runs.about(run_id)
        if langgraph.bubbles(error):
            _bubble(run_id, error, place)
        else:
            _note_guard(run_id, error)
            _ended(run_id, error=error)

    @_told
    def on_tool_start(
        self, serialized: dict[str, Any] | None, input_str: str, *, run_id: Any, parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None, inputs: Any = None, tool_call_id: str | None = None,
        name: str | None = None, **_: Any,
    ) -> None:  # fmt: skip
        tool = (serialized or {}).get("name") or name or "tool"
        place, within = runs.about(parent_run_id), _within(run_id, parent_run_id)
        target = langgraph.announced(tool, metadata or {}, place)
        common = _handoff(parent_run_id, target) if target is not None else None
        arguments = input_str if inputs is None else inputs
        runs.tool(run_id, tool, arguments, within=within, call_id=tool_call_id, common=common, about=place)

    @_told
    def on_tool_end(self, output: Any, *, run_id: Any, **_: Any) -> None:
        place = runs.about(run_id)
        outputs = output if isinstance(output, list) else [output]
        commands = [each for each in outputs if langgraph.is_command(each)]
        targets = [target for each in commands for target in langgraph.handed_to(each, place)]
        said: Common = _handoff(run_id, ", ".join(targets)) if targets else {}
        result, error, data = _returned(output, commands)
        if data:
            said["data"] = data
        span = _ended(run_id, result, error, common=said)
        if isinstance(span, ToolSpan):
            for target in targets:
                span.leads_to(target)

    @_told
    def on_tool_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        _ended(run_id, error=Paused() if langgraph.bubbles(error) else error)

    @_told
    def on_retriever_start(
        self, serialized: dict[str, Any] | None, query: str, *, run_id: Any, parent_run_id: Any = None,
        name: str | None = None, **_: Any,
    ) -> None:  # fmt: skip
        called = name or (serialized or {}).get("name") or "retriever"
        runs.tool(run_id, called, {"query": query}, within=_within(run_id, parent_run_id))

    @_told
    def on_retriever_end(self, documents: Any, *, run_id: Any, **_: Any) -> None:
        _ended(run_id, documents)

    @_told
    def on_retriever_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        _ended(run_id, error=error)

    @_told
    def on_chat_model_start(
        self, serialized: Any, messages: list[list[Any]], *, run_id: Any, parent_run_id: Any = None, **said: Any
    ) -> None:
        request = functools.partial(request_of, serialized, messages[0] if messages else [], said)
        runs.model(run_id, request, within=_within(run_id, parent_run_id))

    @_told
    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: Any, parent_run_id: Any = None, **said: Any
    ) -> None:
        request = functools.partial(request_of, serialized, prompts[:1], said)
        runs.model(run_id, request, within=_within(run_id, parent_run_id))

    @_told
    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        _ended(run_id, response=functools.partial(answer_of, response))

    @_told
    def on_llm_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        _ended(run_id, error=error)


def _ended(run_id: Any, output: Any = None, error: BaseException | str | None = None, **more: Any) -> Any:
    """End a run, and what was put around it."""
    span = runs.ended(run_id, output, error, **more)
    runs.ended(around(run_id), output, error)
    return span


def _within(run_id: Any, parent_run_id: Any) -> tuple[Any, ...]:
    return (around(run_id),) if parent_run_id is None else (parent_run_id,)


def _graph(pregel: Any, name: str | None, run_id: Any, place: Place | None, metadata: dict[str, Any]) -> Graph:
    """Return what is to be known of a run of a graph."""
    wanted, thread = sessions.get(run_id, {}).pop("name", None), metadata.get("thread_id")
    return Graph(
        pregel, wanted or langgraph.name_of(pregel, name, place), None if place is None else place.graph,
        None if thread is None else str(thread),
    )  # fmt: skip


def _begin_graph(graph: Graph, inputs: Any, run_id: Any, within: tuple[Any, ...], place: Place | None) -> None:
    session = sessions.pop(run_id, None)
    if place is not None and place.shown == graph.name:  # it is all that its node does
        runs.step(run_id, within=within, about=Place(graph))
        return
    is_command = langgraph.is_command(inputs)
    runs.agent(
        run_id, graph.name, within=within, input=langgraph.command(inputs) if is_command else inputs,
        thread=graph.thread, session=session, enter=False, about=Place(graph, shown=graph.name),
    )  # fmt: skip
    if is_command and inputs.resume is not None:
        for check in pauses.checks(graph.thread, inputs.resume):
            emit(SafetyCheck, runs.scope_of(run_id), {}, check)


def _begin_node(metadata: dict[str, Any], inputs: Any, run_id: Any, within: tuple[Any, ...], place: Place) -> None:
    node = str(metadata.get("langgraph_node"))
    if langgraph.is_users(place.graph, node):
        said: Common = {"data": {"node": node, "step": metadata.get("langgraph_step")}}
        runs.agent(run_id, node, within=within, input=inputs, common=said, about=Place(place.graph, node, node))
    else:
        runs.step(run_id, within=within, about=Place(place.graph, node))


def _pause(run_id: Any, graph: Graph, outputs: Any = None) -> None:
    """Say of a graph that it waits for somebody."""
    awaits = [{"id": key, "value": value} for key, value in graph.awaits.items()]
    pauses.remember(graph.thread, graph.awaits)
    given = plain(outputs)
    _ended(run_id, {**(given if isinstance(given, dict) else {}), "__interrupt__": awaits}, Paused())


def _bubble(run_id: Any, error: BaseException, place: Place | None) -> None:
    """End a run that LangGraph's way to move on leaves: to an agent around, or because it waits for somebody."""
    said = error.args[0] if error.args else None
    if langgraph.is_command(said):
        given = langgraph.command(said)
        _ended(run_id, {key: part for key, part in given.items() if key != "graph"})
        return
    if place is not None and isinstance(said, (list, tuple)):
        place.graph.awaits |= {each.id: plain(each.value) for each in said}
        if place.node is None:
            _pause(run_id, place.graph)
    _ended(run_id, error=Paused())


def _note_guard(run_id: Any, error: BaseException) -> None:
    """Record that a policy stopped an agent, where its exception is met first."""
    place, scope = runs.about(run_id), runs.scope_of(run_id)
    policy = _GUARDS.get(type(error).__name__)
    if policy is None or scope is None or place is None or not place.shown:
        return
    if not any(known is error for known in scope.session.raised):
        said = {"policy_name": policy, "outcome": "block", "rationale": faults.text(error)}
        emit(SafetyCheck, scope, {}, said)


def _handoff(run_id: Any, target: str) -> Common:
    scope = runs.scope_of(run_id)
    return {"metadata": {"handoff": {"from": None if scope is None else scope.agent, "to": target}}}


def _returned(output: Any, commands: list[Any]) -> tuple[Any, str | None, dict[str, Any]]:
    """Return what the model gets of a tool: its result or an error; and what else there is to know of it."""
    answer, data = output, {}
    if commands:
        data["command"] = [langgraph.command(each) for each in commands]
        updates = [each.update for each in commands if isinstance(each.update, dict)]
        messages = [plain(message) for update in updates for message in update.get("messages") or []]
        answer = next((message for message in reversed(messages) if _is_answer(message)), None)
    elif getattr(output, "type", None) == "tool":
        answer = plain(output)
    else:
        return output, None, data
    if answer is None:
        return None, None, data
    if answer.get("artifact") is not None:
        data["artifact"] = answer["artifact"]
    content = answer.get("content")
    if answer.get("status") == "error":
        return None, str(content), {**data, "told": content}
    return content, None, data


def _is_answer(message: Any) -> bool:
    """Tell whether a message answers a tool call."""
    return isinstance(message, dict) and "tool_call_id" in message
