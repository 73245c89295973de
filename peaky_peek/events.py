"""Events: 17 types, their typed fields, and what counts as failed or suspect: one definition for the whole product."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

from peaky_peek.vocabulary import FAMILIES


class EventType(StrEnum):
    """The observable things. Their order here is part of the widgets' wire contract."""

    AGENT_START = "agent_start"
    AGENT_END = "agent_end"
    LLM_REQUEST = "llm_request"
    LLM_RESPONSE = "llm_response"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    DECISION = "decision"
    ERROR = "error"
    CHECKPOINT = "checkpoint"
    SAFETY_CHECK = "safety_check"
    REFUSAL = "refusal"
    POLICY_VIOLATION = "policy_violation"
    PROMPT_POLICY = "prompt_policy"
    AGENT_TURN = "agent_turn"
    BEHAVIOR_ALERT = "behavior_alert"
    REPAIR_ATTEMPT = "repair_attempt"
    DRIFT = "drift"


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """One observable thing: the fields that every type has.

    Wherever an id is expected, an event may be given; `await event` returns it, so every `record_*` may be awaited.
    """

    event_type: ClassVar[EventType]
    kind: ClassVar[str]
    """The type as plain text, which encodes faster."""
    typed_fields: ClassVar[tuple[str, ...]] = ()

    id: str
    session_id: str
    position: int
    """Orders events; see `peaky_peek.ids`."""
    parent_id: str | None = None
    """The event inside which this one happened."""
    name: str
    agent: str | None = None
    time_us: int | None = None
    """Microseconds since the epoch, UTC; None when unknown."""
    data: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    importance: float | None = None
    """0 to 1; given by the recorder unless the caller gives it."""
    upstream_event_ids: list[str] = field(default_factory=list)
    """Events that caused or informed this one."""
    duration_ms: float | None = None
    status: str | None = None

    @classmethod
    def of(
        cls, place: tuple[str, str | None, str | None], stamp: tuple[int, str, int], name: str, typed: dict[str, Any]
    ) -> Self:
        """Return an event at a third of what `__init__` costs: one is made whenever anything is recorded.

        Args:
            place: session id, parent id and agent.
            stamp: what `ids.stamp` returned.
            name: the event's name.
            typed: the known fields of the type, `status` and `duration_ms`.
        """
        event = object.__new__(cls)
        event.session_id, event.parent_id, event.agent = place
        event.position, event.id, event.time_us = stamp
        event.name = name
        event.data = {}
        event.metadata = {}
        event.upstream_event_ids = []
        event.importance = None
        known = typed.get
        event.status = known("status")
        event.duration_ms = known("duration_ms")
        for field_name in cls.typed_fields:
            setattr(event, field_name, known(field_name))
        return event

    @property
    def timestamp(self) -> dt.datetime | None:
        """When it happened, as an aware UTC datetime; None when unknown."""
        return None if self.time_us is None else _EPOCH + dt.timedelta(microseconds=self.time_us)

    @property
    def failed(self) -> bool:
        """Whether this is a failure."""
        return False

    @property
    def suspect(self) -> str | None:
        """What smells about a completed event, as far as the event alone shows it; None when nothing does."""
        return None

    @property
    def family(self) -> str:
        """The family that colour and icon follow."""
        return "risk" if self.failed else FAMILIES[self.event_type]

    def typed(self) -> dict[str, Any]:
        """Return the fields of the type that are known."""
        known = {}
        for name in self.typed_fields:
            value = getattr(self, name)
            if value is not None:
                known[name] = value
        return known

    def to_dict(self) -> dict[str, Any]:
        """Return every field by name, the type included."""
        base = {name: getattr(self, name) for name in BASE_FIELDS}
        return {
            "event_type": self.event_type.value,
            **base,
            **{name: getattr(self, name) for name in self.typed_fields},
        }

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}{', failed' if self.failed else ''})"

    def __await__(self) -> Generator[None, None, Event]:
        return self
        yield  # type: ignore[unreachable]  # what makes this a generator, as an awaitable must be


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class AgentStart(Event):
    """An agent (a session's root, or a span in it) begins."""

    event_type = EventType.AGENT_START
    input: Any = None
    code: str | None = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class AgentEnd(Event):
    """The agent that its parent started is done."""

    event_type = EventType.AGENT_END
    output: Any = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class LLMRequest(Event):
    """A model is asked."""

    event_type = EventType.LLM_REQUEST
    provider: str | None = None
    model: str | None = None
    messages: list[Any] | None = None
    tools: list[Any] | None = None
    settings: dict[str, Any] | None = None
    stream: bool | None = None


