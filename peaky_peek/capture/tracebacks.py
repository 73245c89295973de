"""Keeps our own frames out of the tracebacks of the application's exceptions: they look as they would without us."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType, TracebackType

_OURS = str(Path(__file__).parent.parent)


def step_out(error: BaseException) -> None:
    """Take the frame that calls this off the traceback of what it is about to raise on, with a bare `raise`."""
    try:
        _take_off(error, sys._getframe(1))
    except Exception:  # noqa: BLE001 - a hostile exception keeps it
        return


class _SteppingOut:
    """Does it for what a block raises."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        try:
            if error is not None:
                _take_off(error, sys._getframe(1))
        except Exception:  # noqa: BLE001 - as above
            return


stepping_out = _SteppingOut()


def of_application(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception without the frames of ours that it begins with."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace


def _take_off(error: BaseException, frame: FrameType) -> None:
    trace = error.__traceback__
    if trace is not None and trace.tb_frame is frame:
        BaseException.with_traceback(error, trace.tb_next)  # an exception may be a frozen data class
