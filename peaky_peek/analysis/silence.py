"""Did a tool fail in silence? Its answer smells of failure, and the agent goes on as if it had worked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.findings import Finding, brief, denies, quoted
from peaky_peek.analysis.trace import Call, Trace, told_by_agent
from peaky_peek.events import Event, LLMResponse, ToolCall, ToolResult
from peaky_peek.values import values_in, words_in

_MOST = 50
"""Answers that are looked into: each is compared with everything said later."""


class Claim(NamedTuple):
    """An event that speaks of a call: does it name the tool, and tell a value that the call was given?"""

    event: Event
    is_named: bool
    is_shared: bool


def silent_tools(trace: Trace) -> Iterator[Finding]:
    """Yield results that smell of failure, and of which the agent speaks as of success."""
    smelling = ((one, one.result) for one in trace.calls if one.result and one.result.suspect and not one.result.failed)
    found = list(islice(((one, result) for one, result in smelling if not trace.is_made_good(result)), _MOST))
    for (one, result), claims in zip(found, _claims(trace, found), strict=True):
        sure = [claim.event for claim in claims if claim.is_named and claim.is_shared]
        named = [claim.event for claim in claims if claim.is_named]
        speaking = sure or named or [claim.event for claim in claims]
        silent = [] if speaking else _silent(trace, one, result)
        because: list[tuple[Event, str]] = [(result, f"{one.tool} answered {brief(result.result)}: {result.suspect}")]
        shown = dict.fromkeys(speaking[:1] + speaking[-1:])
        because += [(each, f"speaks of it as done: {quoted(told_by_agent(each))}") for each in shown]
        because += [(each, f"says nothing of it: {quoted(told_by_agent(each))}") for each in silent]
        yield Finding(
            event=result,
            mechanism="silent tool failure",
            score=0.9 if sure else 0.55 if named or silent else 0.3 if speaking else 0.2,
            because=because,
            against=f"An empty answer may be how {one.tool} says that it worked.",
            next_step=f"Look in {one.tool} for an exception that it swallows, and let it raise.",
            shows=sure[-1] if sure else None,
        )


def _silent(trace: Trace, one: Call, result: ToolResult) -> list[LLMResponse]:
    """Return the last answer if it follows a call that should have changed something, and mentions no trouble."""
    last = trace.answers[-1:]
    if effect_of(one.call) in (None, "read") or not last or trace.at(last[0]) < trace.at(result):
        return []
    return [] if denies(told_by_agent(last[0])) else last


def _claims(trace: Trace, found: list[tuple[Call, ToolResult]]) -> list[list[Claim]]:
    """Return, for each call, the claims that follow it."""
    names = [words_in(one.tool.replace("_", " ")) for one, _ in found]
    values = [set(values_in(one.call.arguments)) for one, _ in found]
    starts = [trace.at(result) for _, result in found]
    claims: list[list[Claim]] = [[] for _ in found]
    for row in range(min(starts, default=len(trace.events)), len(trace.events)):
        event = trace.events[row]
        text = told_by_agent(event) if isinstance(event, (LLMResponse, ToolCall)) else ""
        if not text or denies(text):
            continue
        spoken, held = words_in(text), set(values_in(text))
        for number, start in enumerate(starts):
            claim = Claim(event, not names[number].isdisjoint(spoken), not values[number].isdisjoint(held))
            if row > start and (claim.is_named or claim.is_shared):
                claims[number].append(claim)
    return claims
