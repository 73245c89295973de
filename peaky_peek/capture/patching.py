"""Replaces methods of other libraries by ours, as soon as those are imported, and puts them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from peaky_peek.capture import faults
from peaky_peek.capture.imports import forget, when_imported

Method = Callable[..., Any]


class Patch(NamedTuple):
    """Methods of one class, and what makes ours of each."""

    module: str
    owner: str
    names: tuple[str, ...]
    wrap: Callable[[Method], Method]


class _Applied(NamedTuple):
    original: Method
    ours: Method
    is_inherited: bool


class Patches:
    """Patches that are installed together, and undone together."""

    def __init__(self, *patches: Patch) -> None:
        self.installed = False
        self.applied: dict[tuple[type, str], _Applied] = {}
        """By class and name of the method."""
        self._patches = patches
        self._modules = dict.fromkeys(patch.module for patch in patches)

    def install(self) -> None:
        """Patch what is imported, and what will be. Doing it twice changes nothing."""
        self.installed = True
        for name in self._modules:
            when_imported(name, self._apply)

    def uninstall(self) -> None:
        """Put everything back. Where another tool has patched on top of us, ours stays below it."""
        self.installed = False
        for name in self._modules:
            forget(name, self._apply)
        for (owner, name), applied in list(self.applied.items()):
            if owner.__dict__.get(name) is applied.ours:
                if applied.is_inherited:
                    delattr(owner, name)
                else:
                    setattr(owner, name, applied.original)
                del self.applied[owner, name]

    @faults.guarded
    def _apply(self, module: ModuleType) -> None:
        for patch in self._patches:
            if patch.module != module.__name__ or not hasattr(module, patch.owner):  # it is only half imported
                continue
            owner = getattr(module, patch.owner)
            for name in patch.names:
                if (owner, name) not in self.applied:
                    original = getattr(owner, name)
                    ours = functools.wraps(original)(patch.wrap(original))
                    self.applied[owner, name] = _Applied(original, ours, name not in owner.__dict__)
                    setattr(owner, name, ours)
