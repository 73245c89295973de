"""How sessions and events read in a notebook: plain tables of text. Everything recorded is escaped."""

from __future__ import annotations

import datetime as dt
import html
from typing import TYPE_CHECKING, Any

import orjson

from peaky_peek.attachments import told
from peaky_peek.encoding import encode

if TYPE_CHECKING:
    from peaky_peek.events import Event
    from peaky_peek.store.reader import Session

_LONGEST = 4_000  # characters of one value
_CELL = ' style="text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere"'


def session_html(session: Session) -> str:
    """Return a session as a table of what is known about it."""
    facts = {name: getattr(session, name) for name in session.__dataclass_fields__ if name not in ("name", "unpriced")}
    if session.cost_usd is not None:
        facts["cost_usd"] = f"{'at least ' if session.unpriced else ''}{_dollars(session.cost_usd)}"
    return _table(session.name or session.session_id, facts)


def event_html(event: Event) -> str:
    """Return an event as a table of what is known about it, its typed fields last."""
    facts = {
        "event_id": event.id,
        "session_id": event.session_id,
        "parent_id": event.parent_id,
        "agent": event.agent,
        "timestamp": event.timestamp,
        "duration": None if event.duration_ms is None else dt.timedelta(milliseconds=event.duration_ms),
        "status": event.status,
        "failed": event.failed or None,
        "suspect": event.suspect,
        "importance": event.importance,
        "upstream_event_ids": event.upstream_event_ids,
        **event.typed(),
        **({"cost_usd": _dollars(cost)} if isinstance(cost := getattr(event, "cost_usd", None), float) else {}),
        "data": event.data,
        "metadata": event.metadata,
    }
    return _table(f"{event.event_type}: {event.name}", facts)


def _table(title: str, facts: dict[str, Any]) -> str:
    known = {name: value for name, value in facts.items() if value is not None and value not in ([], {})}
    rows = "".join(
        f"<tr><th{_CELL}>{_text(name)}</th><td{_CELL}>{_value(value)}</td></tr>" for name, value in known.items()
    )
    return f"<table><caption>{_text(title)}</caption>{rows}</table>"


def _value(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return _text(f"{value:%Y-%m-%d %H:%M:%S.%f} UTC")
    if isinstance(value, dt.timedelta):
        seconds = value.total_seconds()
        return _text(f"{seconds * 1000:.4g} ms" if seconds < 1 else f"{seconds:,.1f} s")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _text(", ".join(value))
    if isinstance(value, (str, int, float)):
        return _text(str(value))
    return _text(orjson.dumps(told(orjson.loads(encode(value))), option=orjson.OPT_INDENT_2).decode())


def _dollars(usd: float) -> str:
    """Return a cost with as many digits as matter: most calls cost less than a cent."""
    return f"${usd:.4f}" if usd >= 0.0001 else f"${usd:.12f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    rest = len(text) - _LONGEST
    shown = text if rest <= 0 else f"{text[:_LONGEST]}… ({rest:,} more characters)"
    return f"<bdi>{html.escape(shown.encode('utf-8', 'backslashreplace').decode())}</bdi>"
