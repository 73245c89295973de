"""What broke: calls that failed and were not made good, and the step before an exception."""

from __future__ import annotations

import re
from collections.abc import Iterator

from peaky_peek.analysis.findings import Finding, brief
from peaky_peek.analysis.trace import Trace
from peaky_peek.encoding import as_text
from peaky_peek.events import Decision, Error, Event, LLMResponse, ToolCall

_OUTSIDE = re.compile(
    r"timeout|timed out|connection|unavailable|rate.?limit|too many requests|\b50[0-4]\b|\b429\b", re.IGNORECASE
)
"""What an error says that is not the caller's fault."""


def failed_calls(trace: Trace, symptom: Event) -> Iterator[Finding]:
    """Yield what led to calls that failed until the symptom and were not made good."""
    for one in trace.calls:
        result = one.result
        if result is None or not result.failed:
            continue
        if result is not symptom and trace.is_made_good(result):
            continue
        if trace.at(result) > trace.at(symptom):
            return
        is_outside = _OUTSIDE.search(result.error or "") is not None
        try_it = f"Call {one.tool} with these arguments yourself."
        yield Finding(
            event=result if is_outside else one.chosen_by,
            mechanism="tool or service down" if is_outside else "failed call",
            score=0.6 if is_outside else 0.4,
            because=[
                (result, f"{one.tool} failed: {brief(result.error)}"),
                (one.call, f"it was called with {brief(one.call.arguments)}"),
            ],
            against="Another way may have been open." if is_outside else "Its arguments may have gone wrong earlier.",
            next_step=f"Say in the prompt what to do when {one.tool} is down." if is_outside else try_it,
        )


def exceptions(trace: Trace, symptom: Event) -> Iterator[Finding]:
    """Yield, for an exception that ended the run, the step before it."""
    if not isinstance(symptom, Error):
        return
    steps = (one for one in reversed(trace.events) if isinstance(one, (Decision, LLMResponse, ToolCall)))
    step = next((one for one in steps if trace.at(one) < trace.at(symptom)), None)
    if step is not None:
        raised = f"{as_text(symptom.error_type or 'error')}: {brief(symptom.error_message or '')}"
        yield Finding(
            event=trace.responsible(step),
            mechanism="step before the exception",
            score=0.3,
            because=[(symptom, raised), (step, "the last step before it")],
            against="The code around the agent may be at fault, rather than a step of it.",
            next_step="Read the stack trace of the exception from its end.",
        )
