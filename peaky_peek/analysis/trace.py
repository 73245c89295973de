"""A session as a diagnosis reads it: events in order, calls with what chose them, and the ways between events."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek import causality
from peaky_peek.analysis.effects import effect_of
from peaky_peek.encoding import as_text
from peaky_peek.events import Decision, Event, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import calls, reader
from peaky_peek.values import texts_in, words_in

if TYPE_CHECKING:
    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

_SEQUENCE = 0.3
"""How sure it is that an event led to the next, if nothing but a value is known to have."""
_DAMPING = 0.9  # of a cause, for each event between it and what it led to


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, what came back, and the event that chose it."""

    call: ToolCall
    result: ToolResult | None
    chosen_by: Event
    """The decision or, without one, the model's answer or, without that, the call itself."""

    @property
    def tool(self) -> str:
        """The tool's name."""
        return tool_of(self.call)

    @property
    def is_sound(self) -> bool:
        """Whether a result came back that neither failed nor smells."""
        return self.result is not None and not self.result.failed and self.result.suspect is None


class Trace:
    """The events of a session and of those nested in it, in order, with what led to what.

    Args:
        session: the session.
        events: all of them; requests hold their new messages only.
    """

    def __init__(self, session: Session, events: list[Event]) -> None:
        self.session = session
        self.events = events
        self.row = {one.id: row for row, one in enumerate(events)}

    @cached_property
    def _ways(self) -> tuple[list[int], list[int], list[str], list[float]]:
        """Return what led to what, sorted by target: where each event's ways begin; and source, kind and weight.

        That an event happened inside another is left out. Flat lists, for tuples by the hundred thousand are slow.
        """
        sources: list[int] = []
        targets: list[int] = []
        kinds: list[str] = []
        weights: list[float] = []
        for source, target, kind, weight, _ in causality.ways(self.events):
            if kind != "parent":
                sources.append(self.row[source])
                targets.append(self.row[target])
                kinds.append(kind)
                weights.append(weight)
        order = np.argsort(targets, kind="stable").tolist()
        starts = np.searchsorted(np.sort(targets), np.arange(len(self.events) + 1)).tolist()
        return starts, [sources[n] for n in order], [kinds[n] for n in order], [weights[n] for n in order]

    def sources(self, row: int) -> Iterator[tuple[int, str, float]]:
        """Yield what led to an event: the row of each source, kind and weight."""
        starts, sources, kinds, weights = self._ways
        for at in range(starts[row], starts[row + 1]):
            yield sources[at], kinds[at], weights[at]

    @cached_property
    def calls(self) -> list[Call]:
        """The calls of tools, in order."""
        pairs = calls.pairs(self.events, ToolCall, ToolResult)
        return [Call(call, result, self._chooser(call)) for call, result in pairs if call is not None]

    @cached_property
    def call_of(self) -> dict[str, Call]:
        """The call, by the id of its event and of its result."""
        both = ((one, event) for one in self.calls for event in (one.call, one.result) if event is not None)
        return {event.id: one for one, event in both}

    @cached_property
    def answers(self) -> list[LLMResponse]:
        """What models answered in words rather than in calls, in order."""
        return [one for one in self.events if isinstance(one, LLMResponse) and said(one) and not one.tool_calls]

    @cached_property
    def last_worked(self) -> dict[str, int]:
        """The row of the last sound result of each tool."""
        results = (one for one in self.events if isinstance(one, ToolResult) and not one.failed and one.suspect is None)
        return {tool_of(one): self.at(one) for one in results}

    @cached_property
    def last_answered(self) -> dict[str | None, int]:
        """The row of the last answer that each agent got of its model."""
        return {one.agent: row for row, one in enumerate(self.events) if isinstance(one, LLMResponse)}

    @cached_property
    def _last_sound(self) -> int:
        return max(self.last_worked.values(), default=-1)

    def is_made_good(self, result: ToolResult) -> bool:
        """Tell whether what a tool could not do was done later: by the same tool or, if it only reads, by any."""
        row, call = self.at(result), self.call_of.get(result.id)
        if self.last_worked.get(tool_of(result), -1) > row:
            return True
        return call is not None and effect_of(call.call) == "read" and self._last_sound > row

    def at(self, event: Event) -> int:
        """Return the place of an event in the order."""
        return self.row[event.id]

    def responsible(self, event: Event) -> Event:
        """Return who is to ask about an event: for what a tool was asked, or answered, that is what chose to ask it."""
        call = self.call_of.get(event.id)
        return event if call is None else call.chosen_by

    def influence(self, symptom: Event) -> dict[str, tuple[float, str | None]]:
        """Return, for each event that led to a symptom, how strongly it did (0 to 1), and the next on the way."""
        reached: dict[str, tuple[float, str | None]] = {}
        ahead: list[tuple[float, int, str | None]] = [(-1.0, -self.row[symptom.id], None)]
        while ahead:
            strength, row, after = heapq.heappop(ahead)
            row = -row
            event_id = self.events[row].id
            if event_id in reached:
                continue
            reached[event_id] = -strength, after
            sources = list(self.sources(row))
            if row and all(kind == "value" for _, kind, _ in sources):
                sources.append((row - 1, "sequence", _SEQUENCE))
            for source, _, weight in sources:
                if source < row:
                    heapq.heappush(ahead, (strength * weight * _DAMPING, -source, event_id))
        return reached

    def _chooser(self, call: ToolCall) -> Event:
        asked = [self.events[source] for source, kind, _ in self.sources(self.row[call.id]) if kind == "asked"]
        return next((one for one in asked if isinstance(one, Decision)), asked[0] if asked else call)


def read(db: Database, session_id: str) -> Trace:
    """Return a session as a diagnosis reads it.

    Raises:
        SessionNotFound: when it is not in the store.
    """
    return Trace(reader.read_session(db, session_id), causality.events_of(db, session_id))


def said(event: Event) -> str:
    """Return what an event tells, as text."""
    return " ".join(texts_in(causality.told(event)))


def tool_of(event: ToolCall | ToolResult) -> str:
    """Return the name of a tool, as text whatever was recorded."""
    return as_text(event.tool_name or event.name)


def answer(result: ToolResult) -> Any:
    """Return what a tool answered, be it an error."""
    return result.result if result.error is None else result.error


def told_by_agent(event: Event) -> str:
    """Return what an agent says itself in an event: why it decides, what it answers, what it calls a tool with."""
    if isinstance(event, Decision):
        return event.reasoning or ""
    if isinstance(event, (LLMResponse, ToolCall)):
        return " ".join(texts_in(event.content if isinstance(event, LLMResponse) else event.arguments))
    return ""


def words(event: Event) -> set[str]:
    """Return the beginnings of the words that an event tells."""
    return words_in(said(event))
