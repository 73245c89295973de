"""The sessions as a table in a terminal, without loading pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from peaky_peek.cli import layout
from peaky_peek.store import reader, sessions
from peaky_peek.widgets import _text

if TYPE_CHECKING:
    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

_HEADINGS = "# session status outcome started duration llm tools failed suspect tokens cost".split()
_NUMBERS = {*_HEADINGS} - {"session", "status", "outcome", "started"}


def lines(db: Database, query: str, limit: int) -> Iterator[str]:
    """Yield the lines of a table of the newest `limit` sessions that match; `#` is the position in `pp.sessions()`."""
    position = {session_id: at for at, session_id in enumerate(sessions.matching("", db))}
    found = sessions.matching(query, db) if query else list(position)
    shown = found[max(len(found) - limit, 0) :]
    rows = [_row(position[session.session_id], session) for session in reader.read_sessions(db, shown)]
    if rows:
        yield from layout.table(_HEADINGS, rows, _NUMBERS)
    if not position:
        yield sessions.NOTHING_RECORDED
    elif not found:
        yield f"None of the {_text.count(len(position), 'session')} matches {query!r}."
    elif len(shown) < len(found):
        yield f"and {len(found) - len(shown):,} older: -n {len(found)} lists them too"


def _row(position: int, session: Session) -> list[str]:
    ms = None if session.duration is None else session.duration.total_seconds() * 1000
    started = "" if session.started_at is None else f"{session.started_at.astimezone():%Y-%m-%d %H:%M}"
    tokens = [count for count in (session.input_tokens, session.output_tokens) if count is not None]
    cost = _text.cost(session.cost_usd)
    return [
        f"{position}", _text.one_line(session.name or session.session_id, 40), session.status,
        _text.one_line(session.outcome or "", 12), started, _text.duration(ms),
        f"{session.llm_calls:,}", f"{session.tool_calls:,}", f"{session.errors:,}", f"{session.suspects:,}",
        f"{sum(tokens):,}" if tokens else "", f">= {cost}" if cost and session.unpriced else cost,
    ]  # fmt: skip
