"""Tells when a module is imported: to load one only in order to patch it would cost the agent time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Act = Callable[[ModuleType], object]
_acts: dict[str, list[Act]] = {}


def when_imported(name: str, act: Act) -> None:
    """Call `act` with the module: now if it is loaded, else right after its import."""
    acts = _acts.setdefault(name, [])
    if act not in acts:
        acts.append(act)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if name in sys.modules:
        act(sys.modules[name])


def forget(name: str, act: Act) -> None:
    """Undo `when_imported`."""
    acts = _acts.get(name, [])
    if act in acts:
        acts.remove(act)
    if not any(_acts.values()) and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


class _Finder:
    """Finds nothing itself, but has what others find call us when it is executed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not _acts.get(name):
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            _tell(name, spec.loader)
        return spec


def _tell(name: str, loader: Any) -> None:
    """Have a loader tell once when it has executed this module; a loader of a whole archive executes others too."""
    before, execute = vars(loader).get("exec_module"), loader.exec_module

    def execute_and_tell(module: ModuleType) -> None:
        execute(module)
        if module.__name__ != name:
            return
        if before is None:
            del loader.exec_module
        else:
            loader.exec_module = before
        for act in list(_acts.get(name, ())):
            act(module)

    loader.exec_module = execute_and_tell


_finder = _Finder()
