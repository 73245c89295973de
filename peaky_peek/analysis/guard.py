"""A monitor over one run: which action each check, refusal and violation is about, and what gets around them.

Every event is looked at once, and found again by what it says: its values, its words, its policy. So the whole is
linear in the run.
"""

from __future__ import annotations

import re
from typing import Any

from peaky_peek.analysis.actions import Action
from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.stopped import Stopped, values
from peaky_peek.encoding import as_text
from peaky_peek.events import Decision, Event, PolicyViolation, Refusal, SafetyCheck, ToolCall, ToolResult

_OBSTACLE = re.compile(
    r"\b(block\w*|den(y|ied)|refus\w*|reject\w*|forbid\w*|not allowed|prohibit\w*|restrict\w*|prevent\w*|bypass\w*"
    r"|around|nobody checks|unchecked|another way|loophole)\b",
    re.IGNORECASE,
)
"""How somebody speaks of what stands in the way."""
_LONGEST, _QUOTED = 2_000, 120


class Guard:
    """Takes the events of one run in order; `listed` are the actions afterwards.

    Args:
        parent_of: the parent of each event of the run, those that are not fed included.
        asked: positions of the requests to models, in order: a check stands for what follows it until the next.
    """

    def __init__(self, parent_of: dict[str, Any], asked: list[int]) -> None:
        self._parent_of = parent_of
        self._asked = asked[::-1]
        self._actions: list[Action] = []
        self._calls: dict[str, Action] = {}
        self._latest: dict[str, Action] = {}
        self._ahead: list[SafetyCheck] = []
        self._named: dict[str, list[SafetyCheck]] = {}
        self._stopped = Stopped()
        self._meant: dict[str, tuple[Action, Decision]] = {}
        self._done_with: dict[Any, Action] = {}
        self._done_under: dict[str, Action] = {}
        self._last_done: Action | None = None

    def feed(self, event: Event) -> None:
        """Look at the next event."""
        while self._asked and self._asked[-1] < event.position:
            self._asked.pop()
            self._ahead.clear()
        match event:
            case ToolCall():
                self._called(event)
            case ToolResult():
                self._returned(event)
            case SafetyCheck():
                self._checked(event)
            case Refusal():
                self._refused(event)
            case PolicyViolation():
                self._violated(event)
            case Decision():
                self._decided(event)

    def listed(self) -> list[Action]:
        """Return the actions with an effect, and those that anything was said about."""
        said = [action for action in self._actions if action.effect not in (None, "read") or _is_noted(action)]
        waiting = [(name, check) for name, checks in self._named.items() for check in checks]
        said += [Action(name, None, _asked_with(check), [check], [check]) for name, check in waiting]
        return sorted(said, key=lambda action: action.events[0].position)

    def _called(self, call: ToolCall) -> None:
        action = Action(as_text(call.tool_name or call.name), effect_of(call), call.arguments, [call])
        self._actions.append(action)
        self._calls[call.id] = self._latest[action.name or ""] = action
        if isinstance(call.call_id, str):
            self._calls[call.call_id] = action
        if action.effect not in (None, "read"):
            action.checks += [one for one in self._ahead if one.parent_id == call.parent_id]
            self._ahead.clear()
        action.checks += self._named.pop(action.name or "", [])

    def _returned(self, result: ToolResult) -> None:
        action = self._calls.get(result.parent_id or "") or self._calls.get(as_text(result.call_id))
        if action is None:
            name = as_text(result.tool_name or result.name)
            action = Action(name, effect_of(ToolCall(**_place(result), tool_name=name)), None, [result])
            self._actions.append(action)
        else:
            action.events.append(result)
        if action.outcome == "done":
            self._done(action)

    def _done(self, action: Action) -> None:
        """Ask whether what was done is what had been stopped."""
        if action.is_stopped:
            action.ways.append((action, "done although it was stopped", None))
        meant = self._meant.pop(action.name or "", None)
        if meant is not None:
            stopped, decision = meant
            reason = " ".join(as_text(decision.reasoning)[:_QUOTED].split())
            _gets_around(action, stopped, f"then {action.name}: “{reason}”", decision)
        elif action.effect not in (None, "read"):
            found = self._stopped.like(action)
            if found is not None and action.checks and not action.is_stopped:
                found[0].allowed = action
            elif found is not None and found[0] is not action:
                _gets_around(action, found[0], f"then {action.name} {found[1]}", None)
        if action.effect not in (None, "read"):
            self._last_done = action
            self._done_with.update(dict.fromkeys(values(action.arguments), action))
            self._done_under.update({as_text(one.policy_name): action for one in action.checks if not one.failed})

    def _checked(self, check: SafetyCheck) -> None:
        name = _called_in(check.blocked_action) or _asked_in(check.evidence)
        action = self._around(check) or self._still_open(name)
        if action is None and check.failed:
            action = self._same_again(check, name)
        if action is not None:
            action.checks.append(check)
        elif name is None or check.failed:
            action = Action(name, None, _asked_with(check), [check], [check])
            self._actions.append(action)
            if name is None and not check.failed:
                self._ahead.append(check)
        else:
            self._named.setdefault(name, []).append(check)
        if check.failed and action is not None:
            self._stopped.add(action, check.policy_name, check.blocked_action)

    def _refused(self, refusal: Refusal) -> None:
        name = _called_in(refusal.blocked_action)
        action = self._around(refusal) or self._still_open(name) or self._same_again(refusal, name)
        if action is None:
            action = Action(name, None, None, [refusal])
            self._actions.append(action)
        action.refusal = action.refusal or refusal
        self._stopped.add(action, refusal.policy_name, refusal.blocked_action)

    def _violated(self, violation: PolicyViolation) -> None:
        """Find what broke a policy: the action it is in, one with its values, one that the policy let through."""
        policy = as_text(violation.policy_name)
        stopped = self._stopped.by_policy.get(policy)
        shared = [self._done_with[value] for value in values(violation.details) if value in self._done_with]
        action = self._around(violation) or (shared[-1] if shared else self._done_under.get(policy))
        if action is None and stopped is not None and self._last_done is not None:
            is_later = self._last_done.events[0].position > stopped.events[0].position
            action = self._last_done if is_later else None
        if action is None or action.violation is not None:
            action = Action(None, None, violation.details, [violation])
            self._actions.append(action)
        action.violation = violation
        if stopped is not None and stopped is not action:
            broken = f"then {action.name or 'the run'} broke {policy}"
            stopped.ways.append((action, broken, violation))

    def _decided(self, decision: Decision) -> None:
        """Take note of a way around: a reason that speaks of an obstacle and of what was stopped."""
        reason = as_text(decision.reasoning or "")[:_LONGEST]
        chosen = decision.chosen_action
        name = chosen.get("name") or chosen.get("tool_name") if isinstance(chosen, dict) else chosen
        if isinstance(name, str) and _OBSTACLE.search(reason):
            stopped = self._stopped.spoken_of(reason)
            if stopped is not None and _called_in(name) != stopped.name:
                self._meant[_called_in(name) or name] = stopped, decision

    def _around(self, event: Event) -> Action | None:
        """Return the call inside which an event happened, or that it names as what it came from."""
        for known in event.upstream_event_ids:
            if known in self._calls:
                return self._calls[known]
        inside = event.parent_id
        for _ in range(50):  # deeper is no longer about the call
            if inside is None or inside in self._calls:
                break
            inside = self._parent_of.get(inside)
            inside = inside if isinstance(inside, str) else None
        return self._calls.get(inside or "")

    def _still_open(self, name: str | None) -> Action | None:
        action = self._latest.get(name or "")
        return action if action is not None and action.result is None else None

    def _same_again(self, event: SafetyCheck | Refusal, name: str | None) -> Action | None:
        """Return the action that the same policy has just stopped: a refusal follows its check."""
        last = self._stopped.by_policy.get(as_text(event.policy_name))
        same = last is not None and last.name == (name or last.name) and self._actions[-1] is last
        return last if same and event.policy_name is not None else None


