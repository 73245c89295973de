"""The shutdown of the interpreter: threads that nobody waits for are taken out of foreign code before.

A daemon thread is ended where it next asks for the interpreter's lock. In a search in Rust, which works without that
lock, this aborts the process. So at the very end such searches are exchanged for slower ones that keep the lock, and
the threads that are inside one are waited for.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_LONGEST = 2.0
_exchanges: list[Callable[[], None]] = []
interrupted = False
"""Whether the program ends by an interrupt that it did not catch."""


def exchange_at_end(exchange: Callable[[], None]) -> None:
    """Call a function at the end, and wait until no thread is where it was then in the file of that function."""
    _exchanges.append(exchange)


def _finish() -> None:
    for exchange in _exchanges:
        exchange()
    files = {exchange.__code__.co_filename for exchange in _exchanges}
    inside = {thread: place for thread, place in _places().items() if place[0].f_code.co_filename in files}
    deadline = time.monotonic() + _LONGEST
    while inside and time.monotonic() < deadline:
        time.sleep(0.001)
        now = _places()
        inside = {thread: place for thread, place in inside.items() if now.get(thread) == place}
    if interrupted:  # the shell must see it; Python forgets it where text is executed, as named tuples do when made
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102


def _places() -> dict[int, tuple[FrameType, int]]:
    """Return where each other thread is: its frame, and the instruction in it."""
    frames = sys._current_frames()
    return {thread: (frame, frame.f_lasti) for thread, frame in frames.items() if thread != threading.get_ident()}


atexit.register(_finish)  # before anything else of ours is imported, so that it runs after all of it
