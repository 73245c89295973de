"""The type of what a tool returned: the recording has data, and the code that a tape plays to wants its own objects.

Beside the data it is said what it was (`kind`). To make it again nothing is taken from the recording but data: classes
are those that the tool itself names in its return annotation.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import inspect
import types
import typing
import uuid
from collections.abc import Callable
from enum import Enum
from typing import Any

from peaky_peek import encoding

_DATA = (type(None), str, int, float, bytes, dict, list, dt.date, dt.time, dt.timedelta)
"""What the recording gives back as it was; of their subclasses, what they have in common with these."""
_MADE: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple, "set": set, "frozenset": frozenset, "bytearray": bytearray, "UUID": uuid.UUID,
}  # fmt: skip


def kind(value: Any) -> str | None:
    """Return what a value is that is recorded as something else: it, or what it holds; None if it is what it seems.

    >>> kind({"sky": "rain"}), kind((1, 2)), kind([(1, 2)])
    (None, 'tuple', 'list of tuple')
    """
    outer = type(value)
    if not issubclass(outer, _DATA):
        return outer.__qualname__
    inside = value if outer is list else value.values() if outer is dict else ()
    odd = {each.__qualname__ for each in set(map(type, inside)) if not issubclass(each, _DATA)}
    return f"{outer.__name__} of {' or '.join(sorted(odd))}" if odd else None


def again(value: Any, was: str | None, function: Callable[..., Any] | None) -> Any:
    """Return a recorded value as what it was.

    Args:
        value: As recorded.
        was: Its `kind` then.
        function: What returned it.

    Raises:
        ValueError: nothing says how to make it.
    """
    hint = _hint(function)
    if hint is not None:
        try:
            made = shaped(value, hint)
            if kind(made) == was and encoding.encode(made) == encoding.encode(value):
                return made
        except Exception:  # noqa: BLE001 - it is another type than the tool says, or one that cannot be made of its data
            hint = None
    outer, _, inner = (was or "").rpartition(" of ")
    make = _MADE.get(inner)
    if was is None:
        return value
    if make is None:
        raise ValueError(was)
    if outer == "list":
        return [make(item) if isinstance(item, (list, str, bytes)) else item for item in value]
    if outer == "dict":
        return {key: make(item) if isinstance(item, (list, str, bytes)) else item for key, item in value.items()}
    return make(value)


def shaped(value: Any, hint: Any) -> Any:
    """Return data as the type that a hint says: a data class, a pydantic model, a tuple, a list of these, ...

    >>> shaped([[1, "a"]], list[tuple[int, str]])
    [(1, 'a')]
    """
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin is typing.Annotated:
        return shaped(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, args)
    if value is None or not isinstance(origin, type):
        return value
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        return origin(*map(shaped, value, _hints(origin, origin._fields)))
    if origin is tuple and args and args[-1] is not ...:
        return tuple(map(shaped, value, args))
    if origin in (tuple, set, frozenset, list, collections.abc.Sequence, collections.abc.Iterable):
        items = [shaped(item, args[0]) for item in value] if args else value
        return _MADE[origin.__name__](items) if origin in (tuple, set, frozenset) else items
    if origin in (dict, collections.abc.Mapping) and args:
        return {key: shaped(item, args[1]) for key, item in value.items()}
    return _object(value, origin)


def _one_of(value: Any, hints: tuple[Any, ...]) -> Any:
    for hint in hints:
        try:
            made = shaped(value, hint)
            named = typing.get_origin(hint) or hint
            if isinstance(made, named) and encoding.encode(made) == encoding.encode(value):
                return made
        except Exception:  # noqa: BLE001, S112 - it is another one
            continue
    return value


def _object(value: Any, cls: type) -> Any:
    if dataclasses.is_dataclass(cls):
        made = object.__new__(cls)  # what its `__init__` does was done
        names = [field.name for field in dataclasses.fields(cls)]
        for name, hint in zip(names, _hints(cls, names), strict=True):
            object.__setattr__(made, name, shaped(value[name], hint))
        return made
    if (validate := getattr(cls, "model_validate", None)) is not None:
        try:
            return validate(value, by_name=True)
        except TypeError:  # an older pydantic
            return validate(value)
    return cls(value) if issubclass(cls, (Enum, uuid.UUID)) else value


def _hints(cls: type, names: typing.Iterable[str]) -> list[Any]:
    known = typing.get_type_hints(cls)
    return [known.get(name) for name in names]


def _hint(function: Callable[..., Any] | None) -> Any:
    """Return what a function says that it returns; a generator, the list of what it yields."""
    if function is None:
        return None
    try:
        hint = typing.get_type_hints(inspect.unwrap(function)).get("return")
    except Exception:  # noqa: BLE001 - an annotation cannot be evaluated
        return None
    args = typing.get_args(hint)
    if typing.get_origin(hint) in (collections.abc.Coroutine, collections.abc.Awaitable):
        return args[-1]
    is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    return list[args[0]] if is_generator and args else hint  # type: ignore[valid-type]
