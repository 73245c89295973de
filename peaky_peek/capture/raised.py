"""The exception that a tool raised, made again: of its own class, with what it said and carried."""

from __future__ import annotations

import builtins
import functools
import itertools
from collections.abc import Iterator
from typing import Any

from peaky_peek import encoding

_MARK = "__peaky_peek__"
"""On classes that are made here."""
_LONGEST_LITERAL = 10_000  # characters: a recording may be anybody's, and a parser is no place for all that is in it


def facts(error: BaseException) -> dict[str, Any]:
    """Return what is to be known of an exception besides its name and message: its module, and its attributes."""
    kind = type(error)
    if kind.__module__ == "builtins" and not vars(error):
        return {}
    return {"raised": {"type": f"{kind.__module__}.{kind.__qualname__}", "fields": dict(vars(error))}}


def again(said: str, known: Any) -> Exception:
    """Return the exception that a recorded one was.

    Its class is the one that is loaded; of one that is not, or of a name that several have, a class of that name.

    Args:
        said: Its name and message.
        known: Its `facts`, if they were recorded.

    Example:
        >>> again("KeyError: 'x'", {})
        KeyError('x')
    """
    known = known if isinstance(known, dict) else {}
    name, _, message = said.partition(": ")
    error = _made(_class(name, known.get("type")), message)
    fields = known.get("fields")
    for key, value in fields.items() if isinstance(fields, dict) else ():
        if not isinstance(value, (encoding.Repr, encoding.Cut)):  # only its text is known
            error.__dict__[key] = value
    return error


def _class(name: str, full_name: Any) -> type[Exception]:
    builtin = getattr(builtins, name, None)
    if isinstance(builtin, type) and issubclass(builtin, Exception) and full_name in (None, f"builtins.{name}"):
        return builtin
    alike = [kind for kind in _subclasses(Exception) if kind.__name__ == name and not hasattr(kind, _MARK)]
    same = [kind for kind in alike if f"{kind.__module__}.{kind.__qualname__}" == full_name]
    if same:
        return same[-1]  # the cell that defines it ran again
    return alike[0] if len(alike) == 1 else type(name, (Exception,), {_MARK: True})


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for each in type.__subclasses__(kind):
        yield each
        yield from _subclasses(each)


def _made(kind: type[Exception], message: str) -> Exception:
    """Return an exception of a class that says what was said, whatever the class wants to be made of."""
    bare: Any = functools.partial(kind.__new__, kind)  # for an `__init__` that asks for more than there is
    for make, argument in itertools.product((kind, bare), (message, _literal(message))):
        try:
            error: Exception = make(argument) if message else make()
            if str(error) == message:
                return error
        except Exception:  # noqa: BLE001, S112 - it cannot be made of this
            continue
    own = {"__module__": kind.__module__, _MARK: True}
    try:
        saying: Any = type(kind.__name__, (kind,), {**own, "__str__": lambda _: message})
        made: Exception = saying.__new__(saying)
    except Exception:  # noqa: BLE001 - nor so
        made = type(kind.__name__, (Exception,), own)(message)
    return made


def _literal(message: str) -> Any:
    """Return what a `KeyError` was raised with: it says the `repr` of it."""
    import ast  # only a tape that is played needs it

    try:
        return ast.literal_eval(message) if len(message) <= _LONGEST_LITERAL else message
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return message
