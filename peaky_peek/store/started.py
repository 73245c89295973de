"""The root sessions that this process began: no reference at all means the newest of them."""

from __future__ import annotations

started: list[str] = []


def note_started(session_id: str) -> None:
    """Remember that this process began a session."""
    started.append(session_id)
