"""Replaces methods of other libraries by ours, as soon as those are imported, and puts them back."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

from peaky_peek.capture import faults
from peaky_peek.capture.imports import forget, when_imported

Method = Callable[..., Any]


class Patch(NamedTuple):
    """Methods of one class, and what makes ours of each; with `heirs`, those of its subclasses too, whenever made."""

    module: str
    owner: str
    names: tuple[str, ...]
    wrap: Callable[[Method], Method]
    heirs: bool = False


class _Applied(NamedTuple):
    original: Any
    ours: Any
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

    def missing(self) -> list[str]:
        """Return what is to be patched in the modules that are imported, and is not defined there."""
        sought = ((patch, name) for patch in self._patches for name in patch.names if patch.module in sys.modules)
        return [
            f"{patch.module}.{patch.owner}.{name}"
            for patch, name in sought
            if name not in getattr(getattr(sys.modules[patch.module], patch.owner, None), "__dict__", ())
        ]

    @faults.guarded
    def _apply(self, module: ModuleType) -> None:
        for patch in self._patches:
            # By its place: CrewAI gives modules of its own each other's `__name__`.
            if sys.modules.get(patch.module) is not module or not hasattr(module, patch.owner):  # only half imported
                continue
            owner = getattr(module, patch.owner)
            if patch.heirs:
                self._follow(owner, patch)
            else:
                self._replace(owner, patch.names, patch.wrap)

    def _follow(self, owner: Any, patch: Patch) -> None:
        """Patch a class and its subclasses where they define the methods, and each subclass that is made later."""

        def cover(heir: type) -> None:
            names = (name for name in patch.names if name in heir.__dict__)
            defined = [name for name in names if not getattr(heir.__dict__[name], "__isabstractmethod__", False)]
            self._replace(heir, defined, patch.wrap)

        own = owner.__dict__.get("__init_subclass__")

        def announced(cls: Any, /, **kwargs: Any) -> None:
            (super(owner, cls).__init_subclass__ if own is None else own.__get__(None, cls))(**kwargs)
            if self.installed:
                cover(cls)

        heirs: list[type] = [owner]
        for heir in heirs:
            cover(heir)
            made: list[type] = heir.__subclasses__()
            heirs += [each for each in made if each not in heirs]
        if (owner, "__init_subclass__") not in self.applied:
            ours: Any = classmethod(announced)
            self.applied[owner, "__init_subclass__"] = _Applied(own, ours, own is None)
            owner.__init_subclass__ = ours

    def _replace(self, owner: type, names: Iterable[str], wrap: Callable[[Method], Method]) -> None:
        for name in names:
            if (owner, name) not in self.applied:
                original = getattr(owner, name)
                ours = functools.wraps(original)(wrap(original))
                self.applied[owner, name] = _Applied(original, ours, name not in owner.__dict__)
                setattr(owner, name, ours)
