"""What a policy or a refusal has stopped, and how it is known again when somebody does it after all."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from peaky_peek.analysis.actions import Action
from peaky_peek.analysis.effects import words
from peaky_peek.encoding import as_text

_NAMES = re.compile(r"[\w.@/:-]{4,}")
_MOST_VALUES, _LONGEST = 200, 2_000


class Stopped:
    """What was stopped, found again by its values, its words and its policy; the last of each."""

    def __init__(self) -> None:
        self.by_policy: dict[str, Action] = {}
        self._by_value: dict[Any, Action] = {}
        self._by_word: dict[str, Action] = {}

    def add(self, action: Action, policy: str | None, named: str | None) -> None:
        """Remember a stopped action."""
        if policy is not None:
            self.by_policy[as_text(policy)] = action
        self._by_value.update(dict.fromkeys(values([action.arguments, named]), action))
        self._by_word.update({word: action for word in words(action.name or "") if len(word) > 3})

    def like(self, action: Action) -> tuple[Action, str] | None:
        """Return the stopped action that has most of its values in common with this one, and how that is said."""
        found = Counter(self._by_value[value] for value in values(action.arguments) if value in self._by_value)
        for stopped, shared in found.most_common(1):
            known = len(values([stopped.arguments, getattr(stopped.check, "blocked_action", None)]))
            if stopped.name == action.name and shared * 2 >= known:
                return stopped, "again"
            if shared * 2 > known:
                return stopped, "with the same values"
        return None

    def spoken_of(self, reason: str) -> Action | None:
        """Return the stopped action whose name a text has a word of."""
        return next((self._by_word[word] for word in words(reason) if word in self._by_word), None)


def values(said: Any) -> dict[Any, None]:
    """Return the values by which an action is known again: names, addresses, ids, numbers of three digits and more."""
    found: dict[Any, None] = {}
    todo = [said]
    while todo and len(found) < _MOST_VALUES:
        one = todo.pop()
        if isinstance(one, dict):
            todo += list(one.values())[:_MOST_VALUES]
        elif isinstance(one, (list, tuple)):
            todo += one[:_MOST_VALUES]
        elif isinstance(one, str) and " " not in one and "(" not in one:
            found |= {one.lower(): None} if len(one) > 3 else {}
        elif isinstance(one, str):
            known = (name.lower() for name in _NAMES.findall(one[:_LONGEST]))
            found |= {name: None for name in known if re.search(r"\d|\w[.@/:-]\w", name)}
        elif isinstance(one, (int, float)) and not isinstance(one, bool) and abs(one) >= 100:
            found[one] = None
    return found
