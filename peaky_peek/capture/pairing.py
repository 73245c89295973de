"""Pairs answers with the calls that they answer, for code that records both one by one."""

from __future__ import annotations

from typing import TypeVar

from peaky_peek.capture.context import Scope
from peaky_peek.events import Event, LLMRequest, ToolCall

E = TypeVar("E", bound=Event)
_MOST = 100


def opened(call: E, scope: Scope | None) -> E:
    """Remember a request or tool call until something answers it, and return it."""
    if scope is not None:
        scope.calls.append(call)
        del scope.calls[:-_MOST]
    return call


def closed(
    scope: Scope | None, parent: Event | str | None, tool_name: str | None = None, call_id: str | None = None
) -> Event | None:
    """Return the open call that is answered now, which is then no longer open; None if there is none.

    Args:
        scope: where both are recorded.
        parent: the call, if the caller names it.
        tool_name: the tool that answers; None for a model.
        call_id: tells calls of the same tool apart; without one the latest is meant.
    """
    if scope is None:
        return None
    for call in reversed(scope.calls):
        if call.id == str(parent) if parent is not None else _matches(call, tool_name, call_id):
            scope.calls.remove(call)
            return call
    return None


def _matches(call: Event, tool_name: str | None, call_id: str | None) -> bool:
    if tool_name is None:
        return isinstance(call, LLMRequest)
    if not isinstance(call, ToolCall) or call.tool_name != tool_name:
        return False
    return call_id is None or call.call_id in (None, call_id)
