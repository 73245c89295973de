"""Tells what interrupts us on behalf of the application from what fails in us or in a hostile object."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from peaky_peek.errors import NotOnTape, RunStopped


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an exception in our code is the application's will: Ctrl-C, its own limit, what a handler raised.

    A time limit set with `signal.alarm` raises wherever the program happens to be, in the middle of a record too.
    """
    if isinstance(error, (KeyboardInterrupt, RunStopped, NotOnTape)):
        return True
    try:
        handlers = _handlers()
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code in handlers:
                return True
            trace = trace.tb_next
    except Exception:  # noqa: BLE001 - too deep in a recursion to find out
        return False
    return False


def text(value: object) -> str:
    """Return `str(value)`, or the name of its type if it resists.

    Raises:
        BaseException: what interrupts us.
    """
    try:
        return str(value)
    except BaseException as error:  # a hostile object must not stop the recording
        if is_interrupt(error):
            raise
        return type(value).__name__


def _handlers() -> set[CodeType]:
    """Return the code of the application's signal handlers."""
    signal: Any = sys.modules.get("signal")
    if signal is None:
        return set()
    found = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        function = getattr(handler, "__func__", handler)
        code = getattr(function, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
        if isinstance(code, CodeType):
            found.add(code)
    return found
