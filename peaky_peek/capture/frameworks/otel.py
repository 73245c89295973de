"""OpenTelemetry: spans of generative AI become agents, tools and model calls, for frameworks without an adapter.

`PeekSpanProcessor` is a processor and no exporter: it is told when a span starts, so that runs are recorded as they go.
Some instrumentations start a span with nothing but a name, and say then what it is. Such a span waits until something
begins inside it, or until it ends. As long as it waits it may turn out to be a model call; one that the wire sees is
recorded by the wire.

Spans of a framework that has an adapter of its own tell nothing new, and are passed over while that is active.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from peaky_peek.capture import autopatch, context, faults
from peaky_peek.capture.frameworks import ADAPTERS, otel_attributes
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.recent import Recent
from peaky_peek.capture.verbs import Common

_INSTRUMENTATIONS = ("openinference.instrumentation.", "opentelemetry.instrumentation.")


def adapter() -> type:
    """Return the class, made of OpenTelemetry's own.

    Raises:
        ImportError: OpenTelemetry's SDK is not installed.
    """
    from opentelemetry.sdk.trace import SpanProcessor

    own = {"__doc__": _Processor.__doc__, "__module__": "peaky_peek.adapters"}
    return type("PeekSpanProcessor", (_Processor, SpanProcessor), own)


class _Span:
    """A span that has started and not ended."""

    __slots__ = ("is_passed_over", "kind", "span", "within")

    def __init__(self, span: Any, parent: _Span | None) -> None:
        self.span = span
        self.kind: str | None = None
        self.is_passed_over = _has_adapter(span)
        self.within: tuple[_Span, ...] = () if parent is None else (parent, *parent.within)
        """The spans around it that have not ended, the nearest first."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.span.attributes or {}

    @property
    def events(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(event.name, event.attributes or {}) for event in self.span.events]

    def tells_same(self, other: _Span, agent: str) -> bool:
        """Tell whether this is the same run of an agent as another span, told of by another instrumentation."""
        is_other = _scope_name(self.span) != _scope_name(other.span)
        return is_other and otel_attributes.agent_name(self.attributes, self.span.name) == agent

    def told(self) -> str | None:
        """Return what it says that it is, by its attributes, or else by its name."""
        return otel_attributes.kind_of(self.attributes) or otel_attributes.kind_named(self.span.name)


class _Processor:
    """An OpenTelemetry span processor that records spans of generative AI: agents, tools, and model calls.

    Example:
        from opentelemetry import trace
        from peaky_peek.adapters import PeekSpanProcessor

        trace.get_tracer_provider().add_span_processor(PeekSpanProcessor())
    """

    def __init__(self) -> None:
        super().__init__()
        self._runs = Runs("opentelemetry")
        self._spans = Recent[int, _Span](10_000)  # some never end
        autopatch.install()

    @faults.guarded
    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - OpenTelemetry's
        """Begin a run, if the span says what it is."""
        if context.paused or context.stopped:
            return
        parent = None if span.parent is None else self._spans.get(span.parent.span_id)
        started = self._spans[span.context.span_id] = _Span(span, parent)
        for around in reversed(started.within):
            self._decide(around)
        if started.is_passed_over:
            return
        if otel_attributes.kind_of(started.attributes) or started.told() == "model":
            self._begin(started, started.told())
        elif context.here() is not None:
            self._model(started)

    @faults.guarded
    def on_end(self, span: Any) -> None:
        """End what the span began."""
        ended = self._spans.pop(span.context.span_id, None)
        if ended is None or ended.is_passed_over:
            return
        ended.span = span
        self._decide(ended)
        attributes, events = ended.attributes, ended.events
        failed = span.status.status_code.name == "ERROR"
        error = otel_attributes.failure(events, attributes, span.status.description) if failed else None
        if ended.kind == "agent":
            self._runs.ended(ended, otel_attributes.output(attributes), error)
        elif ended.kind == "tool":
            ran: Common = {"duration_ms": (span.end_time - span.start_time) / 1e6, "timestamp": _time(span.end_time)}
            result = None if failed else otel_attributes.result(attributes, events)
            self._runs.ended(ended, result, error, common=ran)
        elif ended.kind == "model":
            self._runs.ended(ended, error=error, response=lambda: otel_attributes.response(attributes))
        else:
            self._runs.dropped(ended)

    def _decide(self, span: _Span) -> None:
        """Begin what a span is that has waited, if it says so by now."""
        kind = span.told() if span.kind is None and not span.is_passed_over else None
        if kind in ("agent", "tool"):
            self._runs.dropped(span)
            self._begin(span, kind)
        elif kind == "model":
            span.kind = kind

    def _begin(self, span: _Span, kind: str | None) -> None:
        attributes, name = span.attributes, span.span.name
        span.kind = kind
        common: Common = {"timestamp": _time(span.span.start_time)}
        if kind == "agent":
            agent = otel_attributes.agent_name(attributes, name)
            if any(each.kind == "agent" and each.tells_same(span, agent) for each in span.within):
                span.is_passed_over = True
                return
            given, framework = otel_attributes.given(attributes), _framework(span.span)
            within = self._within(span)
            self._runs.agent(span, agent, within=within, input=given, common=common, framework=framework)
        elif kind == "tool":
            tool, arguments, call_id = otel_attributes.tool(attributes, name)
            scope = context.here()
            if scope is not None and scope.tool is not None and scope.tool.name == tool:
                span.is_passed_over = True  # it is recorded already, by whoever runs it
                return
            self._runs.tool(span, tool, arguments, within=self._within(span), call_id=call_id, common=common)
        else:
            self._model(span)

    def _model(self, span: _Span) -> None:
        self._runs.model(span, lambda: otel_attributes.request(span.attributes), within=self._within(span))

    def _within(self, span: _Span) -> tuple[_Span, ...]:
        """Return the spans around one; none if the code is in the nearest of them, where it knows its place better."""
        around = next((scope for each in span.within if (scope := self._runs.scope_of(each)) is not None), None)
        scope = context.here()
        while scope is not None and scope is not around:
            scope = scope.outside
        return span.within if scope is None else ()


def _time(nanoseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC)


def _scope_name(span: Any) -> str:
    scope = span.instrumentation_scope
    return "" if scope is None else str(scope.name)


def _has_adapter(span: Any) -> bool:
    """Tell whether a span is of a framework that an adapter records."""
    name = _letters(_scope_name(span))
    return any(each.state == "active" and _letters(each.module) in name for each in ADAPTERS)


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _framework(span: Any) -> str | None:
    """Return which framework a span is of, by the name of its instrumentation."""
    name = _scope_name(span)
    for prefix in _INSTRUMENTATIONS:
        name = name.removeprefix(prefix)
    return name.partition(".")[0] or None
