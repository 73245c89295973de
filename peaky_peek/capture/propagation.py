"""Carries the scope to where context variables do not go: threads, executors, futures, pools and other processes.

Installed when the first session opens, never at import, and in each module as soon as it is loaded. Only our own
variable is carried: to copy the whole context would change what the user's code sees.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

from peaky_peek.capture import context, faults
from peaky_peek.capture.carrier import Carrier, extract, inject
from peaky_peek.capture.context import CURRENT, OUTSIDE, SILENT, Scope, inside
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.tracebacks import stepping_out


def install() -> None:
    """Make whatever is started in a scope record into it."""
    _patches.install()


def uninstall() -> None:
    """Undo `install`."""
    _patches.uninstall()


def _here() -> Scope | None:
    """Return the scope of this moment; what is started while recording is paused is not recorded later either."""
    return SILENT if context.paused else CURRENT.get()


class _Carried:
    """A function that runs in the scope it was handed over in, whatever its thread or process did before."""

    def __init__(self, function: Callable[..., Any], scope: Scope | None) -> None:
        functools.update_wrapper(self, function)
        self._function, self._scope, self._ask = function, scope, OUTSIDE.get()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with inside(self._ask, OUTSIDE), inside(self._scope), stepping_out:
            return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (self._function, None if self._scope is None else inject(self._scope))


def _carried(function: Any) -> Any:
    """Return a function so that it runs in the scope of this moment."""
    try:
        return _Carried(function, _here())
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return function


def _unpacked(function: Callable[..., Any], sent: Carrier | None) -> _Carried:
    return _Carried(function, _arrived(sent))


class _Place:
    """Is where a process begins as soon as it is unpickled there."""

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    def __reduce__(self) -> tuple[Any, ...]:
        sent = None if self._scope is None else inject(self._scope)
        return (object, ()) if sent is None else (_begin_in, (sent,))


@faults.guarded
def _begin_in(sent: Carrier) -> None:
    CURRENT.set(_arrived(sent))


@faults.guarded
def _arrived(sent: Carrier | None) -> Scope | None:
    if sent is None:
        return None
    if context.patch_others is not None:
        context.patch_others()
    return extract(sent)


def _submitting(submit: Method) -> Method:
    """Carry the function that work is submitted as, and what is called with its result."""

    def submitting(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        with stepping_out:
            return submit(self, _carried(fn), *args, **_with_callbacks(kwargs))

    return submitting


def _with_callbacks(kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        carried = {name: _carried(kwargs[name]) for name in _CALLBACKS if kwargs.get(name) is not None}
        return kwargs | carried if carried else kwargs
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return kwargs


_CALLBACKS = ("callback", "error_callback")


def _calling_back(add: Method) -> Method:
    """Carry a callback, which runs in whatever thread is done."""

    def calling_back(self: Any, fn: Callable[..., Any]) -> Any:
        return add(self, _carried(fn))

    return calling_back


def _starting_thread(start: Method) -> Method:
    def starting(self: threading.Thread) -> None:
        _run_here(self)
        with stepping_out:
            start(self)

    return starting


@faults.guarded
def _run_here(thread: threading.Thread) -> None:
    scope, ask = _here(), OUTSIDE.get()
    if scope is not None or ask is not None:
        run = thread.run

        def run_in_scope() -> None:
            del thread.run  # or the thread would keep itself alive
            with inside(ask, OUTSIDE), inside(scope), stepping_out:
                run()

        thread.run = run_in_scope  # type: ignore[method-assign]


def _starting_process(start: Method) -> Method:
    """Leave the scope with a process, which finds it when it is unpickled; a forked one has it anyway."""

    def starting(self: Any) -> None:
        _leave_place(self)
        try:
            with stepping_out:
                start(self)
        finally:
            self.__dict__.pop("_peaky_peek", None)

    return starting


@faults.guarded
def _leave_place(process: Any) -> None:
    process._peaky_peek = _Place(_here())


def _starting_program(init: Method) -> Method:
    """Tell a program that inherits the environment which scope it is started in; its sessions become parts of it."""

    def starting(self: Any, *args: Any, **kwargs: Any) -> None:
        with stepping_out:
            init(self, *args, **(_told(args, kwargs) or kwargs))

    return starting


_BEFORE_ENV = 10  # arguments that `Popen` takes


@faults.guarded
def _told(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    scope = _here()
    if scope is None or len(args) > _BEFORE_ENV:
        return kwargs
    return {**kwargs, "env": _environment(kwargs.get("env"), scope)}


def _environment(given: Any, scope: Scope) -> Any:
    """Return the environment of a program; where somebody chose another one than ours, or another store, it stays."""
    if given is None:
        given = os.environ
    elif not os.environ.keys() <= given.keys() or given.get("PEAKY_PEEK_DB") != os.environ.get("PEAKY_PEEK_DB"):
        return given
    return {**given, **context.for_programs(scope)}


_patches = Patches(
    Patch("threading", "Thread", ("start",), _starting_thread),
    Patch("concurrent.futures.thread", "ThreadPoolExecutor", ("submit",), _submitting),
    Patch("concurrent.futures.process", "ProcessPoolExecutor", ("submit",), _submitting),
    Patch("concurrent.futures._base", "Future", ("add_done_callback",), _calling_back),
    Patch(
        "multiprocessing.pool", "Pool",
        ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"), _submitting,
    ),
    Patch("multiprocessing.process", "BaseProcess", ("start",), _starting_process),
    Patch("subprocess", "Popen", ("__init__",), _starting_program),
)  # fmt: skip
