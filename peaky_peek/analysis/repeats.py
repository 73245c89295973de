"""Was a tool called again and again, though it told nothing new?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.findings import Finding, brief, quoted
from peaky_peek.analysis.trace import Call, Trace, answer, said, told_by_agent
from peaky_peek.encoding import encode
from peaky_peek.events import Decision, Event

_LEAST = 3


def loops(trace: Trace) -> Iterator[Finding]:
    """Yield the first choice of a tool that is then called three times in a row or more and tells nothing new."""
    called = {one.tool for one in trace.calls}
    for _, group in groupby(trace.calls, key=lambda one: one.tool):
        repeats = list(group)
        if len(repeats) >= _LEAST and _is_idle(repeats):
            yield _found(repeats, called)


def _is_idle(repeats: list[Call]) -> bool:
    """Tell whether calls in a row got nowhere; to change something for each of many is no loop."""
    reads = effect_of(repeats[0].call) in (None, "read", "execute")
    again = len({encode(one.call.arguments) for one in repeats}) < len(repeats)
    return (reads or again) and not any(_tells_new(earlier, later) for earlier, later in pairwise(repeats))


def _tells_new(earlier: Call, later: Call) -> bool:
    """Tell whether a later answer holds what neither the earlier one nor its own question does."""
    if earlier.result is None or later.result is None:
        return True
    known = _words(earlier.result) | _words(later.call)
    return bool(_words(later.result) - known)


def _words(event: Event) -> set[str]:
    return set(said(event).lower().split())


def _found(repeats: list[Call], called: set[str]) -> Finding:
    first, tool = repeats[0], repeats[0].tool
    offered = first.chosen_by.alternatives if isinstance(first.chosen_by, Decision) else None
    told = "" if first.result is None else said(first.result)
    others = (name for name in offered or [] if isinstance(name, str) and name not in called)
    named = next((name for name in others if name in told), None)
    reason = told_by_agent(first.chosen_by)
    because: list[tuple[Event, str]] = [(first.chosen_by, f"chooses {tool}{f': {quoted(reason)}' if reason else ''}")]
    if first.result is not None:
        names = f"the answer names {named}, which is on offer and never called"
        because.append((first.result, names if named else f"{tool} answers {brief(answer(first.result))}"))
    because.append((repeats[-1].call, f"call {len(repeats)} of {tool} in a row; none told anything new"))
    other = f", and that {named} does" if named else ""
    return Finding(
        event=first.chosen_by,
        mechanism="loop",
        score=0.9 if named else 0.7,
        because=because,
        against=f"The first calls of {tool} may have been worth a try.",
        next_step=f"Say in the description of {tool} what it cannot find{other}; stop after three answers alike.",
    )
