"""Keeps our own frames out of the tracebacks of the application's exceptions: they look as they would without us."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import FrameType, TracebackType


def step_out(error: BaseException) -> None:
    """Take the frame that calls this off the traceback of what it is about to raise on, with a bare `raise`."""
    _step_out(error, sys._getframe(1))


class _SteppingOut:
    """Does it for what a block raises."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None:
            _step_out(error, sys._getframe(1))


stepping_out = _SteppingOut()


def _step_out(error: BaseException, frame: FrameType) -> None:
    with suppress(Exception):  # a hostile exception keeps it
        trace = error.__traceback__
        if trace is not None and trace.tb_frame is frame:
            BaseException.with_traceback(error, trace.tb_next)  # an exception may be a frozen data class
