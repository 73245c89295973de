"""Peaky Peek: a debugger for AI agents that lives in the notebook.

Record with `trace`, `tool` and `trace_session`, or let `%load_ext peaky_peek` do it; look with `tree`; ask with
`sessions`, `events` and `graph`. Everything is in one local SQLite file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import peaky_peek.interpreter  # before any extension module: it refuses subinterpreters

# isort: split
import peaky_peek.capture.providers  # noqa: F401 - whoever ingests must know how to read model calls
from peaky_peek.capture import watching as _watching
from peaky_peek.capture.alerts import Alert
from peaky_peek.capture.control import init, pause, uninstall
from peaky_peek.capture.decorators import llm, tool, trace
from peaky_peek.capture.listeners import off_event, on_event
from peaky_peek.capture.spans import TraceContext, start_session, trace_session
from peaky_peek.capture.status import status
from peaky_peek.errors import BudgetExceeded, LoopDetected, NotOnTape, NotRestorable, PeekError, PeekWarning, RunStopped

if TYPE_CHECKING:
    from peaky_peek.analysis.alerts import alerts
    from peaky_peek.analysis.causes import causes
    from peaky_peek.analysis.checkpoints import checkpoints
    from peaky_peek.analysis.drift import drift
    from peaky_peek.analysis.failures import failures
    from peaky_peek.analysis.lint import lint
    from peaky_peek.analysis.restoring import restore
    from peaky_peek.capture.deletion import delete
    from peaky_peek.capture.labels import label
    from peaky_peek.capture.pricing import set_price
    from peaky_peek.capture.tape import tape
    from peaky_peek.demo import demo
    from peaky_peek.frames import (
        ALL,
        SCHEMA,
        decisions,
        event,
        events,
        llm_calls,
        messages,
        session,
        sessions,
        tool_calls,
    )
    from peaky_peek.graphs import graph
    from peaky_peek.interop import load
    from peaky_peek.widgets._linking import link
    from peaky_peek.widgets.clusters import clusters
    from peaky_peek.widgets.conversation import conversation
    from peaky_peek.widgets.debugger import debugger
    from peaky_peek.widgets.diff import diff
    from peaky_peek.widgets.live import live
    from peaky_peek.widgets.replay import replay
    from peaky_peek.widgets.safety import safety
    from peaky_peek.widgets.search import search
    from peaky_peek.widgets.timeline import timeline
    from peaky_peek.widgets.tree import tree
    from peaky_peek.widgets.why import why

_LAZY = {
    "causes": "peaky_peek.analysis.causes", "checkpoints": "peaky_peek.analysis.checkpoints",
    "drift": "peaky_peek.analysis.drift", "restore": "peaky_peek.analysis.restoring",
    "alerts": "peaky_peek.analysis.alerts", "delete": "peaky_peek.capture.deletion",
    "label": "peaky_peek.capture.labels", "demo": "peaky_peek.demo", "graph": "peaky_peek.graphs",
    "failures": "peaky_peek.analysis.failures", "lint": "peaky_peek.analysis.lint", "diff": "peaky_peek.widgets.diff",
    "load": "peaky_peek.interop", "tree": "peaky_peek.widgets.tree", "set_price": "peaky_peek.capture.pricing",
    "live": "peaky_peek.widgets.live",
    "replay": "peaky_peek.widgets.replay",
    "tape": "peaky_peek.capture.tape", "link": "peaky_peek.widgets._linking",
    "clusters": "peaky_peek.widgets.clusters",
    "debugger": "peaky_peek.widgets.debugger", "search": "peaky_peek.widgets.search",
    "conversation": "peaky_peek.widgets.conversation", "why": "peaky_peek.widgets.why",
    "timeline": "peaky_peek.widgets.timeline",
    "safety": "peaky_peek.widgets.safety",
    "load_ipython_extension": "peaky_peek.magics", "unload_ipython_extension": "peaky_peek.magics",
    **dict.fromkeys(
        ("ALL", "SCHEMA", "decisions", "event", "events", "llm_calls", "messages", "session", "sessions", "tool_calls"),
        "peaky_peek.frames",
    ),
}  # fmt: skip
__version__ = "0.1.0"
__all__ = [
    "ALL", "SCHEMA", "Alert", "BudgetExceeded", "LoopDetected", "NotOnTape", "NotRestorable", "PeekError",
    "PeekWarning", "RunStopped", "TraceContext", "alerts", "causes", "checkpoints", "clusters", "conversation",
    "debugger", "decisions", "delete", "demo", "diff", "drift", "event", "events", "failures", "graph", "init",
    "label", "link", "lint", "live", "llm", "llm_calls", "load", "messages", "off_event", "on_event", "pause",
    "replay", "restore", "safety", "search", "session", "sessions", "set_price", "start_session", "status", "tape",
    "timeline", "tool", "tool_calls", "trace", "trace_session", "tree", "uninstall", "why",
]  # fmt: skip


_watching.RULES = "peaky_peek.analysis.rules"
globals().pop("events", None)  # the module of the vocabulary; here the name means the frame, after a reload too


def __getattr__(name: str) -> Any:
    """Load the heavier half of the package when it is first asked for: recording never pays for pandas."""
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
