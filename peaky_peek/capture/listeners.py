"""Listeners: functions of the user, told of every event of a run while it runs; they may answer with an alert."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, TypeVar, overload

from peaky_peek import ids
from peaky_peek.capture import context, faults
from peaky_peek.capture.alerts import Alert
from peaky_peek.events import BehaviorAlert, Event, EventType

F = TypeVar("F", bound=Callable[[Event], Any])
_ALL = frozenset(map(str, EventType))


@overload
def on_event(function: F, /) -> F: ...
@overload
def on_event(*, types: str | Iterable[str]) -> Callable[[F], F]: ...
def on_event(function: Any = None, /, *, types: str | Iterable[str] | None = None) -> Any:
    """Call a function with every event of the runs of this process, soon after it was recorded.

    Events come one at a time, each once, in the order of recording, those of sub-sessions and child processes too, in
    a thread of their own: the agent waits for nothing. What the function returns is ignored, unless it is an `Alert`.

    Args:
        function: takes the event. Defined again under the same name, in a cell that is run again, it replaces itself.
        types: only events of these types, as a list or a text such as "tool_call tool_result".

    Raises:
        TypeError: if it cannot be called, or only awaited.
        ValueError: if there is no such type.

    Example:
        >>> @on_event(types="error")
        ... def page_me(event):
        ...     return Alert("pager", f"{event.name} happened", severity="critical")
        >>> off_event(page_me)
    """
    wanted = _ALL if types is None else frozenset(types.split() if isinstance(types, str) else map(str, types))
    if strange := sorted(wanted - _ALL):
        raise ValueError(f"There is no event type {strange[0]!r}: the types are {', '.join(EventType)}.")
    if function is None:
        return lambda decorated: _add(decorated, wanted)
    return _add(function, wanted)


def off_event(function: Callable[[Event], Any]) -> None:
    """Call a function no more that `on_event` was given."""
    registered.pop(_key(function), None)


def _add(function: Any, types: frozenset[str]) -> Any:
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"on_event takes a plain function that is given the event, not {function!r}.")
    registered[_key(function)] = Listener(function, types, ids.new_position())
    for session in list(context.open_sessions.values()):
        if context.watch is not None:
            context.watch(session)
    return function


def _key(function: Any) -> Hashable:
    """Return what stays the same when a definition is run again; of a function made by another, only itself does."""
    is_definition = isinstance(function, FunctionType) and "<" not in function.__qualname__
    return (function.__module__, function.__qualname__) if is_definition else function


@dataclass(slots=True, eq=False)
class Listener:
    """A function, the types that it wants, and the position after which events are news to it."""

    function: Callable[[Event], Any]
    types: frozenset[str]
    since: int


registered: dict[Hashable, Listener] = {}
"""What `on_event` was given."""


def tell(event: Event) -> Iterator[Alert]:
    """Tell everyone who wants it of an event, and yield the alerts that they answer with."""
    for listener in list(registered.values()):
        if event.event_type in listener.types and event.position > listener.since:
            try:
                said = listener.function(event)
            except Exception as error:  # noqa: BLE001 - the agent never notices, nor do other listeners
                name = getattr(listener.function, "__qualname__", "a listener")
                faults.note(f"{name} was told of an event and raised", error)
            else:
                if isinstance(said, Alert) and not isinstance(event, BehaviorAlert):  # or alerts would never end
                    yield said
