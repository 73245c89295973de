"""What a graph waited for, and what was decided about it: an approval, given or refused, is a safety check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peaky_peek.capture.recent import Recent

_VERDICTS = {"approve": "pass", "edit": "pass", "respond": "pass", "reject": "block"}


class Pauses:
    """What the conversations wait for, by their thread."""

    def __init__(self) -> None:
        self._waiting = Recent[str, dict[str, Any]](1000)

    def remember(self, thread: str | None, awaits: dict[str, Any]) -> None:
        """Take note of what a graph waits for."""
        if thread is not None:
            self._waiting[thread] = awaits

    def checks(self, thread: str | None, answer: Any) -> list[dict[str, Any]]:
        """Return the safety checks that an answer to what a conversation waited for is made of."""
        awaits = self._waiting.pop(thread, {}) if thread is not None else {}
        return [_check(request, decision) for request, decision in _decisions(awaits, answer) if _is_decision(decision)]

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()


def _decisions(awaits: dict[str, Any], answer: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what was to be approved, as far as this process knows, and what was decided."""
    by_id = answer if isinstance(answer, dict) and answer and awaits.keys() >= answer.keys() else None
    if by_id is None and (not awaits or len(awaits) == 1):
        by_id = dict.fromkeys(awaits or [""], answer)
    for key, said in (by_id or {}).items():
        asked = awaits.get(key)
        if isinstance(said, dict) and isinstance(said.get("decisions"), list):
            requests = asked.get("action_requests") if isinstance(asked, dict) else None
            known = requests if isinstance(requests, list) else []
            for number, decision in enumerate(said["decisions"]):
                yield known[number] if number < len(known) else None, decision
        else:
            yield asked, said


def _is_decision(said: Any) -> bool:
    return isinstance(said, dict) and said.get("type") in _VERDICTS


def _check(request: Any, decision: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `SafetyCheck`."""
    outcome = _VERDICTS[decision["type"]]
    name = request.get("name") if isinstance(request, dict) else None
    return {
        "policy_name": "approval", "outcome": outcome, "rationale": decision.get("message"),
        "blocked_action": name if outcome == "block" else None,
        "evidence": [{"request": request, "decision": decision}],
    }  # fmt: skip
