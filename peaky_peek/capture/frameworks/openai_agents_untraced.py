"""Runs of the OpenAI Agents SDK whose user has switched tracing off, so that nothing goes to OpenAI: told to us alone.

The SDK makes traces and spans then that tell nobody. Ours take their place. They have no processor but ours, and
nothing of them can be exported; what is made inside them is of their kind, whatever the user switches on in between.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.frameworks.openai_agents_runs import PROCESSOR
from peaky_peek.capture.patching import Method, Patch, Patches


@functools.cache
def _kinds() -> tuple[Any, Any]:
    """Return the classes of traces and spans that only we are told of."""
    nothing = {"export": lambda _: None, "tracing_api_key": None, "__slots__": ()}
    trace, span = import_module("agents.tracing.traces").TraceImpl, import_module("agents.tracing.spans").SpanImpl
    return type("UntracedTrace", (trace,), nothing), type("UntracedSpan", (span,), nothing)


def _tracing(original: Method) -> Method:
    def create_trace(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        if patches.installed and made.trace_id == "no-op":
            return _trace(*args, **kwargs) or made
        return made

    return create_trace


@faults.guarded
def _trace(
    name: str, trace_id: str | None = None, group_id: str | None = None, metadata: Any = None, *_: Any, **__: Any
) -> Any:
    return _kinds()[0](name=name, trace_id=trace_id, group_id=group_id, metadata=metadata, processor=PROCESSOR)


def _spanning(original: Method) -> Method:
    def create_span(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = _span(self, *args, **kwargs) if patches.installed else None
        return original(self, *args, **kwargs) if made is None else made

    return create_span


@faults.guarded
def _span(provider: Any, span_data: Any, span_id: str | None = None, parent: Any = None, disabled: bool = False) -> Any:
    """Return a span inside a trace of ours, None elsewhere and for a span that is switched off itself."""
    around: Any = parent or provider.get_current_trace()
    if disabled or not isinstance(around, _kinds()):
        return None
    outer = parent or provider.get_current_span()
    return _kinds()[1](
        trace_id=around.trace_id, span_id=span_id, parent_id=getattr(outer, "span_id", None), processor=PROCESSOR,
        span_data=span_data, tracing_api_key=None,
    )  # fmt: skip


patches = Patches(
    Patch("agents.tracing.provider", "DefaultTraceProvider", ("create_trace",), _tracing),
    Patch("agents.tracing.provider", "DefaultTraceProvider", ("create_span",), _spanning),
)
