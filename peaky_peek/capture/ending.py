"""How a program ends says how the session ends that nobody opened: whole, by an exception, or with an exit code.

Python tells of an exception that nobody catches, but not of an exit. So `sys.exit` is watched too. Whether the program
ended there, and did not catch it, shows the frame of its main module: whoever comes to his end stops at a return.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from peaky_peek import shutdown
from peaky_peek.capture import context, faults
from peaky_peek.capture.context import Scope
from peaky_peek.capture.spans import described_error, verdict
from peaky_peek.capture.verbs import emit
from peaky_peek.events import Error


class _Exit(NamedTuple):
    code: object
    main: FrameType | None
    """The frame of the main module."""


_last_exit: _Exit | None = None
_watched: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}
"""By name in `sys`: what was there, and ours."""


def install() -> None:
    """Watch from now on. What was there before is called in any case."""
    for name, notice in (("excepthook", _raised), ("exit", _may_exit)):
        if name not in _watched:
            former = getattr(sys, name)
            ours = functools.wraps(former)(_noticing(former, notice))
            _watched[name] = former, ours
            setattr(sys, name, ours)


def uninstall() -> None:
    """Put back what was there, unless somebody else has put something on top of ours."""
    for name, (former, ours) in list(_watched.items()):
        if getattr(sys, name) is ours:
            setattr(sys, name, former)
            del _watched[name]


def exits(code: object) -> None:
    """Take note that the program ends with this code."""
    global _last_exit
    _last_exit = _Exit(code, None)


def finish() -> None:
    """End what is open, at the end of the process."""
    if _last_exit is not None and not _is_success(_last_exit.code) and not _has_returned(_last_exit.main):
        _fail(SystemExit(_last_exit.code), "failed")
    context.end_all()


def _noticing(former: Callable[..., Any], notice: Callable[..., object]) -> Callable[..., Any]:
    def noticing(*arguments: Any) -> Any:
        notice(*arguments)
        return former(*arguments)

    return noticing


@faults.guarded
def _raised(_: object = None, error: object = None, __: object = None) -> None:
    if isinstance(error, BaseException):
        shutdown.interrupted = isinstance(error, KeyboardInterrupt)
        _fail(error, verdict(error)[1])


@faults.guarded
def _may_exit(code: object = None, *_: object) -> None:
    global _last_exit
    if threading.current_thread() is threading.main_thread():
        _last_exit = _Exit(code, _main_frame())


def _fail(error: BaseException, how: str) -> None:
    session = context.implicit_session()
    if session is None or context.paused:
        return
    session.verdict = how
    if how == "failed" and session.sampled and not any(known is error for known in session.raised):
        emit(Error, Scope(session, session.first_event, None), {"status": "error"}, described_error(error))


def _is_success(code: object) -> bool:
    """Tell whether an exit with this code is none by a failure; a text is one, and is printed."""
    return code is None or (isinstance(code, int) and code == 0)


def _main_frame() -> FrameType | None:
    """Return the outermost frame of the main module's code."""
    module = sys.modules.get("__main__")
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:
        if module is not None and frame.f_globals is module.__dict__:
            found = frame
        frame = frame.f_back
    return found


def _has_returned(frame: FrameType | None) -> bool:
    import opcode

    return frame is not None and opcode.opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN")
