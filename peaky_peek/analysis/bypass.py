"""Was a policy passed by? It blocks an action, and another tool then gets at the same."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import islice
from typing import Any

from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.findings import Finding, brief, quoted
from peaky_peek.analysis.trace import Call, Trace, answer, told_by_agent
from peaky_peek.events import Event, LLMResponse, Refusal, SafetyCheck
from peaky_peek.store import calls
from peaky_peek.values import texts_in, values_in, words_in

_MOST = 50
"""Blocks that are looked into: for each one the calls that follow are."""


def bypasses(trace: Trace) -> Iterator[Finding]:
    """Yield the choices of a call that reaches for what a policy has just blocked."""
    reached = [_reach(one.call.arguments) for one in trace.calls]
    looked_at = [effect_of(one.call) == "read" for one in trace.calls]
    rows = [trace.at(one.call) for one in trace.calls]
    blocks = [one for one in trace.events if isinstance(one, (SafetyCheck, Refusal)) and one.failed]
    seen = set()
    for block in islice(blocks, _MOST):
        start = bisect(rows, trace.at(block))
        blocked = trace.call_of.get(block.parent_id or "")
        known = (words for words, looks in zip(reached[: start - 1], looked_at, strict=False) if looks)
        wanted = _wanted(trace, block, blocked).difference(*known)
        for number in range(start, len(rows)):
            one = trace.calls[number]
            is_same = blocked is not None and one.tool == blocked.tool  # which asks the policy again by itself
            shared = wanted & reached[number]
            if is_same or not shared or one.result is None or one.chosen_by.id in seen:
                continue
            seen.add(one.chosen_by.id)
            yield _found(block, blocked, one, is_sure=one.is_sound and not all(map(_is_value, shared)))
            break


def _reach(arguments: Any) -> set[str]:
    """Return what a call reaches for: the words and the values that it is given."""
    return words_in(" ".join(texts_in(arguments))).union(values_in(arguments))


def _is_value(reached: str) -> bool:
    return not reached.isalpha()


def _wanted(trace: Trace, block: SafetyCheck | Refusal, blocked: Call | None) -> set[str]:
    """Return what was reached for when the policy said no, by the call it is in, else by what was asked for last."""
    words = words_in((block.blocked_action or "").replace("_", " "))
    if blocked is not None:
        words |= _reach(blocked.call.arguments)
    else:
        before = (trace.events[row] for row in range(trace.at(block) - 1, -1, -1))
        last = next((one for one in before if isinstance(one, LLMResponse) and one.agent == block.agent), None)
        for asked in calls.tool_requests(last.tool_calls if last else None):
            words |= _reach(asked.arguments)
    return words - words_in((block.policy_name or "").replace("_", " "))


def _found(block: SafetyCheck | Refusal, blocked: Call | None, one: Call, *, is_sure: bool) -> Finding:
    policy, what = block.policy_name or "a policy", blocked.tool if blocked else block.blocked_action or "an action"
    because: list[tuple[Event, str]] = [
        (block, f"{policy} blocks {brief(block.blocked_action or what)}"),
        (one.call, f"{one.tool} reaches for the same: {brief(one.call.arguments)}"),
    ]
    if one.result is not None:
        gets = "and gets" if one.is_sound else "and is answered"
        because.append((one.result, f"{gets} {brief(answer(one.result))}"))
    if reason := told_by_agent(one.chosen_by):
        because.insert(1, (one.chosen_by, f"then {one.tool} is chosen: {quoted(reason)}"))
    return Finding(
        event=one.chosen_by,
        mechanism="policy bypass",
        score=0.9 if is_sure else 0.7,
        because=because,
        against=f"{policy} may allow {one.tool}, though it blocks {what}.",
        next_step=f"Let {policy} check {one.tool} as well, or take its access away.",
        shows=one.result if is_sure else None,
    )
