"""The line of the user's code that an event came from which has lost its place in the tree: for `pp.lint`."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import threading
from pathlib import Path
from types import FrameType

_OURS = str(Path(__file__).parents[1]) + os.sep
_COMMANDS = str(Path(sys.executable).parent) + os.sep if sys.executable else _OURS
"""Scripts of the environment, like `pytest` and `jupyter`, which run the user's code."""
_STANDARD = str(Path(os.__file__).parent) + os.sep
_ASYNCIO = str(Path(_STANDARD, "asyncio")) + os.sep
_LONGEST = 200


def line_that_lost() -> dict[str, str]:
    """Return the outermost line of the user's code in this thread or callback: there it began without a scope.

    Keys: `at` and `code`, and `recorded_at` where the event itself was recorded on another line. Where no code of the
    user's is at work, `at` is the thread.
    """
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (frames and _begins_callback(frame)):
        if _is_users(frame.f_code.co_filename):
            frames.append(frame)
        frame = frame.f_back
    if not frames:
        return {"at": f"thread {threading.current_thread().name}"}
    first, last = frames[-1], frames[0]
    code = linecache.getline(first.f_code.co_filename, first.f_lineno, first.f_globals).strip()[:_LONGEST]
    place = {"at": _said(first), "code": code}
    return place if _said(last) == place["at"] else place | {"recorded_at": _said(last)}


def _begins_callback(frame: FrameType) -> bool:
    return frame.f_code.co_name in ("_run", "run_forever") and frame.f_code.co_filename.startswith(_ASYNCIO)


def _said(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"


@functools.lru_cache(maxsize=10_000)
def _is_users(filename: str) -> bool:
    if filename.startswith(("<frozen ", _OURS, _COMMANDS)):
        return False
    return not filename.startswith(_STANDARD) and f"{os.sep}site-packages{os.sep}" not in filename
