"""Carries the scope into threads and thread pools, which know nothing of context variables.

Installed when the first session opens, never at import. Only our own variable is carried: to copy the whole context
would change what the user's code sees.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from peaky_peek.capture.context import CURRENT, Scope

_original_start = threading.Thread.start
_original_submit: Callable[..., Any] | None = None


def install() -> None:
    """Make threads and executor work that are started in a scope record into it. Does nothing more the second time."""
    threading.Thread.start = _start  # type: ignore[method-assign]
    _patch_pool()


def uninstall() -> None:
    """Undo `install`."""
    global _original_submit
    threading.Thread.start = _original_start  # type: ignore[method-assign]
    if _original_submit is not None:
        sys.modules["concurrent.futures.thread"].ThreadPoolExecutor.submit = _original_submit
        _original_submit = None


def _patch_pool() -> None:
    """Patch `ThreadPoolExecutor.submit`, if that module is loaded at all: to load it would cost the agent time."""
    global _original_submit
    module = sys.modules.get("concurrent.futures.thread")
    if module is None or _original_submit is not None:
        return
    submit = _original_submit = module.ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def carrying(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, _Carried(fn, CURRENT.get()), *args, **kwargs)

    module.ThreadPoolExecutor.submit = carrying


class _Carried:
    """A function that runs in the scope it was submitted from, whatever its pool thread ran before."""

    def __init__(self, function: Callable[..., Any], scope: Scope | None) -> None:
        functools.update_wrapper(self, function)
        self._function, self._scope = function, scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = CURRENT.get()
        if before is self._scope:
            return self._function(*args, **kwargs)
        CURRENT.set(self._scope)
        try:
            return self._function(*args, **kwargs)
        finally:
            CURRENT.set(before)


@functools.wraps(_original_start)
def _start(self: threading.Thread) -> None:
    scope = CURRENT.get()
    if getattr(getattr(self, "_target", None), "__module__", None) == "concurrent.futures.thread":
        _patch_pool()  # from now on its tasks bring their own scope
    elif scope is not None:
        run = self.run

        def run_in_scope() -> None:
            del self.run  # or the thread would keep itself alive
            CURRENT.set(scope)
            run()

        self.run = run_in_scope  # type: ignore[method-assign]
    _original_start(self)
