"""What went wrong, as far as it shows: the event at which somebody noticed, or could have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from peaky_peek.analysis.findings import Finding, brief, denies, quoted
from peaky_peek.analysis.trace import Trace, said
from peaky_peek.causality import told
from peaky_peek.encoding import as_text
from peaky_peek.events import AgentEnd, AgentTurn, BehaviorAlert, Error, Event, LLMResponse, PolicyViolation, ToolResult

_WORST = (PolicyViolation, Error, BehaviorAlert, ToolResult)
"""What was not made good, the worst first."""
_SURE = 0.9
_PEOPLE = ("user", "human", "customer")


@dataclass(frozen=True, slots=True)
class Symptom:
    """Where a failure shows, and what it is in a sentence."""

    event: Event
    says: str


def symptom(trace: Trace, findings: Iterable[Finding] = ()) -> Symptom | None:
    """Return where a failure shows; None when nothing failed, or all that did was made good.

    A run that somebody called a pass has none; one that was called a failure always has one, unless it has no events.

    Args:
        trace: the session.
        findings: causes that show by themselves.
    """
    session = trace.session
    if session.outcome == "pass" or not trace.events:
        return None
    for kind in _WORST:
        left = [one for one in trace.events if isinstance(one, kind) and one.failed and not _made_good(trace, one)]
        if left:
            return Symptom(left[-1], in_words(left[-1]))
    shown = next((one for one in findings if one.shows is not None and one.score >= _SURE), None)
    if shown is not None and shown.shows is not None:
        return Symptom(shown.shows, in_words(shown.shows))
    if session.outcome == "fail":
        event = _noticed(trace)
        return Symptom(event, f"{session.note}: {in_words(event)}" if session.note else in_words(event))
    if session.status in ("failed", "interrupted"):
        last = trace.events[-1]
        return Symptom(last, f"the run {'failed' if session.status == 'failed' else 'was interrupted'} here")
    return None


def in_words(event: Event) -> str:
    """Return what an event shows, as a clause."""
    if isinstance(event, Error):
        return f"{as_text(event.error_type or 'error')}: {brief(event.error_message or '')}"
    if isinstance(event, ToolResult):
        return (
            f"{event.name} failed: {brief(event.error)}"
            if event.error is not None
            else f"{event.name} answered {brief(event.result)}"
        )
    if isinstance(event, PolicyViolation):
        policy = as_text(event.policy_name or "a policy")
        return f"{policy} was violated: {brief(event.violation_type or event.details or '')}"
    if isinstance(event, (LLMResponse, AgentEnd)):
        return f"the answer is {quoted(said(event))}"
    return f"{event.name}: {brief(said(event))}"


def _made_good(trace: Trace, event: Event) -> bool:
    """Tell whether what failed worked later: the tool, or the model for the same agent."""
    if isinstance(event, ToolResult):
        return trace.is_made_good(event)
    if isinstance(event, Error):
        return trace.session.status == "completed" and trace.last_answered.get(event.agent, -1) > trace.at(event)
    return False


def _noticed(trace: Trace) -> Event:
    """Return what shows that a run is bad: what the program saw after the last word of an agent, else that word."""
    turns = (one for one in reversed(trace.events) if _speaks_for_an_agent(one))
    last = max([*trace.answers[-1:], *islice(turns, 1)], key=trace.at, default=None)
    after = trace.at(last) if last is not None else -1
    seen = [one for one in trace.events[after + 1 :] if isinstance(one, ToolResult) and _is_negative(one)]
    return seen[-1] if seen else last or trace.events[-1]


def _speaks_for_an_agent(event: Event) -> bool:
    return isinstance(event, AgentTurn) and (event.agent_id or event.speaker or event.name) not in _PEOPLE


def _is_negative(result: ToolResult) -> bool:
    stack = [told(result)]
    while stack:
        one = stack.pop()
        if one is False or (isinstance(one, str) and denies(one)):
            return True
        stack += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return False
