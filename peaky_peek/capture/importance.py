"""How much an event matters to someone who looks for what went wrong: 0 to 1."""

from __future__ import annotations

from peaky_peek.capture import faults
from peaky_peek.events import Decision, Event, EventType, LLMResponse, SafetyCheck, ToolResult

_BASE = {
    "policy_violation": 0.92, "error": 0.90, "behavior_alert": 0.88, "refusal": 0.85, "safety_check": 0.75,
    "decision": 0.70, "checkpoint": 0.60, "tool_result": 0.50, "llm_response": 0.50, "prompt_policy": 0.45,
    "agent_turn": 0.45, "tool_call": 0.40, "agent_start": 0.20, "agent_end": 0.20,
}  # fmt: skip
BASE: dict[EventType, float] = {kind: _BASE.get(kind, 0.30) for kind in EventType}


def importance(event: Event) -> float:
    """Return the importance that the type, the outcome, the cost, the duration and the confidence give an event.

    Costs count from $0.01 up to $0.10, durations from 1 s up to 10 s, each for at most 0.15; a decision counts the
    more, the farther its confidence is from an even guess, for at most 0.30.
    """
    score = BASE[event.event_type]
    try:
        kind = type(event)
        if kind is ToolResult:
            if event.failed:
                score += 0.40
        elif kind is Decision:
            confidence = event.confidence  # type: ignore[attr-defined]
            if isinstance(confidence, (int, float)):
                score += 0.30 * min(1.0, 2 * abs(0.5 - confidence))
        elif kind is LLMResponse:
            cost = event.cost_usd  # type: ignore[attr-defined]
            if isinstance(cost, (int, float)) and cost > 0.01:
                score += 0.15 * min(cost / 0.10, 1.0)
        elif kind is SafetyCheck and event.outcome != "pass":  # type: ignore[attr-defined]
            score += 0.10
        duration = event.duration_ms
        if duration is not None and duration > 1000:
            score += 0.15 * min(duration / 10_000, 1.0)
    except Exception as error:  # noqa: BLE001 - what cannot be looked at makes it neither more nor less important
        faults.report(error)
    return min(1.0, score)
