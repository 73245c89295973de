"""Was a policy passed by? It blocks an action, and another tool then gets at the same."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import islice

from peaky_peek.analysis.findings import Finding, brief, quoted
from peaky_peek.analysis.trace import Call, Trace, told_by_agent
from peaky_peek.events import Event, Refusal, SafetyCheck
from peaky_peek.values import texts_in, words_in

_MOST = 50
"""Blocks that are looked into: for each one the calls that follow are."""


def bypasses(trace: Trace) -> Iterator[Finding]:
    """Yield the choices of a call that reaches for what a policy has just blocked, and gets it."""
    reached = [words_in(" ".join(texts_in(one.call.arguments))) for one in trace.calls]
    rows = [trace.at(one.call) for one in trace.calls]
    blocks = [one for one in trace.events if isinstance(one, (SafetyCheck, Refusal)) and one.failed]
    seen = set()
    for block in islice(blocks, _MOST):
        start = bisect(rows, trace.at(block))
        blocked = trace.call_of.get(block.parent_id or "")
        wanted = _wanted(block, blocked).difference(*reached[: start - 1])
        for number in range(start, len(rows)):
            one = trace.calls[number]
            is_same = blocked is not None and one.tool == blocked.tool  # which asks the policy again by itself
            if is_same or wanted.isdisjoint(reached[number]) or not one.is_sound or one.chosen_by.id in seen:
                continue
            seen.add(one.chosen_by.id)
            yield _found(block, blocked, one)
            break


def _wanted(block: SafetyCheck | Refusal, blocked: Call | None) -> set[str]:
    """Return what was reached for when the policy said no, in words."""
    words = words_in((block.blocked_action or "").replace("_", " "))
    if blocked is not None:
        words |= words_in(" ".join(texts_in(blocked.call.arguments)))
    return words - words_in((block.policy_name or "").replace("_", " "))


def _found(block: SafetyCheck | Refusal, blocked: Call | None, one: Call) -> Finding:
    policy, what = block.policy_name or "a policy", blocked.tool if blocked else "an action"
    because: list[tuple[Event, str]] = [
        (block, f"{policy} blocks {brief(block.blocked_action or what)}"),
        (one.call, f"{one.tool} reaches for the same: {brief(one.call.arguments)}"),
    ]
    if one.result is not None:
        because.append((one.result, f"and gets it: {brief(one.result.result)}"))
    if reason := told_by_agent(one.chosen_by):
        because.insert(1, (one.chosen_by, f"then {one.tool} is chosen: {quoted(reason)}"))
    return Finding(
        event=one.chosen_by,
        mechanism="policy bypass",
        score=0.9,
        because=because,
        against=f"{policy} may allow {one.tool}, though it blocks {what}.",
        next_step=f"Let {policy} check {one.tool} as well, or take its access away.",
        shows=one.result,
    )
