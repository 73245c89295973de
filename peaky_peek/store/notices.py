"""Sentences for the user that are said once in a process, on its error stream."""

from __future__ import annotations

import sys
from contextlib import suppress

_said: set[str] = set()


def say(sentence: str) -> None:
    """Say a sentence unless this process has said it before."""
    if sentence in _said:
        return
    _said.add(sentence)
    with suppress(OSError, ValueError, RuntimeError):  # nobody listens, or another print is under way
        print(sentence, file=sys.stderr)  # noqa: T201
