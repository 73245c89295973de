"""Switches the recording on, off and elsewhere."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from peaky_peek import store
from peaky_peek.capture import context, faults, propagation, recorder, transport


def init(
    db: str | os.PathLike[str] | None = None, redact: Literal["secrets"] | None = "secrets", sample: float = 1.0,
    max_payload_kb: float | None = None,
) -> None:  # fmt: skip
    """Choose how to record. Optional; may be called again, and the last call wins.

    Also starts to record the model calls of every client that Peaky Peek knows, made before or after.

    Args:
        db: the store's path; else the environment variable `PEAKY_PEEK_DB`, else `peek.db` in the user's data folder.
        redact: "secrets" replaces credentials before anything reaches the disk; None records them.
        sample: the share of sessions to record, 0 to 1; a session is recorded whole or not at all.
        max_payload_kb: cut longer values to this many KB, marked as cut; None records everything whole.

    Example:
        >>> import os, tempfile
        >>> init(db=os.path.join(tempfile.mkdtemp(), "runs.db"))
    """
    if redact not in ("secrets", None):
        raise ValueError(f'redact is "secrets" or None, not {redact!r}.')
    if not 0 <= sample <= 1:
        raise ValueError(f"sample is a share of sessions, from 0 to 1, not {sample}.")
    if db is not None or "PEAKY_PEEK_DB" not in os.environ or store.chosen():
        store.use(db)
    recorder.configure(redact=redact, max_payload_kb=max_payload_kb)
    active = recorder.active()
    if active is not None and active.database is not store.current():
        recorder.close()
        context.move_open_sessions()
    context.sample = sample
    transport.install()


@contextmanager
def _paused() -> Iterator[None]:
    """Count those who want it off: they may come and go in any order."""
    with _pausing:
        context.paused += 1
    try:
        yield
    finally:
        with _pausing:
            context.paused = max(0, context.paused - 1)


_pausing = threading.RLock()


def pause() -> Any:
    """Return a context manager inside which nothing is recorded."""
    return _paused()


def status() -> dict[str, Any]:
    """Return how the recording stands.

    Keys: `store` (path), `recording` (bool), `open_sessions` (names), `lost` (events that could be written nowhere),
    `faults` (our own, by what they said, with counts) and `problem` (why the store takes nothing in, or None).
    """
    active = recorder.active()
    return {
        "store": str(store.current().path),
        "recording": not context.paused,
        "open_sessions": [session.name for session in context.open_sessions.values()],
        "lost": 0 if active is None else active.lost,
        "faults": dict(faults.counts),
        "problem": None if active is None else active.problem,
    }


def uninstall() -> None:
    """Undo every patch, end what is open and stop recording until `init` or a new session."""
    context.end_all()
    transport.uninstall()
    propagation.uninstall()
    recorder.close()


atexit.register(context.end_all)  # runs before the recorder's own, which was registered earlier
