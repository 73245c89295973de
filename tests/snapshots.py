"""What modules and their classes hold, to see whether anything in them was exchanged, added or taken away."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from os import sep
from types import CellType, FunctionType, MethodType
from typing import Any

STANDARD = (
    "sys", "threading", "concurrent", "multiprocessing", "subprocess", "asyncio", "logging", "importlib", "builtins",
)  # fmt: skip

Held = dict[tuple[str, ...], Any]
"""Made without `isinstance`, which asks objects for their class: lazy ones would load what they stand for."""


def held(*packages: str) -> Held:
    """Every attribute of the loaded modules of these packages, and of each class in them, by its path.

    What is in lists, dictionaries and sets is part of it: registries of callbacks are. So are lists that the
    packages' own objects have, as a dispatcher does.
    """
    found: Held = {}
    for name, module in sorted(sys.modules.items()):
        if module is not None and name.partition(".")[0] in packages:
            loader = getattr(module, "__loader__", None)
            found[name, "loader"] = loader, list(vars(loader or object).items())
            for attribute, value in list(vars(module).items()):
                if attribute not in _MOVING:
                    found[name, attribute] = _content(value)
                    if issubclass(type(value), type) and value.__module__ == name:
                        found |= {(name, attribute, key): _content(item) for key, item in list(vars(value).items())}
                    elif str(type(value).__module__).partition(".")[0] in packages:
                        found |= {(name, attribute, key): _content(item) for key, item in _lists_of(value)}
    return found


def _lists_of(value: Any) -> list[tuple[str, Any]]:
    try:
        kept = object.__getattribute__(value, "__dict__")
    except AttributeError:  # it has slots
        return []
    return [(key, item) for key, item in list(kept.items()) if type(item) is list]


def changes(before: Held, after: Held) -> dict[str, Any]:
    """What is not the very same object, or does not contain the very same objects, in the modules that were there."""
    loaded = {path[0] for path in before}
    return {
        ".".join(path): (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if path[0] in loaded and not _is_same(before.get(path, _NOTHING), after.get(path, _NOTHING))
    }


def ours(found: Held) -> list[str]:
    """The paths of everything that is a function or an object of Peaky Peek, or holds one."""
    return sorted(
        ".".join(path) for path, (value, items) in found.items() if any(map(_is_ours, [value, *_flat(items or ())]))
    )


def _flat(items: Any) -> Iterator[Any]:
    for item in items:
        yield from item if type(item) is tuple else (item,)


def _is_ours(value: Any) -> bool:
    while type(value) in (partial, MethodType):
        value = value.func if type(value) is partial else value.__func__
    if type(value) is FunctionType:  # even where it pretends to be another
        called = [cell.cell_contents for cell in value.__closure__ or () if _is_function(cell)]
        return any(f"{sep}peaky_peek{sep}" in each.__code__.co_filename for each in (value, *called))
    if type(value) is ContextVar:
        return value.name.startswith("peaky_peek")
    return str(type(value).__module__).startswith("peaky_peek")  # of classes of Cython's it is no text


_NOTHING = object()
_MOVING = {"modules", "path_importer_cache", "_shutdown_locks", "_dangling", "__warningregistry__", "__builtins__"}
"""Changes as Python works."""


def _is_function(cell: CellType) -> bool:
    try:
        return type(cell.cell_contents) is FunctionType
    except ValueError:  # it is empty
        return False


def _content(value: Any) -> Any:
    if type(value) is dict:
        return value, list(value.items())
    if type(value) in (list, set, tuple, frozenset):
        return value, list(value)
    return value, None


def _is_same(one: Any, other: Any) -> bool:
    if one is _NOTHING or other is _NOTHING:
        return one is _NOTHING and not _is_ours(other[0])  # modules load some of their attributes when asked for them
    if type(one[0]) is MethodType:  # IPython binds its hook anew for each statement
        return bool(one[0] == other[0])
    if one[0] is not other[0]:
        return False
    return one[1] is other[1] or (
        len(one[1]) == len(other[1]) and all(_is_item(a, b) for a, b in zip(one[1], other[1], strict=True))
    )


def _is_item(one: Any, other: Any) -> bool:
    if type(one) is tuple and type(other) is tuple:  # an item of a dictionary
        return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
    return one is other
