"""The tapes that are played: several threads may each play their own."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from peaky_peek.capture import context

if TYPE_CHECKING:
    from peaky_peek.capture.tape import Tape

_changing = threading.Lock()
_tapes: list[Tape] = []
"""Those that are played, the newest last."""
_own: ContextVar[Any] = ContextVar("peaky_peek_tape", default=None)


def begin(tape: Tape) -> Tape | None:
    """Play a tape, here and where nobody plays another; return what was played here before, for `end`."""
    before: Tape | None = _own.get()
    scope = context.here()
    if scope is not None and not scope.session.ended:
        scope.session.tape = tape
        if scope.session.sampled:
            context.note(scope.session.id, {"forked_from": tape.session_id})
    with _changing:
        _tapes.append(tape)
        context.tape = here
    _own.set(tape)
    return before


def end(tape: Tape, before: Tape | None) -> None:
    """Play it no longer. Tapes of several threads end in any order."""
    _own.set(before)
    with _changing:
        _tapes.remove(tape)
        context.tape = here if _tapes else None


def here() -> Tape | None:
    """Return the tape that is played to this code: its own, its session's, else the newest."""
    scope = context.here()
    for tape in (_own.get(), None if scope is None else scope.session.tape):
        if tape in _tapes:
            return tape  # type: ignore[no-any-return]
    return next(reversed(_tapes), None)