def _gets_around(action: Action, stopped: Action, how: str, says: Event | None) -> None:
    action.around = stopped
    stopped.ways.append((action, how, says))


def _is_noted(action: Action) -> bool:
    return bool(action.checks or action.refusal or action.violation or action.around)


def _called_in(said: Any) -> str | None:
    """Return the name in what was blocked: `export_table(hr.salaries)` is a call of `export_table`."""
    text = as_text(said)[:200].partition("(")[0].strip() if said else ""
    return text or None


def _asked_in(evidence: Any) -> str | None:
    """Return the tool that an approval is about, as frameworks write it."""
    for one in evidence if isinstance(evidence, list) else [evidence]:
        request = one.get("request") if isinstance(one, dict) and isinstance(one.get("request"), dict) else one
        if isinstance(request, dict):
            named = request.get("name") or request.get("tool_name")
            return named if isinstance(named, str) else None
    return None


def _asked_with(check: SafetyCheck) -> Any:
    """Return the arguments of what was stopped before it was called, where they were told."""
    said = check.blocked_action
    inside = said.partition("(")[2].rpartition(")")[0] if isinstance(said, str) else ""
    return inside or None


def _place(event: Event) -> dict[str, Any]:
    return {"id": event.id, "session_id": event.session_id, "position": event.position, "name": event.name}
