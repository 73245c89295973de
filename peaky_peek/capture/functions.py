"""What there is to know of a function: its name, its source, and what it is called with, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from peaky_peek.capture import faults, wrapping


class Arguments:
    """Names the arguments of calls of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
            parameters = list(self._signature.parameters.values())
        except Exception:  # noqa: BLE001 - there is none, or its annotations cannot be evaluated yet
            self._signature, parameters = None, []
        plain = all(each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) for each in parameters)
        self._owner = parameters[0].name if parameters and parameters[0].name in ("self", "cls") else None
        self._names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD] if plain else None

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults not included; without `self`, and with `*args` under its name."""
        try:
            if self._names is not None and len(args) <= len(self._names):  # what `bind` would say, ten times as fast
                named = dict(zip(self._names, args, strict=False)) | kwargs
            elif self._signature is not None:
                named = dict(self._signature.bind(*args, **kwargs).arguments)
            else:
                named = _numbered(args) | kwargs
        except TypeError:  # the call itself will say so
            return _numbered(args) | kwargs
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
            return _numbered(args) | kwargs
        if self._owner is not None:
            named.pop(self._owner, None)
        return named


def _numbered(args: tuple[Any, ...]) -> dict[str, Any]:
    return {f"arg{number}": value for number, value in enumerate(args)}


def source_of(function: Callable[..., Any]) -> str | None:
    """Return the source of a function, None where there is none to read."""
    try:
        if (
            function.__code__.co_filename == wrapping.__file__
        ):  # IPython's autoreload takes our wrapper's file for the agent's
            return None
        return inspect.getsource(function)
    except Exception:  # noqa: BLE001 - there is none, it cannot be parsed, the file has changed
        return None


def name_of(function: Any) -> str:
    """Return the name of a function, of what is made into a partial, or of the type of another callable."""
    return str(getattr(getattr(function, "func", function), "__name__", type(function).__name__))
