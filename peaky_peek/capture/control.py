"""Switches the recording on, off and elsewhere."""

from __future__ import annotations

import atexit
import functools
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from peaky_peek import store
from peaky_peek.capture import autopatch, context, ending, faults, limits, recorder, watching
from peaky_peek.capture.redaction.choice import Redact, redactor_for
from peaky_peek.errors import PeekWarning


def init(
    db: str | os.PathLike[str] | None = None, redact: Redact = "secrets", sample: float = 1.0,
    max_payload_kb: float | None = None, *, max_cost_usd: float | None = None,
    on_limit: Literal["warn", "raise"] = "warn", stop_on: limits.StopOn = None,
) -> None:  # fmt: skip
    """Choose how to record. Optional; may be called again, and the last call wins.

    Also starts to record the model calls of every client that Peaky Peek knows, made before or after.

    Args:
        db: the store's path; else the environment variable `PEAKY_PEEK_DB`, else `peek.db` in the user's data folder.
        redact: what is replaced before anything reaches the disk. "secrets": credentials. "pii": also emails, phone
            and card numbers, IBANs, IP addresses, national ids. A compiled pattern: also what it matches. A function:
            each text is recorded as it returns it. A list of these. None: nothing at all, which warns.
        sample: the share of sessions to record, 0 to 1; a session is recorded whole or not at all.
        max_payload_kb: cut longer values to this many KB, marked as cut; None records everything whole.
        max_cost_usd: what a run (a root session with its sub-sessions and child processes) may cost in US dollars;
            the call that crosses it gets a `behavior_alert`, and one line says so.
        on_limit: "raise" stops the agent then: its next model or tool call raises `BudgetExceeded`.
        stop_on: "loop" stops an agent that repeats itself without anything new: its next model or tool call raises
            `LoopDetected`. "cost" is the same as `on_limit="raise"`. A list for both.

    Example:
        >>> import os, tempfile
        >>> init(db=os.path.join(tempfile.mkdtemp(), "runs.db"))
    """
    redactor_for(redact, key=bytes)  # what is wrong with it is said here
    if not 0 <= sample <= 1:
        raise ValueError(f"sample is a share of sessions, from 0 to 1, not {sample}.")
    allowed = limits.chosen(max_cost_usd, on_limit, stop_on)
    if db is not None or "PEAKY_PEEK_DB" not in os.environ or store.chosen():
        store.use(db)
    recorder.configure(redact=redact, max_payload_kb=max_payload_kb)
    active = recorder.active()
    if active is not None and active.database is not store.current():
        recorder.close()
        context.move_open_sessions()
    if redact is None:
        _warn_once()
    context.sample, context.stopped = sample, False
    _allow(allowed)
    autopatch.install()


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "Peaky Peek records passwords and keys as they are from here on, because of `redact=None`.",
        PeekWarning, stacklevel=3,
    )  # fmt: skip


def stop_runs_on(stop_on: limits.StopOn) -> None:
    """Stop the runs of this process for more than `init` said: those that are open, and those that begin.

    Raises:
        ValueError: for what is no such reason, and for a cost that has no limit.
    """
    held = context.limits
    _allow(context.stopping_on(held, limits.reasons(stop_on, held.max_cost_usd if held else None)))


def _allow(allowed: context.Limits | None) -> None:
    """Let every run do so much, those that are open too."""
    if allowed != context.limits:
        watching.catch_up()  # under the limits that hold up to here
    context.limits = allowed
    for session in list(context.open_sessions.values()):
        session.general = allowed
        limits.apply(session)


_pausing = threading.RLock()


@contextmanager
def pause() -> Iterator[None]:
    """Record nothing while the block runs."""
    with _pausing:  # those who want it off are counted: they may come and go in any order
        context.paused += 1
    try:
        yield
    finally:
        with _pausing:
            context.paused = max(0, context.paused - 1)


def uninstall() -> None:
    """Undo every patch, end what is open, forget listeners, and stop recording until `init` or a new session."""
    context.stopped = True
    context.end_all()
    watching.finish()
    watching.clear()
    autopatch.uninstall()
    recorder.close()


atexit.register(faults.guarded(ending.finish))  # runs before the recorder's own, which was registered earlier
