"""Fails the calls that the recorder makes while an agent runs, one at a time, each as if the callee had raised."""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

import peaky_peek

_OURS = str(Path(peaky_peek.__file__).parent) + os.sep
_LIBRARY = tuple({sysconfig.get_path("stdlib") + os.sep, sysconfig.get_path("platstdlib") + os.sep})
_PACKAGES = f"{os.sep}site-packages{os.sep}"
_PASSED_ON = "propagation.py"
"""What it calls in the standard library is what the application called."""


_CANNOT_FAIL = ("RLock.__exit__", "lock.__exit__", "ContextVar.get")
"""A lock that is held is given back by the interpreter itself, and to look a variable up takes no memory."""


_NOT_OURS = "<genexpr>", "<locals>.call"
"""Called also when it is thrown away; what stands for the application's function."""


class Site(NamedTuple):
    """A call that the recorder makes: the nth of `caller` to `callee` in a run; `event` is its begin or its end."""

    event: str
    caller: str
    callee: str
    number: int


class Injector:
    """Counts the recorder's calls on every thread of the agent, and fails the one at `site` with `error`.

    Only what the recorder calls for itself counts: neither the application's functions and generators, nor what those
    call, nor the calls that the recorder passes on for the application.

    Args:
        site: the call to fail; None only counts.
        error: what it raises.
        events: which to look at: "call" and "c_call" (before the callee ran), "return" and "c_return" (after).
    """

    def __init__(
        self, site: Site | None = None, error: BaseException | None = None, events: tuple[str, ...] = ("call", "c_call")
    ) -> None:
        self.site, self.error, self.events = site, error, events
        self.seen: Counter[tuple[str, str, str]] = Counter()
        self.sites: list[Site] = []
        self.fired = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if self.fired or event not in self.events:
            return
        if event in ("call", "return"):
            caller, callee = frame.f_back, frame.f_code.co_qualname
            if caller is None or _owner(caller.f_code) != "ours" or not _is_recorders(frame.f_code, caller.f_code):
                return
            if callee.endswith(_NOT_OURS) or callee.startswith("BaseEventLoop."):
                return
            if event == "call" and _is_guard(frame.f_code):
                return
        else:
            caller, callee = frame, getattr(arg, "__qualname__", repr(arg))
            if _owner(frame.f_code) != "ours" or _is_users(getattr(arg, "__self__", None)) or callee in _CANNOT_FAIL:
                return
        thread = threading.current_thread()
        is_interrupt = isinstance(self.error, KeyboardInterrupt) or "c_return" in self.events
        if thread.name.startswith("peaky-peek") or (is_interrupt and thread is not threading.main_thread()):
            return  # Ctrl-C arrives in the main thread only
        key = event, caller.f_code.co_qualname, callee
        self.seen[key] += 1
        site = Site(*key, self.seen[key])
        self.sites.append(site)
        if site == self.site:
            self.fired = True
            if self.error is not None:
                raise self.error

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch this thread, and those that it starts, while the block runs."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            self.fired = self.fired or self.site is None
            sys.setprofile(None)
            threading.setprofile(None)


def _is_recorders(callee: CodeType, caller: CodeType) -> bool:
    """Tell whether the recorder calls for itself; not the application's functions, nor what is passed on for it."""
    owner = _owner(callee)
    if callee.co_filename.endswith(("weakref.py", "_weakrefset.py")) and callee.co_name != "__init__":
        return False  # the garbage collector's
    return owner == "ours" or (owner == "library" and not caller.co_filename.endswith(_PASSED_ON))


@cache
def _owner(code: CodeType) -> str:
    name = code.co_filename
    if name.startswith(_OURS):
        return "ours"
    if name.startswith("<") or (name.startswith(_LIBRARY) and _PACKAGES not in name):
        return "library"
    return "user"


def _is_users(self: Any) -> bool:
    """Tell whether a method is that of a generator or coroutine of the application."""
    if isinstance(self, GeneratorType):
        return _owner(self.gi_code) == "user"
    if isinstance(self, CoroutineType):
        return _owner(self.cr_code) == "user"
    return isinstance(self, AsyncGeneratorType) and _owner(self.ag_code) == "user"


@cache
def _is_guard(code: CodeType) -> bool:
    """Tell whether a function of ours is a guard: all of its body is one `try` that reports what went wrong.

    Between its beginning and the `try` nothing of ours runs that could fail.
    """
    if _owner(code) != "ours":
        return False
    tree = _functions(code.co_filename).get(code.co_firstlineno)
    if tree is None:
        return False
    body = tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if not any(isinstance(each, _CAN_FAIL) for statement in body for each in _run_by(statement)):
        return True
    if not body or not isinstance(body[0], ast.Try):
        return False
    harmless = not any(isinstance(each, _CAN_FAIL) for rest in body[1:] for each in _run_by(rest))
    catches = any(
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
        for handler in body[0].handlers
    )
    return harmless and catches


def _run_by(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield what a statement executes; annotations are not."""
    if isinstance(statement, ast.AnnAssign):
        yield from ast.walk(statement.value) if statement.value else ()
    else:
        yield from ast.walk(statement)


_CAN_FAIL = (ast.Call, ast.Await, ast.With, ast.For, ast.Subscript, ast.BinOp, ast.Raise, ast.comprehension, ast.Yield)


@cache
def _functions(path: str) -> dict[int, Any]:
    """Return the functions in a file by the line that their code begins at."""
    found = {}
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[min([node.lineno, *(each.lineno for each in node.decorator_list)])] = node
    return found


def described(error: BaseException | None, file: str) -> Any:
    """Return all that an application can see of an exception: what it is, where it passed in `file`, what led to it."""
    if error is None:
        return None
    frames = [
        (frame.f_code.co_name, line)
        for frame, line in _walk(error)
        if frame.f_code.co_filename == file
    ]  # fmt: skip
    said = type(error), error.args, frames, getattr(error, "__notes__", None), error.__suppress_context__
    group = tuple(described(each, file) for each in error.exceptions) if isinstance(error, BaseExceptionGroup) else ()
    return (*said, described(error.__cause__, file), described(error.__context__, file), *group)


def _walk(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
