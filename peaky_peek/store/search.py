"""Finds events over all sessions, newest first, with the words around what was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from peaky_peek.encoding import decode
from peaky_peek.store import query as query_language

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_BEFORE, _AFTER = 30, 90
"""Characters of a snippet around what was found."""
_COLUMNS = (
    "event_id", "session_id", "event_type", "name", "agent", "timestamp", "status", "failed", "suspect", "model",
    "tool_name", "error_type", "payload",
)  # fmt: skip


class Found(NamedTuple):
    """One event that a query found: its columns by name, and its snippet, empty where no text was asked for."""

    event: dict[str, Any]
    snippet: str


def find(db: Database, query: str, limit: int) -> list[Found]:
    """Return the newest events that match a query, newest first.

    Args:
        db: the store.
        query: text in the query language; an empty one finds nothing.
        limit: how many at most.

    Raises:
        QueryError: pointing at what cannot be read.
    """
    terms = query_language.parse(query)
    if not terms:
        return []
    where = query_language.over_events(query)
    columns = ", ".join(f"e.{name}" for name in _COLUMNS)
    sql = f"SELECT {columns} FROM events e WHERE {where.sql} ORDER BY e.position DESC LIMIT :limit"  # noqa: S608
    rows = db.connection().execute(sql, {**where.parameters, "limit": limit})
    words = [term.value.casefold() for term in terms if not (term.key or term.negated or term.flag)]
    return [_found(dict(zip(_COLUMNS, row, strict=True)), words) for row in rows]


def _found(event: dict[str, Any], words: list[str]) -> Found:
    payload = event.pop("payload")
    if not words:
        return Found(event, "")
    columns = [event[name] for name in ("name", "tool_name", "model", "agent", "error_type", "suspect")]
    try:
        inside = decode(payload)
    except ValueError:  # what is damaged is said where the event is read
        inside = None
    for word in words:
        for text in [*_strings(inside), *filter(None, columns), *_keys(inside)]:
            if (snippet := _around(text, word)) is not None:
                return Found(event, snippet)
    return Found(event, "")  # found in what a number or an escaped character is written with


def _strings(value: Any) -> Iterator[str]:
    """Yield every text inside, in order."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, (dict, list, tuple)):
            waiting += reversed(list(inner.values()) if isinstance(inner, dict) else inner)


def _keys(value: Any) -> Iterator[str]:
    """Yield every key inside that is a text."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield from (key for key in inner if isinstance(key, str))
        if isinstance(inner, (dict, list, tuple)):
            waiting += inner.values() if isinstance(inner, dict) else inner


def _around(text: str, word: str) -> str | None:
    """Return the words around the first place of `word`, None when it is not there."""
    at = text.casefold().find(word)
    if at < 0:
        return None
    start, end = max(0, at - _BEFORE), at + len(word) + _AFTER
    inside = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{inside}{'…' if end < len(text) else ''}"
