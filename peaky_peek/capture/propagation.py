"""Carries the scope into threads and pools of threads and processes, which know nothing of context variables.

Installed when the first session opens, never at import. Only our own variable is carried: to copy the whole context
would change what the user's code sees.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from peaky_peek.capture import transport
from peaky_peek.capture.context import CURRENT, OpenSession, Scope

_original_start = threading.Thread.start
_original_submits: dict[type, Callable[..., Any]] = {}


def install() -> None:
    """Make threads and executor work that are started in a scope record into it. Does nothing more the second time."""
    threading.Thread.start = _start  # type: ignore[method-assign]
    _patch_pools()


def uninstall() -> None:
    """Undo `install`."""
    threading.Thread.start = _original_start  # type: ignore[method-assign]
    while _original_submits:
        pool, submit = _original_submits.popitem()
        pool.submit = submit  # type: ignore[attr-defined]


def _patch_pools() -> None:
    """Patch `submit` of the pools whose modules are loaded at all: to load one would cost the agent time."""
    for name, kind in (("thread", "ThreadPoolExecutor"), ("process", "ProcessPoolExecutor")):
        pool = getattr(sys.modules.get(f"concurrent.futures.{name}"), kind, None)
        if pool is not None and pool not in _original_submits:
            _original_submits[pool] = pool.submit
            pool.submit = _carrying(pool.submit)


def _carrying(submit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(submit)
    def carrying(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, _Carried(fn, CURRENT.get()), *args, **kwargs)

    return carrying


class _Carried:
    """A function that runs in the scope it was submitted from, whatever its pool thread ran before."""

    def __init__(self, function: Callable[..., Any], scope: Scope | None) -> None:
        functools.update_wrapper(self, function)
        self._function, self._scope = function, scope

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process, where the session is known by what events need of it."""
        scope = self._scope
        if scope is None:
            return _arrived, (self._function,)
        session = OpenSession(scope.session.id, scope.session.name, scope.session.root_id, scope.session.sampled)
        return _arrived, (self._function, Scope(session, scope.parent_id, scope.agent, scope.inferred))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = CURRENT.get()
        if before is self._scope:
            return self._function(*args, **kwargs)
        CURRENT.set(self._scope)
        try:
            return self._function(*args, **kwargs)
        finally:
            CURRENT.set(before)


def _arrived(function: Callable[..., Any], scope: Scope | None = None) -> _Carried:
    install()
    transport.install()
    return _Carried(function, scope)


@functools.wraps(_original_start)
def _start(self: threading.Thread) -> None:
    scope = CURRENT.get()
    if getattr(getattr(self, "_target", None), "__module__", None) == "concurrent.futures.thread":
        _patch_pools()  # from now on its tasks bring their own scope
    elif scope is not None:
        run = self.run

        def run_in_scope() -> None:
            del self.run  # or the thread would keep itself alive
            CURRENT.set(scope)
            run()

        self.run = run_in_scope  # type: ignore[method-assign]
    _original_start(self)
