"""Pairs answers with the calls that they answer, for code that records both one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from peaky_peek.capture import faults
from peaky_peek.capture.context import OpenCall, Scope
from peaky_peek.events import LLMRequest, ToolCall

C = TypeVar("C", LLMRequest, ToolCall)
_MOST = 100


def opened(call: C, scope: Scope | None) -> C:
    """Remember a request or tool call until something answers it, and return it."""
    try:
        if scope is not None:
            tool_name, call_id = (call.tool_name or "", call.call_id) if isinstance(call, ToolCall) else (None, None)
            scope.calls.append(OpenCall(call.id, call.time_us, tool_name, call_id))
            del scope.calls[:-_MOST]
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
    return call


def closed(
    scope: Scope | None, common: Mapping[str, Any], tool_name: str | None = None, call_id: str | None = None
) -> OpenCall | None:
    """Return the open call that is answered now, which is then no longer open; None if there is none.

    Args:
        scope: where both are recorded.
        common: what the caller gave; its `parent_id` may name the call.
        tool_name: the tool that answers; None for a model.
        call_id: tells calls of the same tool apart; without one the latest is meant.
    """
    try:
        if scope is None or not scope.calls:
            return None
        parent = common.get("parent_id")
        for call in reversed(scope.calls):
            if call.id == faults.text(parent) if parent is not None else _matches(call, tool_name, call_id):
                try:
                    scope.calls.remove(call)
                except ValueError:  # another thread's answer was faster
                    continue
                return call
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
    return None


def _matches(call: OpenCall, tool_name: str | None, call_id: str | None) -> bool:
    return call.tool_name == tool_name and (call_id is None or call.call_id in (None, call_id))
