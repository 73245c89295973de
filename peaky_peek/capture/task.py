"""The task of a run that nobody gave a name: what was asked. Runs of the same job are asked the same."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

_LONGEST = 160


def task_of(asked: Any, clean: Callable[[str], str] = str) -> str | None:
    """Return what was asked, on one line; of a longer text its beginning, and what tells it from others.

    Args:
        asked: a text, messages of which the first of a user counts, or a dictionary with them under "messages".
        clean: takes secrets out of it, before it is cut: the half of one is not known for one.

    >>> task_of([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Book a  flight"}])
    'Book a flight'
    """
    text = asked if isinstance(asked, str) else _first(asked)
    line = " ".join(clean(text or "").split())
    if len(line) <= _LONGEST:
        return line or None
    return f"{line[:_LONGEST]}… ({zlib.crc32(line.encode('utf-8', 'replace')):08x})"


def _first(asked: Any) -> str | None:
    """Return the text of the first message of a user."""
    messages = asked.get("messages") if isinstance(asked, dict) else asked
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and (message.get("role") or message.get("type")) in ("user", "human"):
            return _text(message.get("content", message.get("parts")))
    return None


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return " ".join(part for part in parts if isinstance(part, str))
