"""Completes what follows `%peek` and `%%peek`: its words, and the names of recorded sessions."""

from __future__ import annotations

import contextlib
import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from peaky_peek import store
from peaky_peek.errors import PeekError
from peaky_peek.magics.peek import OF_A_SESSION, OF_TWO_SESSIONS, WORDS
from peaky_peek.store import reader, sessions

_WORD = re.compile(r"\s*%peek\s+(\w*)")
_NAME = re.compile(rf"\s*(?:%peek\s+(?:{'|'.join((*OF_A_SESSION, *OF_TWO_SESSIONS))})|%%peek)\s+(.*)")
_NEWEST = 1_000


@context_matcher()  # type: ignore[untyped-decorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Return what may stand at the cursor."""
    line = context.text_until_cursor
    if match := _WORD.fullmatch(line):
        return _beginning_with(match[1], WORDS)
    if match := _NAME.fullmatch(line):
        return _beginning_with(match[1], _names())
    return {"completions": []}


def _beginning_with(start: str, choices: tuple[str, ...]) -> SimpleMatcherResult:
    found = [SimpleCompletion(choice, type="peek") for choice in choices if choice.startswith(start)]
    return {"completions": found, "matched_fragment": start, "suppress": bool(found)}


def _names() -> tuple[str, ...]:
    """Return the names of the newest sessions, newest first."""
    with contextlib.suppress(PeekError):
        db = store.current()
        db.ingest(wait=0.2)
        newest = sessions.matching("", db)[: -_NEWEST - 1 : -1]
        return tuple(dict.fromkeys(found.name for found in reader.read_sessions(db, newest) if found.name))
    return ()
