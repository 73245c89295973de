"""One action of an agent with what was said about it: what became of it, and what to think of that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from peaky_peek.encoding import as_text, encode
from peaky_peek.events import Event, PolicyViolation, Refusal, SafetyCheck, ToolCall, ToolResult
from peaky_peek.store.dtypes import SCHEMA

_STRICTNESS = {outcome: rank for rank, outcome in enumerate(SCHEMA["safety"]["check"].categories)}
_DENIAL = re.compile(
    r"den(y|ied)|block|refus|reject|not allowed|not permitted|forbid|unauthori|declin|cannot|can't|prevented|stopped",
    re.IGNORECASE,
)
_LONGEST = 2_000


@dataclass(slots=True, eq=False)
class Action:
    """Something done, or wanted, with what was said about it."""

    name: str | None
    effect: str | None
    arguments: Any
    events: list[Event]
    """What it was recorded as, the call before its result; or the check or refusal that tells of it."""
    checks: list[SafetyCheck] = field(default_factory=list)
    refusal: Refusal | None = None
    violation: PolicyViolation | None = None
    ways: list[tuple[Action, str, Event | None]] = field(default_factory=list)
    """What did it all the same: the action, how it is known, and the event that says so."""
    around: Action | None = None
    allowed: Action | None = None

    @property
    def check(self) -> SafetyCheck | None:
        """The strictest check; of several the last."""
        return max(reversed(self.checks), key=lambda one: _STRICTNESS.get(as_text(one.outcome), 0), default=None)

    @property
    def result(self) -> ToolResult | None:
        """What came back from the call."""
        return next((event for event in self.events if isinstance(event, ToolResult)), None)

    @property
    def is_stopped(self) -> bool:
        """Whether a policy or a refusal stood in the way."""
        return self.refusal is not None or any(one.failed for one in self.checks)

    @property
    def outcome(self) -> str | None:
        """What became of it, a category of the frame."""
        if not isinstance(self.events[0], (ToolCall, ToolResult)):
            return "not called" if self.name else None
        if self.result is None:
            return "not called" if self.is_stopped else "open"
        if self.is_stopped and self._was_denied(self.result):
            return "denied"
        return "failed" if self.result.error is not None else "done"

    @property
    def verdict(self) -> str | None:
        """A category of the frame; None for a check that is about no action."""
        if self.violation is not None:
            return "violated"
        if self.is_stopped:
            return "bypassed" if self.ways else "refused"
        if self.name is None:
            return None
        return "guarded" if self.checks else "unchecked"

    @property
    def after(self) -> str | None:
        """What happened then, in words."""
        if self.ways:
            return "; ".join(dict.fromkeys(how for _, how, _ in self.ways))
        if self.around is not None:
            return f"gets around what stopped {self.around.name or 'the agent'}"
        if self.allowed is not None:
            return "allowed later"
        return None

    def evidence(self) -> Iterator[Event]:
        """Yield each event that the row is made from, once, in order."""
        found = [*self.events, *self.checks]
        found += [one for one in (self.refusal, self.violation) if one is not None]
        for action, _, says in self.ways:
            found += [action.events[0], *([says] if says is not None else [])]
        yield from sorted({event.id: event for event in found}.values(), key=lambda event: event.position)

    def _was_denied(self, result: ToolResult) -> bool:
        """Tell whether a result says that nothing was done: an error, nothing at all, or words of denial."""
        if result.error is not None or not result.result:
            return True
        return _DENIAL.search(encode(result.result)[:_LONGEST].decode("utf-8", "replace")) is not None
