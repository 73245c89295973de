"""The verbs: one `record_*` for each type of event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, TypedDict, TypeVar, Unpack, cast

from peaky_peek import ids
from peaky_peek.capture import context, faults, limits, pairing
from peaky_peek.capture.context import OpenCall, Scope, misplaced, now_us
from peaky_peek.capture.recorder import recorder
from peaky_peek.events import (
    AgentTurn,
    BehaviorAlert,
    Checkpoint,
    Decision,
    Drift,
    Error,
    Event,
    EventType,
    LLMRequest,
    LLMResponse,
    PolicyViolation,
    PromptPolicy,
    Refusal,
    RepairAttempt,
    SafetyCheck,
    ToolCall,
    ToolResult,
)

E = TypeVar("E", bound=Event)
Ids = Iterable[Event | str]


class Common(TypedDict, total=False):
    """What every verb takes besides the fields of its type; events may be given wherever ids are meant."""

    name: str
    agent: str
    data: dict[str, Any]
    metadata: dict[str, Any]
    importance: float
    upstream_event_ids: Ids
    parent_id: Event | str | None
    id: str
    timestamp: dt.datetime
    duration_ms: float | None
    status: str


def emit(cls: type[E], scope: Scope | None, common: Common, typed: dict[str, Any]) -> E:
    """Make an event that belongs to `scope` and record it; without a scope, or with recording off, only make it.

    `typed` are fields of the class; `common` is what the caller gave, and is converted.
    """
    try:
        name = typed.get(_NAMED_AFTER[cls.event_type])
        if type(name) is not str or not name:
            name = cls.kind
        place = ("", None, None) if scope is None else (scope.session.id, scope.parent_id, scope.agent)
        event = cls.of(place, ids.stamp(), name, typed)
        if scope is not None and (scope.inferred or scope.session.ended):
            event.metadata = misplaced(scope)
        for key, value in common.items():
            if value is not None or key == "parent_id":
                try:
                    _set(event, key, value)
                except Exception as error:  # noqa: BLE001 - only this field is lost
                    faults.report(error)
        if scope is not None and scope.session.sampled and not context.paused:
            recorder().record(event)
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return cls(id="", session_id="", position=0, name=cls.kind)
    return event


def _set(event: Event, key: str, value: Any) -> None:
    if key == "parent_id":
        event.parent_id = None if value is None else faults.text(value) or None
    elif key in ("duration_ms", "importance"):
        setattr(event, key, float(value))
    elif key in ("id", "name", "agent", "status"):
        setattr(event, key, faults.text(value))
    elif key == "data":
        event.data = value if issubclass(type(value), dict) else {"value": value}
    elif key == "metadata":
        event.metadata = event.metadata | value
    elif key == "upstream_event_ids":
        event.upstream_event_ids = id_list(value) or []
    elif key == "timestamp":
        event.time_us = round(value.timestamp() * 1_000_000)
    else:
        setattr(event, key, value)


@faults.guarded
def id_list(items: Ids | Event | str | None) -> list[str] | None:
    """Return the ids of events given as events or ids, several or just one."""
    if items is None:
        return None
    given = (items,) if isinstance(items, (str, Event)) else items
    return [known for item in given if (known := faults.text(item))]  # an event that could not be recorded has no id


_NAMED_AFTER = dict.fromkeys(EventType, "name") | {
    "tool_call": "tool_name", "tool_result": "tool_name", "llm_request": "model", "llm_response": "model",
    "decision": "chosen_action", "error": "error_type", "checkpoint": "label", "safety_check": "policy_name",
    "refusal": "policy_name", "policy_violation": "policy_name", "prompt_policy": "template_id",
    "agent_turn": "speaker", "behavior_alert": "alert_type",
}  # fmt: skip
"""The typed field that an event takes its name from, unless the caller gives one."""


class Verbs:
    """Records events into one scope. Every verb returns its event, which may be awaited."""

    _may_stop = True
    """Whether a run beyond its limits is stopped as soon as an answer is recorded."""

    def _scope(self) -> Scope | None:
        raise NotImplementedError

    def record_decision(
        self, reasoning: str | None = None, confidence: float | None = None, chosen_action: Any = None,
        evidence: list[Any] | None = None, evidence_event_ids: Ids | None = None, *,
        alternatives: list[Any] | None = None, **common: Unpack[Common],
    ) -> Decision:  # fmt: skip
        """Record what the agent chose, why, how sure it is, on what evidence, and what else it could have done."""
        typed = {
            "reasoning": reasoning, "confidence": confidence, "chosen_action": chosen_action, "evidence": evidence,
            "evidence_event_ids": id_list(evidence_event_ids), "alternatives": alternatives,
        }  # fmt: skip
        return emit(Decision, self._scope(), common, typed)

    def record_tool_call(
        self, tool_name: str, arguments: Any = None, *, call_id: str | None = None, **common: Unpack[Common]
    ) -> ToolCall:
        """Record that a tool is called."""
        typed = {"tool_name": tool_name, "arguments": arguments, "call_id": call_id}
        scope = self._scope()
        if scope is not None and scope.session.limits is not None:
            limits.stop_if_beyond(scope.session, is_model_call=False)
        return pairing.opened(emit(ToolCall, scope, common, typed), scope)

    def record_tool_result(
        self, tool_name: str, result: Any = None, error: str | None = None, *,
        call_id: str | None = None, **common: Unpack[Common],
    ) -> ToolResult:  # fmt: skip
        """Record what a tool returned, or its `error`."""
        typed = {"tool_name": tool_name, "result": result, "call_id": call_id, "status": "ok"}
        if error is not None:
            typed |= {"error": faults.text(error), "status": "error"}
        scope = self._scope()
        if scope is not None and scope.calls:
            common = _answering(pairing.closed(scope, common, tool_name, call_id), common)
        return emit(ToolResult, scope, common, typed)

    def record_llm_request(
        self, model: str | None = None, messages: list[Any] | None = None, *, tools: list[Any] | None = None,
        settings: dict[str, Any] | None = None, provider: str | None = None, stream: bool | None = None,
        **common: Unpack[Common],
    ) -> LLMRequest:  # fmt: skip
        """Record what a model is asked. A conversation sent again with more at its end costs only what is new."""
        if messages is not None and not issubclass(type(messages), (list, tuple)):
            messages = [{"role": "user", "content": messages}]
        typed = {
            "provider": provider, "model": model, "messages": messages, "tools": tools, "settings": settings,
            "stream": stream,
        }  # fmt: skip
        scope = self._scope()
        if scope is not None and scope.session.limits is not None:
            limits.stop_if_beyond(scope.session)
        return pairing.opened(emit(LLMRequest, scope, common, typed), scope)

    def record_llm_response(
        self, model: str | None = None, content: Any = None, *, tool_calls: list[Any] | None = None,
        usage: dict[str, int | None] | None = None, cost_usd: float | None = None,
        finish_reason: str | None = None, thinking: str | None = None, time_to_first_token_ms: float | None = None,
        complete: bool | None = None, **common: Unpack[Common],
    ) -> LLMResponse:  # fmt: skip
        """Record a model's answer. `usage` may use any provider's names; the cost follows if the price is known."""
        usage = token_usage(usage)
        typed = {
            "model": model, "content": content, "thinking": thinking, "tool_calls": tool_calls, "usage": usage,
            "finish_reason": finish_reason, "time_to_first_token_ms": time_to_first_token_ms, "complete": complete,
            "cost_usd": _price(model, usage) if cost_usd is None else cost_usd, "status": "ok",
        }  # fmt: skip
        scope = self._scope()
        answered = pairing.closed(scope, common)
        response = emit(LLMResponse, scope, _answering(answered, common), typed)
        if scope is not None and scope.session.limits is not None and self._may_stop:
            limits.stop_if_beyond(scope.session)
        return response

    def record_error(
        self,
        error_type: str,
        error_message: str | None = None,
        stack_trace: str | None = None,
        **common: Unpack[Common],
    ) -> Error:
        """Record that something failed."""
        typed = {
            "error_type": error_type, "error_message": error_message, "stack_trace": stack_trace, "status": "error",
        }  # fmt: skip
        return emit(Error, self._scope(), common, typed)

    def record_safety_check(
        self, policy_name: str, outcome: str, risk_level: str | None = None, rationale: str | None = None, *,
        blocked_action: str | None = None, evidence: list[Any] | None = None, **common: Unpack[Common],
    ) -> SafetyCheck:  # fmt: skip
        """Record that a policy looked at an action. `outcome`: pass, fail, warn or block."""
        typed = {
            "policy_name": policy_name, "outcome": outcome, "risk_level": risk_level, "rationale": rationale,
            "blocked_action": blocked_action, "evidence": evidence,
        }  # fmt: skip
        return emit(SafetyCheck, self._scope(), common, typed)

    def record_refusal(
        self, reason: str, policy_name: str | None = None, *, risk_level: str | None = None,
        blocked_action: str | None = None, safe_alternative: str | None = None, **common: Unpack[Common],
    ) -> Refusal:  # fmt: skip
        """Record that the agent or its model declined."""
        typed = {
            "reason": reason, "policy_name": policy_name, "risk_level": risk_level, "blocked_action": blocked_action,
            "safe_alternative": safe_alternative,
        }  # fmt: skip
        return emit(Refusal, self._scope(), common, typed)

    def record_policy_violation(
        self, policy_name: str, violation_type: str | None = None, *, severity: str | None = None, details: Any = None,
        **common: Unpack[Common],
    ) -> PolicyViolation:  # fmt: skip
        """Record that a policy was broken."""
        typed = {
            "policy_name": policy_name, "violation_type": violation_type, "severity": severity, "details": details,
        }  # fmt: skip
        return emit(PolicyViolation, self._scope(), common, typed)

    def record_prompt_policy(
        self, template_id: str, policy_parameters: dict[str, Any] | None = None, *, speaker: str | None = None,
        state_summary: str | None = None, goal: str | None = None, **common: Unpack[Common],
    ) -> PromptPolicy:  # fmt: skip
        """Record the template and parameters that steer the agent from here on."""
        typed = {
            "template_id": template_id, "policy_parameters": policy_parameters, "speaker": speaker,
            "state_summary": state_summary, "goal": goal,
        }  # fmt: skip
        return emit(PromptPolicy, self._scope(), common, typed)

    def record_agent_turn(
        self, agent_id: str, speaker: str | None = None, turn_index: int | None = None, *, goal: str | None = None,
        content: Any = None, **common: Unpack[Common],
    ) -> AgentTurn:  # fmt: skip
        """Record a turn of a conversation."""
        typed = {"agent_id": agent_id, "speaker": speaker, "turn_index": turn_index, "goal": goal, "content": content}
        return emit(AgentTurn, self._scope(), common, typed)

    def record_behavior_alert(
        self, alert_type: str, signal: str | None = None, *, severity: str | None = None,
        related_event_ids: Ids | None = None, **common: Unpack[Common],
    ) -> BehaviorAlert:  # fmt: skip
        """Record that the run behaves oddly."""
        typed = {
            "alert_type": alert_type, "signal": signal, "severity": severity,
            "related_event_ids": id_list(related_event_ids),
        }  # fmt: skip
        return emit(BehaviorAlert, self._scope(), common, typed)

    def record_repair_attempt(
        self, attempted_fix: str, *, validation_result: str | None = None, repair_outcome: str | None = None,
        repair_sequence_id: str | None = None, repair_diff: str | None = None, **common: Unpack[Common],
    ) -> RepairAttempt:  # fmt: skip
        """Record that the agent tried to mend something. `repair_outcome`: success, partial or failure."""
        typed = {
            "attempted_fix": attempted_fix, "validation_result": validation_result, "repair_outcome": repair_outcome,
            "repair_sequence_id": repair_sequence_id, "repair_diff": repair_diff,
        }  # fmt: skip
        return emit(RepairAttempt, self._scope(), common, typed)

    def record_drift(
        self, description: str, *, original_value: Any = None, restored_value: Any = None, severity: str | None = None,
        **common: Unpack[Common],
    ) -> Drift:  # fmt: skip
        """Record that a restored run left the path of the original."""
        typed = {
            "description": description, "original_value": original_value, "restored_value": restored_value,
            "severity": severity,
        }  # fmt: skip
        return emit(Drift, self._scope(), common, typed)

    def checkpoint(
        self, state: Any = None, label: str | None = None, *, memory: Any = None, **common: Unpack[Common]
    ) -> Checkpoint:
        """Record state that the agent could be restored to."""
        return emit(Checkpoint, self._scope(), common, {"label": label, "state": state, "memory": memory})

    create_checkpoint = checkpoint


def _answering(call: OpenCall | None, common: Common) -> Common:
    """Return what an answer has in common with others: under its call, and lasting from it until now unless given."""
    try:
        if call is not None:
            took = None if call.time_us is None else (now_us() - call.time_us) / 1000
            if took is not None and took < 0:  # the clock was set back: nobody knows
                took = None
            given = {key: value for key, value in common.items() if value is not None}
            return cast("Common", {"parent_id": call.id, "duration_ms": took, **given})
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
    return common


_USAGE_NAMES = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
}


def token_usage(usage: Any) -> Any:
    """Return a provider's token counts under the names of `LLMResponse.usage`; what is no dict stays as it is."""
    try:
        if isinstance(usage, dict):
            return {_USAGE_NAMES.get(name, name): count for name, count in usage.items()}
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
    return usage


@faults.guarded
def _price(model: str | None, usage: Any) -> float | None:
    if model is None or not isinstance(usage, dict):
        return None
    from peaky_peek.capture.pricing import cost_usd

    return cost_usd(None, model, usage)