_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "MAX_TOKENS")
_ALSO_SAYS = ("refusal", "embeddings", "audio")
"""What an answer without text may say in its `data`."""


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class LLMResponse(Event):
    """The model answers.

    `usage` counts tokens, in the same way for all providers: input (those read from and written to a cache included),
    output (reasoning included), cache_read, cache_write, reasoning. `data["usage"]` has the provider's own counts.
    """

    event_type = EventType.LLM_RESPONSE
    model: str | None = None
    content: Any = None
    thinking: str | None = None
    tool_calls: list[Any] | None = None
    finish_reason: str | None = None
    usage: dict[str, int | None] | None = None
    cost_usd: float | None = None
    time_to_first_token_ms: float | None = None
    complete: bool | None = None

    @property
    def suspect(self) -> str | None:
        if self.finish_reason in _CUT_OFF:
            return "cut off at the token limit"
        said = _says(self.content) or _says(self.tool_calls) or any(self.data.get(name) for name in _ALSO_SAYS)
        if not said and self.complete is not False and self.status != "error" and self.finish_reason != "pause_turn":
            return "empty answer"
        return None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class ToolCall(Event):
    """A tool is called."""

    event_type = EventType.TOOL_CALL
    tool_name: str | None = None
    arguments: Any = None
    call_id: str | None = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class ToolResult(Event):
    """The tool returns, or fails with `error`."""

    event_type = EventType.TOOL_RESULT
    tool_name: str | None = None
    result: Any = None
    error: str | None = None
    call_id: str | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None

    @property
    def suspect(self) -> str | None:
        if self.error is not None:
            return None
        result = self.result
        if type(result) is dict and result and "error" not in result and "errors" not in result:
            return None  # as nearly every result, and asked whenever one is recorded
        if not _says(result):
            return "empty result"
        if isinstance(result, dict) and any(
            _says(known) and known is not False for known in (result.get("error"), result.get("errors"))
        ):
            return "error in an ok result"
        if isinstance(result, str) and result[:20].lstrip().lower().startswith(_ERROR_WORDS):
            return "error in an ok result"
        return None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class Decision(Event):
    """The agent chooses what to do next."""

    event_type = EventType.DECISION
    reasoning: str | None = None
    confidence: float | None = None
    chosen_action: Any = None
    alternatives: list[Any] | None = None
    evidence: list[Any] | None = None
    evidence_event_ids: list[str] | None = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class Error(Event):
    """An exception, or a failure that a provider reports."""

    event_type = EventType.ERROR
    error_type: str | None = None
    error_message: str | None = None
    stack_trace: str | None = None

    @property
    def failed(self) -> bool:
        return True


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class Checkpoint(Event):
    """Agent state that can be restored."""

    event_type = EventType.CHECKPOINT
    label: str | None = None
    state: Any = None
    memory: Any = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class SafetyCheck(Event):
    """A policy looks at an action. `outcome`: pass, fail, warn, block."""

    event_type = EventType.SAFETY_CHECK
    policy_name: str | None = None
    outcome: str | None = None
    risk_level: str | None = None
    rationale: str | None = None
    blocked_action: str | None = None
    evidence: list[Any] | None = None

    @property
    def failed(self) -> bool:
        return self.outcome in ("fail", "block")


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class Refusal(Event):
    """The agent or its model declines."""

    event_type = EventType.REFUSAL
    reason: str | None = None
    policy_name: str | None = None
    risk_level: str | None = None
    blocked_action: str | None = None
    safe_alternative: str | None = None

    @property
    def failed(self) -> bool:
        return True


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class PolicyViolation(Event):
    """A policy was broken."""

    event_type = EventType.POLICY_VIOLATION
    policy_name: str | None = None
    severity: str | None = None
    violation_type: str | None = None
    details: Any = None

    @property
    def failed(self) -> bool:
        return True


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class PromptPolicy(Event):
    """The template and parameters that steer the agent from here on."""

    event_type = EventType.PROMPT_POLICY
    template_id: str | None = None
    policy_parameters: dict[str, Any] | None = None
    speaker: str | None = None
    state_summary: str | None = None
    goal: str | None = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class AgentTurn(Event):
    """A turn of a conversation."""

    event_type = EventType.AGENT_TURN
    agent_id: str | None = None
    speaker: str | None = None
    turn_index: int | None = None
    goal: str | None = None
    content: Any = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class BehaviorAlert(Event):
    """The run behaves oddly: a loop, a budget crossed."""

    event_type = EventType.BEHAVIOR_ALERT
    alert_type: str | None = None
    severity: str | None = None
    signal: str | None = None
    related_event_ids: list[str] | None = None

    @property
    def failed(self) -> bool:
        return self.severity in ("high", "critical")


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class RepairAttempt(Event):
    """The agent tries to mend something."""

    event_type = EventType.REPAIR_ATTEMPT
    attempted_fix: str | None = None
    validation_result: str | None = None
    repair_outcome: str | None = None
    repair_sequence_id: str | None = None
    repair_diff: str | None = None


@dataclass(slots=True, eq=False, kw_only=True, repr=False)
class Drift(Event):
    """A restored run left the path of the original."""

    event_type = EventType.DRIFT
    description: str | None = None
    original_value: Any = None
    restored_value: Any = None
    severity: str | None = None


def _says(value: Any) -> bool:
    """Tell whether a value is there; an object of the application is not asked, which may be slow, or raise."""
    return value is not None and not (isinstance(value, (str, list, dict, tuple, set)) and len(value) == 0)


_ERROR_WORDS = ("error", "exception", "traceback (most", '{"error"')
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BASE_FIELDS: tuple[str, ...] = tuple(f.name for f in fields(Event))
EVENT_CLASSES: dict[EventType, type[Event]] = {cls.event_type: cls for cls in Event.__subclasses__()}
for _cls in EVENT_CLASSES.values():
    _cls.kind = str(_cls.event_type.value)
    _cls.typed_fields = tuple(f.name for f in fields(_cls) if f.name not in BASE_FIELDS)
