"""What LangChain's callbacks do not say of LangGraph: which graph begins, whose its nodes are, what is saved."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.tracebacks import stepping_out
from peaky_peek.capture.verbs import emit
from peaky_peek.events import Checkpoint

UNNAMED = "LangGraph"  # what LangGraph calls a graph that nobody named
_END = "__end__"
_FRAMEWORKS = ("langchain", "langgraph", "langgraph_supervisor", "langgraph_swarm")
"""Packages whose own nodes are plumbing: the model and the tools of an agent, its middleware, what hands over to it."""


@dataclass(slots=True, eq=False)
class Graph:
    """A run of a graph.

    Attributes:
        pregel: the graph.
        name: what the user calls it.
        around: the run of a graph that it is a part of, if any.
        thread: the conversation that it is a turn of.
        awaits: what it waits for when it is over, by the ids of LangGraph.
    """

    pregel: Any
    name: str
    around: Graph | None = None
    thread: str | None = None
    awaits: dict[str, Any] = field(default_factory=dict)

    def agent_at(self, node: str) -> str | None:
        """Return the name of the agent that a node is, None if there is no such node."""
        known = (self.pregel.nodes or {}).get(node)
        if known is None:
            return None
        name = getattr(known.bound, "name", None) if is_graph(known.bound) else None
        return name if isinstance(name, str) and name != UNNAMED else node

    def up(self) -> Iterator[Graph]:
        """Yield this graph and those around it, the nearest first."""
        graph: Graph | None = self
        while graph is not None:
            yield graph
            graph = graph.around


@dataclass(slots=True, eq=False)
class Place:
    """Where in a graph something happens.

    Attributes:
        graph: the run of the graph.
        node: the node at work, None outside all of them.
        shown: the name of the span that stands for just this run, if one does.
    """

    graph: Graph
    node: str | None = None
    shown: str | None = None


def is_graph(value: Any) -> bool:
    """Tell whether something is a compiled graph."""
    module = sys.modules.get("langgraph.pregel")
    return module is not None and isinstance(value, module.Pregel)


def starting(*passed: str) -> Any:
    """Return the graph whose start is being told to callbacks, None if it is anything else that starts.

    The callback does not say, so the code that makes it is asked; `passed` are the modules on the way to it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in passed:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name not in ("stream", "astream"):
        return None
    started = frame.f_locals.get("self")
    return started if is_graph(started) else None


def name_of(pregel: Any, told: str | None, place: Place | None) -> str:
    """Return what the user calls a graph: by its name, that of the node it is, or that of its function."""
    if told and told != UNNAMED:
        return told
    if place is not None and place.node is not None and place.shown is None:
        return place.node
    if _is_agent(pregel):
        return "agent"
    nodes = list(pregel.nodes or ())
    is_function = len(nodes) == 1 and not hasattr(pregel, "builder")  # an `@entrypoint`
    return str(nodes[0]) if is_function else "graph"


def is_node(name: str | None, tags: list[str] | None, metadata: dict[str, Any], place: Place) -> bool:
    """Tell whether what begins is a node of the graph around it, or a task of a functional one."""
    if any(tag.startswith("graph:step:") for tag in tags or ()):
        return True
    path = metadata.get("langgraph_path") or (None,)
    return path[-1] is True and name == metadata.get("langgraph_node") != place.node


def is_users(graph: Graph, node: str) -> bool:
    """Tell whether the user wrote a node and thinks in it: it is neither plumbing nor a graph with its own span."""
    known = (graph.pregel.nodes or {}).get(node)
    if node == graph.name or _is_agent(graph.pregel):
        return False
    if known is None:  # a task of a functional graph
        return True
    bound = known.bound
    code = getattr(bound, "func", None) or getattr(bound, "afunc", None) or bound
    module = getattr(code, "__module__", None) or ""
    return module.partition(".")[0] not in _FRAMEWORKS


def _is_agent(pregel: Any) -> bool:
    """Tell whether a graph is what `create_agent` makes."""
    metadata = (pregel.config or {}).get("metadata") or {}
    return metadata.get("ls_integration") == "langchain_create_agent"


def bubbles(error: BaseException) -> bool:
    """Tell whether an exception is LangGraph's way to move on: nothing failed."""
    module = sys.modules.get("langgraph.errors")
    return module is not None and isinstance(error, module.GraphBubbleUp)


def command(value: Any) -> Any:
    """Return a `Command` as plain data, without what it does not say."""
    said = plain(value)
    return {key: part for key, part in said.items() if part not in (None, (), [])} if isinstance(said, dict) else said


