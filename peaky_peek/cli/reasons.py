"""Why a run went wrong as text: the symptom, and each cause with its evidence."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek.widgets import _why
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_LABEL = 9


def lines(db: Database, ref: Any) -> Iterator[str]:
    """Yield the failure card of a session, as wide as the terminal; `ref` is a session reference."""
    recording = Recording(db, ref)
    title = recording.title()
    yield title["note"] or f"{title['name']}  {' · '.join([title['status'], *title['facts']])}"
    if title["note"]:
        return
    card = _why.card(recording)
    if "says" in card:
        yield card["says"]
    for event in card.get("events", ()):
        yield from _line("", event)
    if "symptom" in card:
        yield from _line("symptom", card["symptom"])
    for rank, cause in enumerate(card.get("causes", ()), 1):
        yield ""
        yield f"{rank}. {cause['mechanism']} at {cause['event']['name']}  ({cause['confidence']})"
        for event in cause["because"]:
            yield from _line("because", event)
        yield from _wrapped("against", cause["against"])
        yield from _wrapped("next", cause["next"])
    for missing in card.get("missing", ()):
        yield from _wrapped("missing", missing)


def _line(label: str, event: dict[str, Any]) -> Iterator[str]:
    return _wrapped(label, f"{event['icon']} {event['name']}  {event['says']}".rstrip())


def _wrapped(label: str, text: str) -> Iterator[str]:
    width = max(shutil.get_terminal_size((120, 24)).columns, 60)
    begin = f"   {label:{_LABEL}}"
    yield from textwrap.wrap(text, width, initial_indent=begin, subsequent_indent=" " * len(begin))
