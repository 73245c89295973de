"""What is different between two values as a reader compares it: where it is, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from peaky_peek.analysis.changes import Change
from peaky_peek.analysis.words import words
from peaky_peek.widgets import _text
from peaky_peek.widgets._values import whole_text

_IN_ARGUMENTS = re.compile(r"^(?:tool_calls\[\d+\]\.)?arguments\.")
_MOST = 40
"""Changes of a step that are shown."""
_LONGEST = 20_000
"""Characters of either side that are compared."""
_CONTEXT = 160
"""Characters that are kept before and after a change in a long text."""


def compared(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return changes as the browser shows them: path, and words as pairs of a sign (=, -, +) and a text."""
    found = [_one(change) for change in changes]
    rest = len(found) - _MOST
    shown = found[:_MOST]
    return [*shown, {"path": f"… {_text.count(rest, 'more change')}", "words": []}] if rest > 0 else shown


def brief(change: Change) -> str:
    """Return a change on one line.

    >>> brief(Change("amount", "changed", 84.5, 48.5))
    'amount: 84.5 → 48.5'
    """
    before, after = (
        "nothing" if absent else _text.one_line(whole_text(value), 40)
        for value, absent in ((change.before, change.kind == "added"), (change.after, change.kind == "removed"))
    )
    return f"{_text.one_line(_IN_ARGUMENTS.sub('', change.path), 60)}: {before} → {after}"


def _one(change: Change) -> dict[str, Any]:
    before = "" if change.kind == "added" else _text.visible(whole_text(change.before)[:_LONGEST])
    after = "" if change.kind == "removed" else _text.visible(whole_text(change.after)[:_LONGEST])
    return {
        "path": _text.one_line(change.path),
        "words": [[sign, _cut(sign, text)] for sign, text in words(before, after)],
    }


def _cut(sign: str, text: str) -> str:
    if sign != "=" or len(text) <= 3 * _CONTEXT:
        return text
    return f"{text[:_CONTEXT]} ⋯ {_text.count(len(text) - 2 * _CONTEXT, 'character')} ⋯ {text[-_CONTEXT:]}"