def is_command(value: Any) -> bool:
    """Tell whether something is a `Command`."""
    module = sys.modules.get("langgraph.types")
    return module is not None and isinstance(value, module.Command)


def announced(tool: str, metadata: dict[str, Any], place: Place | None) -> str | None:
    """Return the agent that a tool hands over to as far as can be told before it runs, by its name or what it says."""
    graphs = list(place.graph.up()) if place is not None else []
    said = metadata.get("__handoff_destination")  # the prebuilt supervisor's and swarm's
    for graph in graphs:
        for node in graph.pregel.nodes or ():
            if node == said or (said is None and tool == f"transfer_to_{'_'.join(node.lower().split())}"):
                return graph.agent_at(node)
    return None


def handed_to(value: Any, place: Place | None) -> list[str]:
    """Return the agents that a `Command` of a tool hands over to."""
    if place is None:
        return []
    start = place.graph.around if value.graph == type(value).PARENT else place.graph
    goto = value.goto if isinstance(value.goto, (list, tuple)) else [value.goto]
    nodes = [each if isinstance(each, str) else getattr(each, "node", None) for each in goto]
    if start is None or _is_agent(start.pregel):
        return []
    return [start.agent_at(node) or node for node in nodes if isinstance(node, str) and node != _END]


class Loops:
    """Looks at how LangGraph runs a graph step by step, for what no callback tells.

    That is what checkpointers save (each is a class of its own, here all are given what to save), and that a graph
    stops at a breakpoint.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._patches = Patches(
            Patch("langgraph.pregel._loop", "PregelLoop", ("_put_checkpoint",), self._told),
            Patch("langgraph.pregel._loop", "PregelLoop", ("_suppress_interrupt",), self._stopping),
        )
        self.install, self.uninstall = self._patches.install, self._patches.uninstall

    def _told(self, original: Method) -> Method:
        def put_checkpoint(loop: Any, *args: Any, **kwargs: Any) -> Any:
            before = _saved(loop)
            with stepping_out:
                done = original(loop, *args, **kwargs)
            if self._patches.installed:
                self._record(loop, before)
            return done

        return put_checkpoint

    def _stopping(self, original: Method) -> Method:
        def suppress_interrupt(loop: Any, *args: Any, **kwargs: Any) -> Any:
            if self._patches.installed:
                self._stop(loop)
            with stepping_out:
                return original(loop, *args, **kwargs)

        return suppress_interrupt

    @faults.guarded
    def _stop(self, loop: Any) -> None:
        place = self._runs.about(getattr(loop.manager, "run_id", None))
        if place is not None and loop.status in ("interrupt_before", "interrupt_after"):
            place.graph.awaits[loop.status] = sorted({task.name for task in loop.tasks.values()})

    @faults.guarded
    def _record(self, loop: Any, before: str | None) -> None:
        saved = _saved(loop)
        scope = self._runs.scope_of(getattr(loop.manager, "run_id", None))
        if saved in (None, before) or saved != loop.checkpoint["id"] or scope is None:
            return
        at, metadata = loop.checkpoint_config["configurable"], loop.checkpoint_metadata
        made_by = metadata["source"]
        if made_by == "loop":  # by the nodes that ran in this step; at the exit they are forgotten
            nodes = dict.fromkeys(task.name.strip("_") for task in loop.tasks.values() if task.writes)
            made_by = ", ".join(nodes) or "exit"
        data = {
            "thread_id": at.get("thread_id"), "checkpoint_id": saved, "checkpoint_ns": at.get("checkpoint_ns"),
            "step": metadata.get("step"), "source": metadata.get("source"),
        }  # fmt: skip
        typed = {"label": f"{made_by}/{metadata['step']}", "state": _state(loop)}
        emit(Checkpoint, scope, {"data": data}, typed)


def _saved(loop: Any) -> str | None:
    """Return the id of the checkpoint that a run of a graph has saved last."""
    saved = (loop.checkpoint_config.get("configurable") or {}).get("checkpoint_id")
    return saved if isinstance(saved, str) else None


def _state(loop: Any) -> dict[str, Any]:
    """Return the state of a graph, without the channels by which LangGraph remembers who is next."""
    channels = {
        name: channel for name, channel in loop.channels.items() if not name.startswith(("branch:", "__pregel"))
    }
    return {name: channel.get() for name, channel in channels.items() if channel.is_available()}
